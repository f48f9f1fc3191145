"""`ralm search`: the passages nearest to a query."""

from typing import Annotated

import typer

from pipelines.commands.options import (
    Also,
    AsJson,
    Conditions,
    Domains,
    IndexIn,
    MethodName,
    QueryEncoding,
    Sample,
    SearchDevice,
    StoreOrText,
    Url,
    locate,
    number_option,
)
from pipelines.commands.remote.texts import the_text


def search(  # noqa: PLR0913
    context: typer.Context,
    store: StoreOrText = None,
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="what to look for")] = None,
    url: Url = None,
    also: Also = None,
    k: Annotated[int, typer.Option("-k", help="passages to show")] = 5,
    encoding: QueryEncoding = QueryEncoding(),
    device: SearchDevice = "cpu",
    index_in: IndexIn = "auto",
    recall: Annotated[
        float | None, number_option("quickest setting of this recall@10, instead of the next two")
    ] = None,
    nprobe: Annotated[int | None, typer.Option(help="lists to probe")] = None,
    depth: Annotated[int | None, typer.Option(help="vectors to re-score exactly; 0: none")] = None,
    method: MethodName = None,
    fusion: Annotated[str, typer.Option(help="how hybrid joins: rrf or weighted")] = "weighted",
    domain: Domains = None,
    where: Conditions = None,
    sample: Sample = Sample(),
    near_duplicates: Annotated[float | None, number_option("drop hits so like a better one, 0.8")] = None,
    decontaminate: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="drop hits with the query's text: containment, overlap, jaccard"),
    ] = None,
    cross_encoder: Annotated[str | None, typer.Option(help="rank the best hits by this model")] = None,
    diversity: Annotated[float, number_option("prefer hits unlike those chosen, 0 to 1")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Show the passages nearest to a query."""
    place, text = the_text("query", store, query, url, context)
    if url is not None:
        from pipelines.commands.remote.asking import search_at

        options = {
            "recall": recall,
            "nprobe": nprobe,
            "depth": depth,
            "method": method or None,
            "fusion": fusion,
            "view": sample.fields(domain, where),
            "near_duplicates": near_duplicates,
            "decontaminate": {"method": decontaminate} if decontaminate else None,
            "diversity": diversity,
        }
        search_at(url, text, k, options, as_json)
        return
    from pipelines.commands.stores import open_stores
    from pipelines.show.answers import found
    from retriever.refinement import Decontamination, Refinement
    from retriever.refusals import refuse_unopened, require_text
    from retriever.request import Effort, Method, Search
    from retriever.shortfall import low_recall
    from serve.answering.places import Addresses
    from serve.answering.results import results_of
    from serve.schemas.searching import SearchReply

    require_text([text])
    asked = Search(
        k,
        sample.view(domain, where),
        Effort(recall, nprobe, depth),
        Method(method or None, fusion),  # type: ignore[arg-type]
        Refinement(
            near_duplicates,
            Decontamination.by(decontaminate) if decontaminate else None,
            cross_encoder,
            diversity,
        ),
    )
    how = encoding.opening(device, index_in, words_only=method == "bm25")
    paths = [locate(place), *(also or [])]
    refuse_unopened(asked, paths)
    retriever = open_stores(paths, how)
    settled = retriever.settled(asked)
    reply = SearchReply.of(results_of(retriever, settled, [text]), Addresses(retriever))
    found(text, reply, as_json, low_recall(retriever, settled) if asked.effort == Effort() else None)
