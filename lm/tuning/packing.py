"""Texts of many lengths to rows of one length, several texts a row, so that a GPU computes little padding.

Each text keeps its own positions, from 0: by where these begin anew the model knows that a text does not
see the one before it in its row (Krell et al. 2021, packing without cross-contamination).

Decisions: docs/decisions/tuning.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch

# Of a position whose next token is not learnt.
IGNORED = -100
# Texts that rows are filled from at a time.
_TOGETHER = 512


@dataclass(frozen=True, slots=True)
class Text:
    """Tokens of a prompt and of its answer; those from `answer` on are learnt."""

    ids: tuple[int, ...]
    answer: int


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Rows [rows, width] of tokens and of their positions; `labels` are the next tokens, or IGNORED."""

    ids: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor

    @property
    def learnt(self) -> int:
        """How many tokens are learnt from it."""
        return int((self.labels != IGNORED).sum())


def rows(texts: Sequence[Text], width: int, random: Random) -> list[list[Text]]:
    """Texts together in rows of at most `width` tokens, in an order that `random` draws.

    First fit, longest first, among a few hundred texts at a time: so rows are full, and each is a fair
    sample. A text that alone is longer than a row is left out: whoever calls counts these before.
    """
    order = [text for text in texts if len(text.ids) <= width]
    random.shuffle(order)
    found: list[list[Text]] = []
    for at in range(0, len(order), _TOGETHER):
        found += _filled(order[at : at + _TOGETHER], width)
    random.shuffle(found)
    return found


def _filled(texts: Sequence[Text], width: int) -> list[list[Text]]:
    found: list[list[Text]] = []
    left: list[int] = []
    for text in sorted(texts, key=lambda one: -len(one.ids)):
        at = next((i for i, room in enumerate(left) if room >= len(text.ids)), None)
        if at is None:
            found.append([])
            left.append(width)
            at = len(left) - 1
        found[at].append(text)
        left[at] -= len(text.ids)
    return found


def batches(packed: Sequence[Sequence[Text]], size: int, width: int, padding: int) -> Iterator[PackedBatch]:
    """Rows as tensors, `size` of them at a time; what is left of a row is filled with `padding`."""
    for at in range(0, len(packed), size):
        yield _batch(packed[at : at + size], width, padding)


def _batch(some: Sequence[Sequence[Text]], width: int, padding: int) -> PackedBatch:
    ids = torch.full((len(some), width), padding)
    # Padding is a text of its own: its positions begin anew.
    positions = torch.zeros((len(some), width), dtype=torch.long)
    labels = torch.full((len(some), width), IGNORED)
    for row, texts in enumerate(some):
        at = 0
        for text in texts:
            end = at + len(text.ids)
            ids[row, at:end] = torch.tensor(text.ids)
            positions[row, at:end] = torch.arange(len(text.ids))
            # The position before a token predicts it.
            labels[row, at + text.answer - 1 : end - 1] = torch.tensor(text.ids[text.answer :])
            at = end
        positions[row, at:] = torch.arange(width - at)
    return PackedBatch(ids, positions, labels)
