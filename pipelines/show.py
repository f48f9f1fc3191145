"""What the commands print: tables and passages for people, JSON for programs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from datastore.layout import Layout
from datastore.manifest import EncoderCard, Manifest
from datastore.origin import Origin, address_of
from pipelines.build.contamination import BY, sought
from pipelines.build.lines import REPEATED
from pipelines.build.measured import of_embedding
from pipelines.build.measured import total as total_of
from pipelines.build.progress import amount, duration
from pipelines.took import notes, speed, worked

if TYPE_CHECKING:
    from datastore.sweep import Swept
    from datastore.takedown import Takedown
    from lm.reader import Reader
    from pipelines.build.estimate import Estimate
    from pipelines.build.status import JobStatus, Status
    from pipelines.evaluate.scaling import Curve
    from retriever.card import Card
    from retriever.index import Setting
    from retriever.ranking import Hit, Ranking
    from serve.answerer import Answer

console = Console(highlight=False)

_SHOWN_CHARACTERS = 600
_SHOWN_DOCUMENTS = 10


def print_json(content: object) -> None:
    """Print JSON, indented, as UTF-8."""
    console.print(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode(), markup=False, soft_wrap=True)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(title=escape(title), show_header=False, title_justify="left", box=None)
    table.add_column(style="dim")
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def dry_run(found: "Estimate", workers: int) -> None:
    """Print a dry run's plan."""
    rows = [
        ("input", f"{amount(found.corpus.input_bytes, 'bytes')} in {amount(found.corpus.splits, 'splits')}"),
        ("documents", f"{found.corpus.documents:,}"),
        ("passages", f"{found.corpus.passages:,}"),
        ("tokens", f"{found.corpus.tokens:,}"),
        ("text on disk", amount(found.corpus.text_bytes, "bytes")),
        ("vectors on disk", amount(found.vector_bytes, "bytes")),
        (f"index {found.index_key} in memory", amount(found.index_bytes, "bytes")),
        (f"time on {amount(workers, 'workers')}", duration(found.seconds)),
    ]
    console.print(_table("Plan (nothing is written)", rows))
    console.print(
        f"[dim]Extrapolated from {found.corpus.sample}; starting Ray and loading the encoder (some "
        "15 seconds) not counted."
    )
    if found.corpus.doubt:
        console.print(found.corpus.doubt, style="yellow")


def built(store: Path, manifest: Manifest) -> None:
    """Print what a finished build holds, and how fast it was embedded."""
    counts = manifest.counts
    size = sum(entry.bytes for entry in manifest.files)
    rows = [
        ("files of other kinds, ignored", f"{counts['ignored_files']:,}"),
        ("records read", f"{counts['records']:,}"),
        ("unreadable", f"{counts['unreadable']:,}"),
        *_named(counts, "skipped"),
        ("documents", f"{counts['documents']:,}"),
        *_named(counts, "removed"),
        ("documents indexed", f"{counts['indexed']:,}"),
        *_dropped(counts),
        ("passages", f"{counts['passages']:,}"),
        ("tokens", f"{counts['tokens']:,}"),
        *_encoders(manifest.encoder),
        ("index", manifest.index.key),
        ("on disk", amount(size, "bytes")),
        ("manifest", manifest.hash),
    ]
    if fast := speed(of_embedding(Layout(store), manifest.generation)):
        rows.insert(-1, ("embedding", fast))
    console.print(_table(address_of(store), rows))
    if manifest.contamination:
        _sought(store / manifest.contamination.path)
    if counts["unreadable"]:
        console.print(f"What could not be read: {escape(str(store))}/removed/unreadable/", style="yellow")


def _encoders(card: EncoderCard) -> list[tuple[str, str]]:
    """What embeds, and how: prompts that are missing show in no other way than by poor answers."""
    used = [f"{kind} prompt {text!r}" for kind, text in card.prompts.items() if text]
    used += [f"pooling {card.pooling}"] if card.pooling else []
    used += [] if card.normalized else ["dot product"]
    rows = [("encoder", card.name if card.query is None else f"{card.name}, queries: {card.query.name}")]
    return rows + ([("used with", ", ".join(used))] if used else [])


def _named(counts: Mapping[str, int], what: str) -> list[tuple[str, str]]:
    """A row for each count of a kind, as `removed: length`."""
    found = {n.partition(".")[2]: c for n, c in counts.items() if n.startswith(f"{what}.")}
    return [(f"{what}: {name.replace('_', ' ')}", f"{n:,}") for name, n in found.items()]


