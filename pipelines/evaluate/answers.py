"""The reader's part of a scaling curve: every distinct prompt is answered once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from datastore.view import View
from lm.conditioning import Conditioned, Request, condition
from lm.prompts import Asked, prompts_of
from lm.reader import Reader, Sampling
from pipelines.evaluate.curve import Basis, Point
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.intervals import mean
from pipelines.evaluate.metrics import READER
from pipelines.evaluate.samples import Sample, Searched, by_share
from pipelines.execution.progress import BuildProgress, Silent, shown
from pipelines.questions import Question
from retriever.retriever import Retriever
from serve.answering.answerer import sources_of

_BATCH = 8
_SAMPLING = Sampling(max_tokens=32, stop=("\n",))


@dataclass(frozen=True, slots=True)
class Reply:
    """What the reader answers to a question, given what a sample finds for it.

    `trimmed` of the passages had no room: they are cut or left out.
    """

    question: Question
    sample: Sample
    text: str
    trimmed: int = 0

    def to_json(self) -> dict[str, object]:
        """For whoever doubts a score."""
        return {
            "id": self.question.id,
            "question": self.question.text,
            "answers": self.question.answers,
            "fraction": self.sample.fraction,
            "seed": self.sample.seed,
            "answer": self.text,
            "trimmed": self.trimmed,
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """Who answers, and where the chunks around what was found lie."""

    reader: Reader
    retriever: Retriever


def reader_replies(
    study: Study, samples: Sequence[Sample], reading: Reading, progress: BuildProgress
) -> list[Reply]:
    """Have the first questions that have answers answered by the LM alone, and from each sample."""
    alone = Sample.alone([one.question for one in samples[0].searched])
    wanted = [
        (one, sample)
        for sample in (alone, *samples)
        for one in sample.of(lambda question: question.answers, study.reader_questions).searched
    ]
    written = [_written(study, reading, one, sample.view or View()) for one, sample in wanted]
    asked = [one.asked for one in written]
    answers = answer_once(reading.reader, asked, progress, study.conditioning.stops)
    return [
        Reply(one.question, sample, answers[read.asked], read.trimmed)
        for (one, sample), read in zip(wanted, written, strict=True)
    ]


def trimmed(replies: Sequence[Reply]) -> list[str]:
    """A note about passages that had no room in their prompts; none if all had."""
    count = sum(reply.trimmed > 0 for reply in replies)
    if not count:
        return []
    return [f"in {count:,} of {len(replies):,} answers passages were cut or left out, as they had no room"]


def reader_points(replies: Sequence[Reply], passages: int, basis: Basis) -> list[Point]:
    """How good the answers are that the LM gives alone, and with so many passages of each share."""
    samples = {reply.sample.view: reply.sample for reply in replies}
    points = []
    for share, some in by_share(list(samples.values())):
        read_there = [[reply for reply in replies if reply.sample.view == one.view] for one in some]
        for metric in READER:
            values = np.array(
                [
                    [float(metric.score(one.text, one.question.answers)) for one in of_one]
                    for of_one in read_there
                ]
            )
            points.append(
                Point(metric, passages if share.fraction else 0, share, mean(values.mean(axis=0)), 0, basis)
            )
    return points


def _written(study: Study, reading: Reading, searched: Searched, view: View) -> Conditioned:
    how = study.conditioning
    hits = searched.ranking.hits[: how.passages] if how.reads else ()
    sources = sources_of(hits, reading.retriever, how, view)
    request = Request(searched.question.text, answer_tokens=_SAMPLING.max_tokens)
    return condition(how, request, sources, reading.reader)


def answer_once(
    reader: Reader, asked: Sequence[Asked], progress: BuildProgress | None = None, stops: Sequence[str] = ()
) -> dict[Asked, str]:
    """Answers by what is asked. Prompts of like length share a batch, so little of it is padding."""
    progress = progress or Silent()
    sampling = replace(_SAMPLING, stop=(*_SAMPLING.stop, *stops))
    distinct = sorted(dict.fromkeys(asked), key=_size, reverse=True)
    answers: dict[Asked, str] = {}
    with shown(progress, "answer", "prompts", len(distinct)):
        for at in range(0, len(distinct), _BATCH):
            batch = distinct[at : at + _BATCH]
            for one, completion in zip(batch, reader.generate(batch, sampling), strict=True):
                answers[one] = completion.text
            progress.advance(len(batch))
    return answers


def _size(asked: Asked) -> int:
    """How long its longest prompt is, in characters."""
    return max(
        len(prompt.text) + sum(len(turn.content) for turn in prompt.conversation)
        for prompt in prompts_of(asked)
    )
