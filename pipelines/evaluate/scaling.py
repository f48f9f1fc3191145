"""The scaling curve: how retrieval and answers improve with the share of the datastore they see."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from base.errors import RalmError
from lm.backends.registry import open_reader
from lm.reader import Reader
from pipelines.evaluate.curve import Basis, Curve
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.retrieval import retrieval_points
from pipelines.evaluate.samples import search_samples, short_of_the_deepest
from pipelines.execution.progress import BuildProgress, Silent
from pipelines.questions import QuestionFile, read_questions
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.request import Search

if TYPE_CHECKING:
    from pipelines.evaluate.answers import Reply


def run(study: Study, progress: BuildProgress | None = None) -> Curve:
    """Measure the curve and write results.parquet, scaling.png, report.md (and answers.jsonl)."""
    progress = progress or Silent()
    from pipelines.evaluate.curve_files import write

    file = _questions(study, progress)
    how = Opening(encoder=study.encoder, query_encoder=study.query_encoder)
    retriever = LocalRetriever.open(study.store, how)
    study = replace(study, method=retriever.settled(Search(method=study.method)).method)
    # Before the search, which may take hours: what is wrong with a reader is said at once.
    reader = open_reader(study.reader) if study.reader else None
    samples, unfound = search_samples(study, file.questions, retriever, progress)
    basis = Basis(retriever.store.hash, retriever.store.manifest.encoder.name, str(study.method.name))
    points, notes = retrieval_points(samples, basis), [file.warning] if file.warning else []
    replies: Sequence[Reply] = ()
    if reader:
        from pipelines.evaluate.answers import Reading, reader_points, reader_replies, trimmed

        replies = reader_replies(study, samples, Reading(reader, retriever), progress)
        notes += trimmed(replies)
        points += reader_points(replies, study.conditioning.passages, _read_by(reader, study, basis))
    asked, short = len(file.questions), short_of_the_deepest(samples)
    curve = Curve(study, tuple(points), asked, (*notes, *unfound), short)
    write(curve, replies)
    return curve


def _questions(study: Study, progress: BuildProgress) -> QuestionFile:
    """The questions of a study. Raises RalmError for a study that cannot be measured, whatever its store."""
    from pipelines.evaluate.curve_files import holds_a_curve

    if study.seeds < 1 or not study.fractions:
        raise RalmError("A study needs at least one fraction and one seed.")
    _ = study.views  # Refuses a fraction outside (0, 1] before anything is loaded.
    if holds_a_curve(study.output):
        progress.say(f"{study.output} holds an earlier curve: it is written anew.")
    file = read_questions(study.questions, study.limit)
    if file.warning:
        progress.say(file.warning)
    if study.reader and not any(question.answers for question in file.questions):
        raise RalmError(
            f"No question of {study.questions.name} has `answers`, by which a reader is scored: add them, or "
            "leave the reader out."
        )
    return file


def _read_by(reader: Reader, study: Study, basis: Basis) -> Basis:
    """What figures of answers rest on, beside what those of retrieval do."""
    return replace(
        basis,
        reader=reader.name,
        quantization=reader.quantization,
        adapter=reader.adapter or "",
        reader_bytes=reader.measured_bytes,
        conditioning=study.conditioning.told(),
    )
