"""What a query brings: passages, or an answer with those it was read from; and who gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel

from base.amounts import amount
from lm.abstention import abstains
from lm.backends.weights import to_convert
from lm.reader import card
from pipelines.show.terminal import as_shown, console, print_json
from serve.answering.timings import READING, total

if TYPE_CHECKING:
    from client import replies
    from lm.reader import Reader
    from serve.answering.answers import Answer
    from serve.schemas.hits import CitationModel, HitModel
    from serve.schemas.searching import SearchReply

_SHOWN_CHARACTERS = 600
_TITLE_CHARACTERS, _VALUE_CHARACTERS = 60, 40


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to be shown, whoever gave it: `reader` is a card, `tokens` are by `prompt` and `answer`."""

    text: str
    citations: "Sequence[CitationModel | replies.Citation]"
    reader: Mapping[str, Any]
    tokens: Mapping[str, int]
    finished: bool
    trimmed: int
    seconds: Mapping[str, float]


def found(
    query: str, reply: "SearchReply | replies.SearchReply", as_json: bool, doubt: str | None = None
) -> None:
    """Print what a search for one query found; `doubt` is what else is to be known of it."""
    (result,) = reply.results
    if as_json:
        content = result.model_dump() | reply.model_dump(exclude={"results"})
        print_json({"query": query, "manifest": reply.manifest} | content)
        return
    notes = [
        f"{name} has no such domain or column: nothing of it is in this view." for name in reply.left_out
    ]
    hits(result.hits, [*notes, *filter(None, (doubt, result.shortfall))])


def hits(found: "Sequence[HitModel | replies.Hit]", notes: Sequence[str]) -> None:
    """Print hits, behind notes about them."""
    for note in notes:
        console.print(note, style="yellow", markup=False)
    for number, hit in enumerate(found, 1):
        _passage(number, hit)


def answer(question: str, found: "Answer", reader: "Reader", as_json: bool) -> None:
    """Print an answer that a reader of this process gave, and the passages it was read from."""
    from serve.schemas.hits import CitationModel

    done = found.completion
    told = Told(
        found.text,
        [CitationModel.of_citation(citation) for citation in found.citations],
        card(reader),
        {"prompt": done.prompt_tokens, "answer": done.tokens},
        done.finished,
        found.trimmed,
        found.seconds,
    )
    tell(question, told, as_json)


def tell(question: str, told: Told, as_json: bool) -> None:
    """Print an answer and the passages it was read from."""
    citations = told.citations
    if as_json:
        print_json(
            {
                "question": question,
                "answer": told.text,
                "abstained": abstains(told.text),
                "citations": [citation.model_dump() for citation in citations],
                "reader": told.reader,
                "tokens": told.tokens,
                "finished": told.finished,
                "trimmed": told.trimmed,
                "seconds": told.seconds,
            }
        )
        return
    console.print(Panel(as_shown(told.text or "(no answer)"), title=_title(question), border_style="green"))
    if not told.finished:
        console.print(
            f"The answer is cut: it has {amount(told.tokens['answer'], 'tokens')}, the most it may take."
        )
    shown = [c for c in citations if c.cited]
    others = "Read, not cited"
    if not shown and citations:
        console.print(f"{_uncited(told.text)} The nearest passage that was read:")
        shown, others = [citations[0]], "Read too"
    for citation in shown:
        _passage(citation.number, citation)
        _supports(citation)
    if read := [str(c.number) for c in citations if c not in shown]:
        console.print(f"[dim]{others}: {', '.join(read)} (`ralm ask --json` shows them).")
    if told.trimmed:
        console.print(f"[dim]Passages cut or left out, as they had no room (--budget): {told.trimmed}.")
    reader, seconds = told.reader, told.seconds
    console.print(
        f"[dim]{as_shown(reader['name'])}, {as_shown(reader['quantization'])}, {_bytes(reader)}"
        f"{_adapter(reader)}; "
        f"search {_search(seconds):.2f}s, reading {total(seconds, READING):.2f}s"
        + (f", measuring support {seconds['support']:.2f}s" if "support" in seconds else "")
    )


def _search(seconds: Mapping[str, float]) -> float:
    return total(seconds, seconds.keys() - {*READING, "support"})


def _title(question: str) -> str:
    """A question as its answer's title, which a frame would cut without a sign."""
    return as_shown(_short(question, max(_VALUE_CHARACTERS, console.width - 8)))


def _uncited(answer: str) -> str:
    """Why an answer cites nothing."""
    if abstains(answer):
        return "The passages do not tell the reader."
    return "Nothing is cited: no passage holds most of a sentence's words."


def _supports(citation: "CitationModel | replies.Citation") -> None:
    """Print how far a passage supports each sentence of the answer, where that was measured."""
    for one in citation.support or ():
        gain = "" if one.gain is None else f", {one.gain:+.1f} bits a token by reading it"
        said = f"“{as_shown(_short(one.sentence, _TITLE_CHARACTERS))}”: {one.words:.0%} of its words{gain}"
        console.print(Padding(said, (0, 0, 0, 4), expand=False))


def _bytes(reader: Mapping[str, Any]) -> str:
    found = reader["bytes"]
    return "bytes unknown" if found is None else amount(found, "bytes")


def _adapter(reader: Mapping[str, Any]) -> str:
    return f", adapter {as_shown(reader['adapter'])}" if reader["adapter"] else ""


def _passage(number: int, hit: "HitModel | replies.Hit") -> None:
    text = " ".join(hit.text.split())
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS].rsplit(" ", 1)[0] + " …"
    head = f"[bold]\\[{number}][/] {hit.score:.3f}  [cyan]{as_shown(hit.domain)}[/]  "
    where = f"{hit.store}, row {hit.row}" if hit.store else f"row {hit.row}"
    console.print(f"{head}{as_shown(hit.doc_id)}")
    if about := _about(hit):
        console.print(f"    {about}", style="dim", no_wrap=True, overflow="ellipsis")
    # On the frame: behind a long id it would break a line in two.
    under = f"chunk {hit.chunk}, {as_shown(where)}"
    console.print(Panel(as_shown(shown), border_style="dim", subtitle=under, subtitle_align="right"))


def _about(hit: "HitModel | replies.Hit") -> str:
    """A passage's metadata, as much as a line holds: the title, then names and values, long ones cut."""
    metadata = dict(hit.metadata)
    title = metadata.pop("title", None)
    told = [f"{name}={_short(value)}" for name, value in metadata.items() if value not in (None, "")]
    if title not in (None, "", hit.doc_id):
        told.insert(0, _short(title, _TITLE_CHARACTERS))
    return as_shown("  ".join(told))


def _short(value: object, most: int = _VALUE_CHARACTERS) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def loading(reader: str) -> None:
    """Say on standard error that a model is being loaded: the first time takes long enough to worry."""
    first = " (it is converted first, once: up to a minute)" if to_convert(reader) else ""
    note = f"Loading {reader}{first} ..."
    Console(stderr=True, highlight=False).print(f"[dim]{as_shown(note)}")


def serving(host: str, port: int) -> None:
    """Print where the server answers."""
    console.print(f"ralm answers at http://{host}:{port} (its API: http://{host}:{port}/docs)")
