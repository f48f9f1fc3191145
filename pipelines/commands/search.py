"""`ralm search`: the passages nearest to a query."""

from typing import Annotated

import typer

from pipelines.commands.options import (
    Also,
    AsJson,
    EncoderPlace,
    IndexIn,
    QueryEncoderPlace,
    SearchDevice,
    Store,
    as_device,
    as_place,
    number_option,
    require_one_text,
)


def search(  # noqa: PLR0913
    context: typer.Context,
    store: Store,
    query: Annotated[str, typer.Argument(help="what to look for")],
    also: Also = None,
    k: Annotated[int, typer.Option("-k", help="passages to show")] = 5,
    encoder: EncoderPlace = None,
    query_encoder: QueryEncoderPlace = None,
    device: SearchDevice = "cpu",
    index_in: IndexIn = "auto",
    recall: Annotated[
        float | None, number_option("quickest setting of this recall@10, instead of the next two")
    ] = None,
    nprobe: Annotated[int | None, typer.Option(help="lists to probe")] = None,
    depth: Annotated[int | None, typer.Option(help="vectors to re-score exactly; 0: none")] = None,
    method: Annotated[str | None, typer.Option(help="dense, bm25 or hybrid (default, if it can)")] = None,
    fusion: Annotated[str, typer.Option(help="how hybrid joins: rrf or weighted")] = "weighted",
    domain: Annotated[list[str] | None, typer.Option(help="only of this domain (repeatable)")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="only what has it so: year>=2010 (repeatable)")
    ] = None,
    fraction: Annotated[float, number_option("search a sample of the store")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="which sample")] = 0,
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
    from datastore.view import Condition, View
    from pipelines.commands.stores import open_stores
    from pipelines.show.answers import hits
    from pipelines.show.terminal import print_json
    from retriever.opened import Opening
    from retriever.refinement import Decontamination, Refinement
    from retriever.refusals import refuse_unopened, require_text
    from retriever.request import Effort, Method, Search
    from retriever.shortfall import low_recall
    from serve.replies import reply_to

    require_one_text("query", query, context)
    require_text([query])
    conditions = tuple(Condition.parse(text) for text in where or [])
    asked = Search(
        k,
        View(fraction, seed, tuple(domain or []), conditions),
        Effort(recall, nprobe, depth),
        Method(method or None, fusion),  # type: ignore[arg-type]
        Refinement(
            near_duplicates,
            Decontamination.by(decontaminate) if decontaminate else None,
            cross_encoder,
            diversity,
        ),
    )
    how = Opening(as_device(device), as_place(index_in), encoder, query_encoder, words_only=method == "bm25")
    paths = [store, *(also or [])]
    refuse_unopened(asked, paths)
    retriever = open_stores(paths, how)
    settled = retriever.settled(asked)
    reply = reply_to(retriever, settled, [query])
    (result,) = reply.results
    if as_json:
        found = result.model_dump() | reply.model_dump(exclude={"results"})
        print_json({"query": query, "manifest": reply.manifest} | found)
        return
    notes = [
        f"{name} has no such domain or column: nothing of it is in this view." for name in reply.left_out
    ]
    if asked.effort == Effort() and (low := low_recall(retriever, settled)):
        notes.append(low)
    hits(result.hits, [*notes, *([result.shortfall] if result.shortfall else [])])
