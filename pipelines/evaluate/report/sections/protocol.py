"""What was measured of what: protocol, tasks, manifests, readers, and the study's file."""

from collections.abc import Sequence

from pipelines.evaluate.mixtures.tables import MIXTURES, Mixture, read
from pipelines.evaluate.report.section import Section, Table
from pipelines.evaluate.report.sections.study import Study
from pipelines.evaluate.report.wording import size
from pipelines.evaluate.tables import Result


def protocol(study: Study) -> Section:
    """The section."""
    about, results = study.about, study.tables.results
    tables = [_tasks(results), _stores(results)] if results else []
    if any(one.cell.reader for one in results):
        tables.append(_readers(results))
    said = [f"Study {study.tables.study}."] if results else []
    mixed = {one.task: one.manifest for one in read(study.folder / MIXTURES, Mixture)}
    said += [f"Mixtures of {task}: manifest {manifest}." for task, manifest in mixed.items()]
    if about.command:
        said.append(f"Command: {about.command}")
    said += [f"{name}: {text}." for name, text in about.protocol.items()]
    intro = (
        "Intervals are of 95%: resamples of clusters of questions and of samples, drawn independently of "
        "each other, the "
        "same draw for all points of a task, so that differences are paired. A difference whose interval "
        "holds 0 is called none."
    )
    return Section("protocol", "Protocol and manifests", intro, tables=tables, notes=(*said, *about.notes))


def _tasks(results: Sequence[Result]) -> Table:
    metrics: dict[tuple[str, str], list[str]] = {}
    counts: dict[tuple[str, str], int] = {}
    for one in results:
        key = one.task, one.kind
        metrics.setdefault(key, []).append(one.metric)
        counts[key] = max(counts.get(key, 0), one.n)
    rows = [
        (task, kind, f"{counts[task, kind]:,}", ", ".join(dict.fromkeys(of)))
        for (task, kind), of in metrics.items()
    ]
    return Table("Tasks", ("task", "kind", "n", "metrics"), tuple(rows))


def _stores(results: Sequence[Result]) -> Table:
    found: dict[tuple[str, str], Result] = {}
    for one in results:
        key = one.basis.manifest, one.basis.encoder
        if one.cell.fraction and (key not in found or one.basis.tokens > found[key].basis.tokens):
            found[key] = one
    rows = [
        (
            *(
                manifest,
                encoder,
                f"{one.basis.passages:,}",
                size(one.basis.tokens),
                size(one.basis.index_bytes, "B"),
            ),
            *(size(one.basis.vector_bytes, "B"), size(one.basis.text_bytes, "B")),
        )
        for (manifest, encoder), one in found.items()
    ]
    columns = ("manifest", "encoder", "passages", "tokens", "index", "vectors", "text")
    return Table("Stores, by the largest view of each", columns, tuple(rows))


def _readers(results: Sequence[Result]) -> Table:
    found = {
        (one.cell.reader, one.cell.quantization, one.cell.adapter): one.basis
        for one in results
        if one.cell.reader
    }
    rows = [
        (
            *(reader, quantization or "as stored", adapter or "none"),
            size(basis.reader_parameters) if basis.reader_parameters else "–",
            size(basis.reader_bytes, "B") if basis.reader_bytes else "–",
        )
        for (reader, quantization, adapter), basis in found.items()
    ]
    return Table("Readers", ("reader", "quantization", "adapter", "parameters", "bytes"), tuple(rows))
