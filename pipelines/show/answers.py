"""What a query brings: passages, or an answer with those it was read from; and who gives it."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from datastore.invalid import written
from pipelines.build.progress import amount
from pipelines.show.terminal import console, print_json

if TYPE_CHECKING:
    from datastore.store import Datastore
    from datastore.view import View
    from lm.reader import Reader
    from retriever.index import Setting
    from retriever.ranking import Hit, Method, Ranking
    from retriever.search import Retriever
    from serve.answerer import Answer

_SHOWN_CHARACTERS = 600
# Passages that are looked at for an example of a metadata column.
_EXAMPLES = 1000


def hits(
    query: str,
    ranking: "Ranking",
    manifest: str,
    setting: "Setting",
    seconds: Mapping[str, float],
    notes: Sequence[str],
    left_out: Sequence[str],
    as_json: bool,
) -> None:
    """Print a search's result; in words also `notes` about it, as JSON the stores that are `left_out`."""
    if as_json:
        from serve.answerer import hit_to_json

        found = [hit_to_json(hit) for hit in ranking.hits]
        print_json(
            {
                "query": query,
                "manifest": manifest,
                "hits": found,
                "exhausted": ranking.exhausted,
                "left_out": list(left_out),
                "setting": {"nprobe": setting.nprobe, "depth": setting.depth},
                "seconds": seconds,
            }
        )
        return
    for note in notes:
        console.print(note, style="yellow", markup=False)
    for number, hit in enumerate(ranking.hits, 1):
        _passage(number, hit)


def shortfall(
    retriever: "Retriever", ranking: "Ranking", view: "View", nprobe: int, method: "Method", filtered: bool
) -> str:
    """Why a search found fewer passages than it was to. `filtered`: hits may have been dropped."""
    stores = [one.store for one in retriever.stores.values()]
    if not any(store.passages for store in stores):
        return "The store has no passages: all of them are taken down."
    lists = max(one.index.nlist for one in retriever.stores.values())
    within = "" if view.everything else " in this view"
    why = f"there are no more{within}"
    if method.name == "bm25":
        why = f"no other passage{within} holds a word of the query"
    elif nprobe < lists:
        why = (
            f"there are no more{within} in the {amount(nprobe, 'lists')} probed (--nprobe {lists} probes all)"
        )
    if filtered:
        why += " that the filters keep"
    examples = [_example(stores, column) for column in view.columns] if not ranking.hits else []
    return f"Only {len(ranking.hits)}: {'; '.join([why, *examples])}."


def _example(stores: "Sequence[Datastore]", column: str) -> str:
    """What a metadata column holds: a condition that compares with something else is met by nothing."""
    passages = (passage for store in stores for passage in islice(store, _EXAMPLES))
    values = (passage.metadata.get(column) for passage in passages)
    value = next((value for value in values if value is not None), None)
    return (
        f"{column} is {written(value)}, for example" if value is not None else f"few passages have {column}"
    )


def answer(question: str, found: "Answer", reader: "Reader", as_json: bool) -> None:
    """Print an answer and the passages it was read from."""
    if as_json:
        print_json(
            {
                "question": question,
                "answer": found.text,
                "citations": [citation.to_json() for citation in found.citations],
                "reader": {
                    "name": reader.name,
                    "quantization": reader.quantization,
                    "bytes": reader.bytes,
                },
                "tokens": {
                    "prompt": found.completion.prompt_tokens,
                    "answer": found.completion.tokens,
                },
                "finished": found.completion.finished,
                "seconds": found.seconds,
            }
        )
        return
    console.print(Panel(escape(found.text or "(no answer)"), title=escape(question), border_style="green"))
    # An answer that cites nothing is shown with the passage it should have come from.
    shown = [c for c in found.citations if c.cited] or list(found.citations[:1])
    for citation in shown:
        _passage(citation.number, citation.hit)
    if read := [str(c.number) for c in found.citations if not c.cited]:
        console.print(f"[dim]Read, not cited: {', '.join(read)} (`ralm ask --json` shows them).")
    console.print(
        f"[dim]{escape(reader.name)}, {reader.quantization}, {amount(reader.bytes, 'bytes')}; "
        f"search {found.seconds['search']:.2f}s, reading {found.seconds['read']:.2f}s"
    )


def _passage(number: int, hit: "Hit") -> None:
    passage = hit.passage
    text = " ".join(passage.text.split())
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS].rsplit(" ", 1)[0] + " …"
    head = f"[bold]\\[{number}][/] {hit.score:.3f}  [cyan]{escape(passage.domain)}[/]  "
    where = f"{hit.store}, row {hit.row}" if hit.store else f"row {hit.row}"
    console.print(f"{head}{escape(passage.doc_id)}  [dim]chunk {passage.chunk}, {escape(where)}[/]")
    console.print(Panel(escape(shown), border_style="dim"))


def loading(reader: str) -> None:
    """Say on standard error that a model is being loaded: the first time takes long enough to worry."""
    note = f"Loading {reader} (a packaged one is converted first, once: up to a minute) ..."
    Console(stderr=True, highlight=False).print(f"[dim]{escape(note)}")


def serving(host: str, port: int) -> None:
    """Print where the server answers."""
    console.print(f"ralm answers at http://{host}:{port} (its API: http://{host}:{port}/docs)")
