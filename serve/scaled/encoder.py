"""The encoder as a deployment: token ids to vectors there, texts to token ids here.

Decisions: docs/decisions/scaling-out.md.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datastore.generations.manifest import EncoderCard
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.text_encoder import TextEncoder
from retriever.encoding.tokenizer import EncoderTokenizer
from retriever.opened import Opening
from serve.scaled.calls import Calls

if TYPE_CHECKING:
    from retriever.encoding.encoder import Encoder

# A store that is built anew may have another encoder: meanwhile both are asked.
_ENCODERS = 2


class EncoderReplica:
    """What runs in a replica: the encoders that it was asked for last, on a GPU if Ray gives it one."""

    def __init__(self, card: EncoderCard) -> None:
        """Load the first one."""
        self._encoders: OrderedDict[str, Encoder] = OrderedDict()
        self._opening = Lock()
        self._of(card)

    def vectors(self, card: EncoderCard, ids: Sequence[NDArray[np.int32]], kind: str) -> NDArray[np.float32]:
        """As `Encoder.vectors`, of the encoder of a card."""
        return self._of(card).vectors(ids, kind)

    def parameters(self, card: EncoderCard) -> int:
        """As `Encoder.parameters`, of the encoder of a card."""
        return self._of(card).parameters

    def _of(self, card: EncoderCard) -> "Encoder":
        import torch

        from retriever.encoding.encoder import Encoder

        name = card.model_dump_json()
        with self._opening:
            if name not in self._encoders:
                self._encoders[name] = Encoder.open(card, "cuda" if torch.cuda.is_available() else "cpu")
                while len(self._encoders) > _ENCODERS:
                    self._encoders.popitem(last=False)
            self._encoders.move_to_end(name)
            return self._encoders[name]


class DeployedEncoder(TextEncoder):
    """An encoder whose model lies with a deployment."""

    def __init__(self, card: EncoderCard, calls: Calls) -> None:
        tower = card.for_queries
        self._card, self._calls = card, calls
        self.checkpoint = Checkpoint.of(tower)
        self.tokenizer = EncoderTokenizer(self.checkpoint)
        self.dtype, self.device, self.dimension = tower.dtype, "cpu", tower.dimension

    @property
    def parameters(self) -> int:
        return int(self._calls.ask("parameters", self._card))

    def vectors(
        self, ids: Sequence[NDArray[np.int32]], kind: str, told: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """As `TextEncoder.vectors`; `told` hears of all at once."""
        found: NDArray[np.float32] = self._calls.ask("vectors", self._card, list(ids), kind)
        if told is not None:
            told(len(ids))
        return found


@dataclass(frozen=True, slots=True)
class DeployedOpening(Opening):
    """As an Opening, with encoders of a deployment."""

    calls: Calls | None = None

    def open_encoder(self, card: EncoderCard) -> TextEncoder:
        """The deployment's encoder of a card."""
        assert self.calls is not None  # A field behind those with defaults needs one.
        return DeployedEncoder(card, self.calls)
