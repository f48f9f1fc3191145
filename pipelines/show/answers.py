"""What a query brings: passages, or an answer with those it was read from; and who gives it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
    from lm.reader import Reader
    from serve.answering.answers import Answer
    from serve.schemas.hits import CitationModel, HitModel

_SHOWN_CHARACTERS = 600
_TITLE_CHARACTERS, _VALUE_CHARACTERS = 60, 40


def hits(found: "Sequence[HitModel]", notes: Sequence[str]) -> None:
    """Print what a search found, behind notes about it."""
    for note in notes:
        console.print(note, style="yellow", markup=False)
    for number, hit in enumerate(found, 1):
        _passage(number, hit)


def answer(question: str, found: "Answer", reader: "Reader", as_json: bool) -> None:
    """Print an answer and the passages it was read from."""
    from serve.schemas.hits import CitationModel

    citations = [CitationModel.of_citation(citation) for citation in found.citations]
    if as_json:
        print_json(
            {
                "question": question,
                "answer": found.text,
                "citations": [citation.model_dump() for citation in citations],
                "reader": card(reader),
                "tokens": {
                    "prompt": found.completion.prompt_tokens,
                    "answer": found.completion.tokens,
                },
                "finished": found.completion.finished,
                "trimmed": found.trimmed,
                "seconds": found.seconds,
            }
        )
        return
    console.print(Panel(as_shown(found.text or "(no answer)"), title=_title(question), border_style="green"))
    if not found.completion.finished:
        console.print(
            f"The answer is cut: it has {amount(found.completion.tokens, 'tokens')}, the most it may take."
        )
    shown = [c for c in citations if c.cited]
    others = "Read, not cited"
    if not shown and citations:
        console.print(f"{_uncited(found.text)} The nearest passage that was read:")
        shown, others = citations[:1], "Read too"
    for citation in shown:
        _passage(citation.number, citation)
        _supports(citation)
    if read := [str(c.number) for c in citations if c not in shown]:
        console.print(f"[dim]{others}: {', '.join(read)} (`ralm ask --json` shows them).")
    if found.trimmed:
        console.print(f"[dim]Passages cut or left out, as they had no room (--budget): {found.trimmed}.")
    console.print(
        f"[dim]{as_shown(reader.name)}, {reader.quantization}, {_bytes(reader)}{_adapter(reader)}; "
        f"search {_search(found.seconds):.2f}s, reading {total(found.seconds, READING):.2f}s"
        + (f", measuring support {found.seconds['support']:.2f}s" if "support" in found.seconds else "")
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


def _supports(citation: "CitationModel") -> None:
    """Print how far a passage supports each sentence of the answer, where that was measured."""
    for one in citation.support or ():
        gain = "" if one.gain is None else f", {one.gain:+.1f} bits a token by reading it"
        said = f"“{as_shown(_short(one.sentence, _TITLE_CHARACTERS))}”: {one.words:.0%} of its words{gain}"
        console.print(Padding(said, (0, 0, 0, 4), expand=False))


def _bytes(reader: "Reader") -> str:
    found = reader.measured_bytes
    return "bytes unknown" if found is None else amount(found, "bytes")


def _adapter(reader: "Reader") -> str:
    return f", adapter {as_shown(reader.adapter)}" if reader.adapter else ""


def _passage(number: int, hit: "HitModel") -> None:
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


def _about(hit: "HitModel") -> str:
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
