"""The reader's part of a scaling curve: every distinct prompt is answered once."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from datastore.store import Datastore
from lm.conditioning import DEFAULT_BUDGET, messages, pack
from lm.reading import Reader, Sampling
from pipelines.evaluate.metrics import contains, exact_match
from pipelines.evaluate.scaling import Point, Study, point
from pipelines.execution.progress import BuildProgress, Silent, shown
from pipelines.questions import Question
from retriever.ranking.results import Ranking
from serve.answerer import source_of

_BATCH = 8
_SAMPLING = Sampling(max_tokens=32, stop=("\n",))


def reader_points(
    study: Study,
    questions: Sequence[Question],
    rankings: Sequence[Sequence[Ranking]],
    sizes: Sequence[int],
    store: Datastore,
    reader: Reader,
    progress: BuildProgress,
) -> tuple[list[Point], list[dict[str, Any]]]:
    """Exact match and containment of the reader's answers at each fraction, and for the LM alone.

    Takes the first questions that have answers; also returns each answer, for whoever doubts.
    """
    views = study.views
    asked = [i for i, q in enumerate(questions) if q.answers][: study.reader_questions]
    prompts = {-1: [_prompt(reader, questions[i], None, study) for i in asked]}
    for number, ranking in enumerate(rankings):
        prompts[number] = [_prompt(reader, questions[i], ranking[i], study) for i in asked]
    answers = answer_once(reader, [prompt for several in prompts.values() for prompt in several], progress)

    points: list[Point] = []
    for fraction in (0.0, *study.fractions):
        mine = [n for n, view in enumerate(views) if view.fraction == fraction] or [-1]
        size = round(float(np.mean([sizes[n] for n in mine]))) if fraction else 0
        for metric, score in (
            ("reader exact match", exact_match),
            ("reader containment", contains),
        ):
            values = np.array(
                [
                    [
                        float(score(answers[prompt], questions[i].answers))
                        for i, prompt in zip(asked, prompts[n], strict=True)
                    ]
                    for n in mine
                ]
            )
            k = study.reader_passages if fraction else 0
            points.append(point(study, store, metric, k, fraction, values, size, 0, reader.bytes))
    log = [
        {
            "id": questions[i].id,
            "question": questions[i].text,
            "answers": questions[i].answers,
            "fraction": views[n].fraction if n >= 0 else 0.0,
            "seed": views[n].seed if n >= 0 else 0,
            "answer": answers[prompt],
        }
        for n, several in prompts.items()
        for i, prompt in zip(asked, several, strict=True)
    ]
    return points, log


def _prompt(reader: Reader, question: Question, ranking: Ranking | None, study: Study) -> str:
    hits = ranking.hits[: study.reader_passages] if ranking else ()
    packed = pack([source_of(hit) for hit in hits], reader.count_tokens, DEFAULT_BUDGET)
    return reader.prompt(messages(question.text, packed))


def answer_once(
    reader: Reader, prompts: Sequence[str], progress: BuildProgress | None = None
) -> dict[str, str]:
    """Answers by prompt. Prompts of like length share a batch, so little of it is padding."""
    progress = progress or Silent()
    distinct = sorted(set(prompts), key=lambda prompt: (-len(prompt), prompt))
    answers: dict[str, str] = {}
    with shown(progress, "answer", "prompts", len(distinct)):
        for at in range(0, len(distinct), _BATCH):
            batch = distinct[at : at + _BATCH]
            for prompt, completion in zip(batch, reader.complete(batch, _SAMPLING), strict=True):
                answers[prompt] = completion.text
            progress.advance(len(batch))
    return answers
