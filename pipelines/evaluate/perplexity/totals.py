"""What texts score in strides, in several arms at once: each stride behind what stands in front of it there.

Decisions: docs/decisions/scoring.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from base.errors import RalmError
from lm.reader import Reader, TokenReader
from pipelines.evaluate.perplexity.fronts import Arm, Fronts
from pipelines.evaluate.perplexity.strides import Front, Step, steps
from pipelines.execution.progress import BuildProgress, shown

# Strides that are searched for and scored together.
_TOGETHER = 128


@dataclass(slots=True)
class Total:
    """The log-probability of a text in nats, over so many `tokens` in so many `strides`.

    `bare` strides had no passage in front, the others `passage_tokens` together.
    """

    nats: float = 0.0
    tokens: int = 0
    strides: int = 0
    bare: int = 0
    passage_tokens: int = 0

    def add(self, step: Step, front: Front, nats: float) -> None:
        """Count a stride."""
        self.nats += nats
        self.tokens += step.end - step.done
        self.strides += 1
        self.bare += not front.passages
        self.passage_tokens += len(front.ids)


def require_token_reader(reader: Reader) -> TokenReader:
    """A reader in whose tokens texts can be put together. Raises RalmError for another."""
    if isinstance(reader, TokenReader):
        return reader
    raise RalmError(
        f"{reader.name} does not give its tokens, by which windows are measured: choose a reader that runs "
        "in this process."
    )


def totals(
    texts: Sequence[str], fronts: Fronts, arms: Sequence[Arm], progress: BuildProgress
) -> list[list[Total]]:
    """What each text scores in each arm: [arms][texts]. Rows that are alike in several are scored once."""
    reader, pace = fronts.reader, fronts.pace
    found = [[Total() for _ in texts] for _ in arms]
    todo = [(at, one) for at, text in enumerate(texts) for one in steps(reader.tokens(text), pace)]
    with shown(progress, "score", "strides", len(todo)):
        for first in range(0, len(todo), _TOGETHER):
            some = todo[first : first + _TOGETHER]
            before = fronts.before([one for _, one in some], [texts[at] for at, _ in some], arms)
            rows = [
                [one.row(pace, reader.start, front) for (_, one), front in zip(some, of_arm, strict=True)]
                for of_arm in before
            ]
            distinct = list(dict.fromkeys(row for of_arm in rows for row in of_arm))
            scores = dict(zip(distinct, map(sum, reader.score(distinct)), strict=True))
            for arm, of_arm in enumerate(rows):
                for (at, one), front, row in zip(some, before[arm], of_arm, strict=True):
                    found[arm][at].add(one, front, scores[row])
            progress.advance(len(some))
    return found