def _dropped(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Rows for repeated lines, each reason for which passages are dropped, and each file of questions."""
    reasons = {n.partition(".")[2]: c for n, c in counts.items() if n.startswith("dropped.")}
    files = {n.removeprefix(BY): c for n, c in counts.items() if n.startswith(BY)}
    lines = [("repeated lines, left out", f"{counts[REPEATED]:,}")] if REPEATED in counts else []
    return [
        *lines,
        *((f"passages dropped: {reason.replace('_', ' ')}", f"{n:,}") for reason, n in reasons.items()),
        *((f"  for {file}", f"{n:,}") for file, n in files.items()),
    ]


def _sought(table: Path) -> None:
    """Say how much of each file of questions passages were checked for."""
    for one in sought(table):
        console.print(
            f"Of {one.file} {one.sought:,} of {one.texts:,} questions and answers have enough words to be "
            "looked for in passages.",
            style="dim" if one.sought else "yellow",
            markup=False,
        )


def added(store: Path, manifest: Manifest, counts: Mapping[str, int]) -> None:
    """Print what an addition brought."""
    rows = [
        ("records read", f"{counts['records']:,}"),
        ("unreadable", f"{counts['unreadable']:,}"),
        *_named(counts, "skipped"),
        *_named(counts, "removed"),
        ("documents added", f"{counts['indexed']:,}"),
        *_dropped(counts),
        ("passages added", f"{counts['passages']:,}"),
        ("passages in all", f"{manifest.passages:,}"),
        ("generation", f"{manifest.generation}"),
        ("manifest", manifest.hash),
    ]
    console.print(_table(address_of(store), rows))
    if counts["unreadable"]:
        console.print(f"What could not be read: {escape(str(store))}/removed/", style="yellow")
    if not counts["passages"]:
        console.print("Nothing is new: the store stays as it was.")


def deleted(store: Path, before: Manifest, after: Manifest, documents: Sequence["Takedown"]) -> None:
    """Print what a takedown hid."""
    for document in documents[:_SHOWN_DOCUMENTS]:
        console.print(f"  [cyan]{escape(document.domain)}[/]  {escape(document.doc_id)}")
    if len(documents) > _SHOWN_DOCUMENTS:
        console.print(f"  ... and {len(documents) - _SHOWN_DOCUMENTS:,} more")
    if after.generation == before.generation:
        console.print("All of them were taken down already: the store stays as it was.")
        return
    console.print(
        f"Taken down: {amount(len(documents), 'documents')}, "
        f"{amount(before.passages - after.passages, 'passages')}. "
        f"Generation {after.generation} has {after.passages:,}. "
        f"`ralm compact {address_of(store)}` removes them from the disk."
    )


def would_delete(documents: Sequence["Takedown"]) -> None:
    """Print what a takedown would hide."""
    for document in documents:
        console.print(f"  [cyan]{escape(document.domain)}[/]  {escape(document.doc_id)}")
    console.print(f"{amount(len(documents), 'documents')} would be taken down; nothing is changed.")


def discarded(store: Path, job: str | None) -> None:
    """Print which job was given up."""
    console.print(
        f"Gave up {job}: {address_of(store)} is as it was before."
        if job
        else f"{address_of(store)} has no unfinished job: nothing done."
    )


def compacted(store: Path, before: Manifest, after: Manifest, swept: "Swept") -> None:
    """Print what a compaction wrote and freed."""
    if after.edition == before.edition:
        console.print("Nothing to rewrite: no shard holds rows taken down, none fits into its neighbour.")
    else:
        console.print(
            f"Generation {after.generation}: {amount(after.passages, 'passages')} in "
            f"{amount(len(after.shards), 'shards')} "
            f"(before: {amount(before.rows, 'rows')} in {len(before.shards):,})."
        )
    # Objects go by their age: `swept`.
    where = f" in the cache {store}" if Origin.of(store) else ""
    console.print(f"Freed{where}: {amount(swept.bytes, 'bytes')}.", markup=False)
    if swept.open:
        numbers = ", ".join(map(str, swept.open))
        console.print(
            f"Still open somewhere: generation {numbers}; the next `ralm compact` removes its files."
        )


def swept(store: Path, found: "Swept") -> None:
    """Print what a sweep of a bucket freed."""
    console.print(f"Freed in {address_of(store)}: {amount(found.bytes, 'bytes')}.", markup=False)
    if found.open:
        numbers = ", ".join(map(str, found.open))
        console.print(f"Generation {numbers} was current within that time: its files stay.")


def status(store: Path, found: "Status") -> None:
    """Print the stages of a build, and of what has changed the store since."""
    for job in found.jobs:
        what = f": {_called(job)}" if len(found.jobs) > 1 else ""
        console.print(f"{address_of(store)}{what}", style="italic", markup=False)
        console.print(_stages(job))
    for note in _notes(found):
        console.print(note, style="dim", markup=False)
    for what, count in _dropped(found.dropped):
        console.print(f"{what}: {count}", markup=False)
    if found.manifest:
        m = found.manifest
        console.print(
            f"Published: generation {m.generation}, {amount(m.passages, 'passages')}, manifest {m.hash}."
        )
        if hidden := m.rows - m.passages:
            console.print(
                f"Taken down and still on disk: {amount(hidden, 'passages')} (`ralm compact` frees the disk)."
            )
    if found.unfinished:
        console.print(
            f"Not finished: run the same `ralm {found.unfinished}` again, it goes on where it stopped, or "
            f"`ralm discard {address_of(store)}` to give it up.",
            style="yellow",
        )
    elif not found.manifest:
        console.print("Not finished: run the same `ralm build` again, it goes on where it stopped.")


def _notes(found: "Status") -> list[str]:
    """How fast each job embedded, and what told the joules of the first."""
    first, *later = found.jobs
    return [
        *notes({stage.name: stage.took for stage in first.stages}, found.took),
        *(
            f"{stage.name} of {_called(job)}: {fast}."
            for job in later
            for stage in job.stages
            if (fast := speed(stage.took))
        ),
    ]


def _called(job: "JobStatus") -> str:
    """A job and what it made, as far as that is known."""
    if job.generation is None:
        return f"{job.name}, not finished"
    return f"{job.name}, generation {job.generation}" if job.generation else f"{job.name}, done"


def _stages(job: "JobStatus") -> Table:
    table = Table(box=None)
    for name, justify in (
        ("stage", "left"),
        ("done", "right"),
        ("of", "right"),
        ("worked", "right"),
        ("energy", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for stage in job.stages:
        if stage.total == 0:
            continue
        total = "?" if stage.total is None else f"{stage.total:,}"
        style = "green" if stage.done == stage.total else "yellow" if stage.done else "dim"
        table.add_row(stage.name, f"{stage.done:,}", total, *worked(stage.took), style=style)
    table.add_row("in all", "", "", *worked(total_of(stage.took for stage in job.stages)))
    return table


def verified(store: Path, problems: Sequence[str]) -> None:
    """Print what `verify` found."""
    for problem in problems:
        console.print(problem, style="red", markup=False)
    if not problems:
        console.print(f"{address_of(store)} is whole: checksums, counts and rows agree.", markup=False)


def hits(
    query: str,
    ranking: "Ranking",
    manifest: str,
    setting: "Setting",
    seconds: Mapping[str, float],
    as_json: bool,
) -> None:
    """Print a search's result."""
    if as_json:
        from serve.answerer import hit_to_json

        found = [hit_to_json(hit) for hit in ranking.hits]
        print_json(
            {
                "query": query,
                "manifest": manifest,
                "hits": found,
                "exhausted": ranking.exhausted,
                "setting": {"nprobe": setting.nprobe, "depth": setting.depth},
                "seconds": seconds,
            }
        )
        return
    if ranking.exhausted:
        console.print(f"[dim]Only {len(ranking.hits)}: the lists probed hold no more in this view.")
    for number, hit in enumerate(ranking.hits, 1):
        _passage(number, hit)


def card(found: "Card") -> None:
    """Print the settings of an index that are worth choosing: none is both quicker and better."""
    table = Table(
        title=f"{amount(found.rows, 'passages')}, {amount(found.queries, 'queries')}",
        title_justify="left",
        box=None,
    )
    for name in ("lists probed", "re-scored", "recall@10", "recall@100", "read", "ms a query"):
        table.add_column(name, justify="right")
    reached = 0.0
    for rung in sorted(found.rungs, key=lambda rung: rung.milliseconds):
        if rung.recall_10 > reached:
            reached = rung.recall_10
            table.add_row(
                f"{rung.nprobe:,}" if rung.nprobe else "all",
                f"{rung.depth:,}",
                f"{rung.recall_10:.3f}",
                # Fewer re-scored than asked for: a search for 100 takes a deeper setting.
                f"{rung.recall_100:.3f}" if not 0 < rung.depth < 100 else "",
                amount(rung.bytes_read, "bytes"),
                f"{rung.milliseconds:.2f}",
            )
    console.print(table)


def _passage(number: int, hit: "Hit") -> None:
    passage = hit.passage
    text = " ".join(passage.text.split())
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS].rsplit(" ", 1)[0] + " …"
    head = f"[bold]\\[{number}][/] {hit.score:.3f}  [cyan]{escape(passage.domain)}[/]  "
    where = f"{hit.store}, row {hit.row}" if hit.store else f"row {hit.row}"
    console.print(f"{head}{escape(passage.doc_id)}  [dim]chunk {passage.chunk}, {escape(where)}[/]")
    console.print(Panel(escape(shown), border_style="dim"))


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


def loading(reader: str) -> None:
    """Say on standard error that a model is being loaded: the first time takes long enough to worry."""
    note = f"Loading {reader} (a packaged one is converted first, once: up to a minute) ..."
    Console(stderr=True, highlight=False).print(f"[dim]{escape(note)}")


def serving(host: str, port: int) -> None:
    """Print where the server answers."""
    console.print(f"ralm answers at http://{host}:{port} (its API: http://{host}:{port}/docs)")


def curve(found: "Curve", output: Path) -> None:
    """Print a scaling study's table."""
    table = Table(title="Scaling", title_justify="left", box=None)
    for name in found.columns():
        table.add_column(name, justify="right")
    for row in found.rows_for_people():
        # The interval under its value: beside it, eight columns do not fit a terminal.
        table.add_row(*(cell.replace(" [", "\n\\[") for cell in row))
    console.print(table)
    console.print(f"Table and plot: {escape(str(output))}/results.parquet, scaling.png, report.md")
