"""`ralm search`: the passages nearest to a query."""

from dataclasses import replace
from typing import Annotated

import typer

from pipelines.commands.options import (
    Also,
    AsJson,
    EncoderPlace,
    QueryEncoderPlace,
    Store,
    as_device,
    as_place,
)


def search(  # noqa: PLR0913
    store: Store,
    query: Annotated[str, typer.Argument(help="what to look for")],
    also: Also = None,
    k: Annotated[int, typer.Option("-k", help="passages to show")] = 5,
    encoder: EncoderPlace = None,
    query_encoder: QueryEncoderPlace = None,
    device: Annotated[str, typer.Option(help="cpu or cuda: what encodes and searches")] = "cpu",
    index_in: Annotated[str, typer.Option(help="memory, disk, or auto: memory if it fits")] = "auto",
    recall: Annotated[
        float | None, typer.Option(help="quickest setting of this recall@10, instead of the next two")
    ] = None,
    nprobe: Annotated[int | None, typer.Option(help="lists to probe")] = None,
    depth: Annotated[int | None, typer.Option(help="vectors to re-score exactly; 0: none")] = None,
    method: Annotated[str | None, typer.Option(help="dense, bm25 or hybrid (default, if it can)")] = None,
    fusion: Annotated[str, typer.Option(help="how hybrid joins: rrf or weighted")] = "weighted",
    domain: Annotated[list[str] | None, typer.Option(help="only of this domain (repeatable)")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="only what has it so: year>=2010 (repeatable)")
    ] = None,
    fraction: Annotated[float, typer.Option(help="search a sample of the store")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="which sample")] = 0,
    near_duplicates: Annotated[float | None, typer.Option(help="drop hits so like a better one, 0.8")] = None,
    decontaminate: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="drop hits with the query's text: containment, overlap, jaccard"),
    ] = None,
    cross_encoder: Annotated[str | None, typer.Option(help="rank the best hits by this model")] = None,
    diversity: Annotated[float, typer.Option(help="prefer hits unlike those chosen, 0 to 1")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Show the passages nearest to a query."""
    from datastore.view import Condition, View
    from pipelines.commands.stores import Opening, open_stores
    from pipelines.show.answers import hits
    from pipelines.show.terminal import print_json
    from retriever.ranking.results import Method, Seconds
    from retriever.refinement import Decontamination, Refinement
    from retriever.refusals import Asked, require_text
    from retriever.shortfall import Shortfall, low_recall
    from serve.answerer import ranking_to_json, setting_to_json

    require_text([query])
    conditions = tuple(Condition.parse(text) for text in where or [])
    view = View(fraction, seed, tuple(domain or []), conditions)
    how = Method(method or "hybrid", fusion)  # type: ignore[arg-type]
    drops = Decontamination.by(decontaminate) if decontaminate else None
    refinement = Refinement(near_duplicates, drops, cross_encoder, diversity)
    by_words = method == "bm25"
    how_opened = Opening(as_device(device), as_place(index_in), encoder, query_encoder, words_only=by_words)
    stores = [store, *(also or [])]
    Asked(k, view, recall, nprobe, depth, how if method else None).check(stores)
    retriever = open_stores(stores, how_opened)
    seconds = Seconds()
    chosen = None if by_words else retriever.setting(k, recall, nprobe, depth)
    how = how if method else replace(how, name=retriever.method.name)
    (ranking,) = retriever.refine([query], k, refinement, view, chosen, how, seconds=seconds)
    left_out = retriever.left_out(view)
    notes = [f"{name} has no such domain or column: nothing of it is in this view." for name in left_out]
    by_default = recall is None and nprobe is None and depth is None
    if chosen is not None and by_default and (low := low_recall(retriever, chosen, k)):
        notes.append(low)
    shortfall = Shortfall(retriever, view, chosen, how, refinement.filters).of(query, ranking)
    if as_json:
        print_json(
            {
                "query": query,
                "manifest": retriever.hash,
                **ranking_to_json(ranking, shortfall),
                "left_out": list(left_out),
                "setting": setting_to_json(retriever, chosen, k, how, view),
                "seconds": seconds.stages,
            }
        )
    else:
        hits(ranking, [*notes, *([shortfall] if shortfall else [])])
