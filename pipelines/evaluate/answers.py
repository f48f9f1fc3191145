"""The reader's part of a scaling curve: every distinct prompt is answered once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lm.conditioning import DEFAULT_BUDGET, conversation, pack
from lm.prompts import Prompt
from lm.reader import Reader, Sampling
from pipelines.evaluate.curve import Basis, Point, Score
from pipelines.evaluate.metrics import READER
from pipelines.evaluate.samples import Sample, Searched, by_share
from pipelines.evaluate.study import Study
from pipelines.execution.progress import BuildProgress, Silent, shown
from pipelines.questions import Question
from serve.answerer import source_of

_BATCH = 8
_SAMPLING = Sampling(max_tokens=32, stop=("\n",))


@dataclass(frozen=True, slots=True)
class Reply:
    """What the reader answers to a question, given what a sample finds for it."""

    question: Question
    sample: Sample
    text: str

    def to_json(self) -> dict[str, object]:
        """For whoever doubts a score."""
        return {
            "id": self.question.id,
            "question": self.question.text,
            "answers": self.question.answers,
            "fraction": self.sample.fraction,
            "seed": self.sample.seed,
            "answer": self.text,
        }


def reader_replies(
    study: Study, samples: Sequence[Sample], reader: Reader, progress: BuildProgress
) -> list[Reply]:
    """Have the first questions that have answers answered by the LM alone, and from each sample."""
    alone = Sample.alone([one.question for one in samples[0].searched])
    asked = [
        (one, sample, _prompt(reader, one, study.reader_passages))
        for sample in (alone, *samples)
        for one in sample.of(lambda question: question.answers, study.reader_questions).searched
    ]
    answers = answer_once(reader, [prompt for _, _, prompt in asked], progress)
    return [Reply(one.question, sample, answers[prompt]) for one, sample, prompt in asked]


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
            points.append(Point(metric, passages if share.fraction else 0, share, Score.of(values), 0, basis))
    return points


def _prompt(reader: Reader, searched: Searched, passages: int) -> Prompt:
    hits = searched.ranking.hits[:passages]
    packed = pack([source_of(hit) for hit in hits], reader.count_tokens, DEFAULT_BUDGET)
    return conversation(searched.question.text, packed)


def answer_once(
    reader: Reader, prompts: Sequence[Prompt], progress: BuildProgress | None = None
) -> dict[Prompt, str]:
    """Answers by prompt. Prompts of like length share a batch, so little of it is padding."""
    progress = progress or Silent()
    distinct = sorted(dict.fromkeys(prompts), key=_size, reverse=True)
    answers: dict[Prompt, str] = {}
    with shown(progress, "answer", "prompts", len(distinct)):
        for at in range(0, len(distinct), _BATCH):
            batch = distinct[at : at + _BATCH]
            for prompt, completion in zip(batch, reader.generate(batch, _SAMPLING), strict=True):
                answers[prompt] = completion.text
            progress.advance(len(batch))
    return answers


def _size(prompt: Prompt) -> int:
    """How long a prompt is, in characters."""
    return len(prompt.text) + sum(len(turn.content) for turn in prompt.conversation)
