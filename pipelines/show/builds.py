"""A build: what it would take, and what it made."""

from pathlib import Path
from typing import TYPE_CHECKING

from base.amounts import amount, duration
from datastore.files.layout import Layout
from datastore.generations.manifest import DOUBTFUL, EncoderCard, Manifest
from datastore.objects.origin import address_of
from pipelines.contamination.table import sought
from pipelines.execution.metering.measured import of_embedding
from pipelines.jobs.stages import SHOWN_REMOVED, SHOWN_SKIPPED
from pipelines.show.counts import doubtful, dropped, known_ids, unknown_tokens, warn_of_unknown
from pipelines.show.ignored import ignored, ignored_by
from pipelines.show.terminal import console, print_rows
from pipelines.show.took import speed
from pipelines.show.unreadable import unreadable

if TYPE_CHECKING:
    from pipelines.jobs.estimate import Estimate


def dry_run(found: "Estimate", workers: int, with_ray: bool) -> None:
    """Print a dry run's plan."""
    rows = [
        ("input", f"{amount(found.corpus.input_bytes, 'bytes')} in {amount(found.corpus.splits, 'splits')}"),
        ("documents", f"{found.corpus.documents_read:,}"),
        ("kept by filters", f"{found.corpus.documents:,}"),
        ("passages", f"{found.corpus.passages:,}"),
        ("tokens", f"{found.corpus.tokens:,}"),
        ("text on disk", amount(found.corpus.text_bytes, "bytes")),
        ("vectors on disk", amount(found.vector_bytes, "bytes")),
        (f"index {found.index_key} in memory", amount(found.index_bytes, "bytes")),
        (f"time on {amount(workers, 'workers')}", duration(found.seconds)),
    ]
    print_rows("Plan (nothing is written)", rows)
    console.print(
        f"[dim]Extrapolated from {found.corpus.sample}. Duplicates are not foreseen, and "
        f"{'starting Ray and ' if with_ray else ''}loading the encoder (some seconds) is not counted."
    )
    warnings = [one.warning for one in found.corpus.unknown]
    notes = (found.corpus.left_out, ignored(found.corpus.ignored), *warnings, found.corpus.doubt, found.doubt)
    for doubt in filter(None, notes):
        console.print(doubt, style="yellow", markup=False)


def built(store: Path, manifest: Manifest) -> None:
    """Print what a finished build holds, and how fast it was embedded."""
    counts = manifest.counts
    size = sum(entry.bytes for entry in manifest.files)
    rows = [
        ("files of other kinds, ignored", f"{counts['ignored_files']:,}"),
        ("records read", f"{counts['records']:,}"),
        ("unreadable", f"{counts['unreadable']:,}"),
        *SHOWN_SKIPPED.rows(counts),
        ("documents", f"{counts['documents']:,}"),
        *SHOWN_REMOVED.rows(counts),
        ("documents indexed", f"{counts['indexed']:,}"),
        *dropped(counts),
        ("passages", f"{counts['passages']:,}"),
        ("tokens", f"{counts['tokens']:,}"),
        *unknown_tokens(counts, manifest.encoder.name),
        *_encoders(manifest.encoder),
        ("index", manifest.index.key),
        ("on disk", amount(size, "bytes")),
        ("manifest", manifest.hash),
    ]
    if fast := speed(of_embedding(Layout(store), manifest.generation)):
        rows.insert(-1, ("embedding", fast))
    print_rows(address_of(store), rows)
    if manifest.contamination:
        _sought(store / manifest.contamination.path)
    warn_of_unknown(counts, manifest.encoder.name)
    if said := known_ids(counts, Layout(store)):
        console.print(said, style="yellow", markup=False, soft_wrap=True)
    if DOUBTFUL in counts:
        console.print(doubtful(counts), style="yellow", markup=False)
    if counts["unreadable"]:
        unreadable(store / "removed" / "unreadable")
    if unread := ignored_by(Layout(store)):
        console.print(unread, style="yellow", markup=False)


def _encoders(card: EncoderCard) -> list[tuple[str, str]]:
    """What embeds, and how: prompts that are missing show in no other way than by poor answers."""
    used = [f"{kind} prompt {text!r}" for kind, text in card.prompts.items() if text]
    used += [f"pooling {card.pooling}"] if card.pooling else []
    used += [] if card.normalized else ["dot product"]
    rows = [("encoder", card.name if card.query is None else f"{card.name}, queries: {card.query.name}")]
    return rows + ([("used with", ", ".join(used))] if used else [])


def _sought(table: Path) -> None:
    """Say how much of each file of questions passages were checked for."""
    for one in sought(table):
        console.print(
            f"Of {one.file} {one.sought:,} of {one.texts:,} questions and answers have enough words to be "
            "looked for in passages.",
            style="dim" if one.sought else "yellow",
            markup=False,
        )
        if one.warning:
            console.print(one.warning, style="yellow", markup=False)
