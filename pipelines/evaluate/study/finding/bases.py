"""What the figures of an arm rest on: the store, and how large the part of it is that a view keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from datastore.store import Datastore
from datastore.view import View
from pipelines.evaluate.study.arms import Arm, view_hash
from pipelines.evaluate.tables import Basis
from retriever.local import LocalRetriever

# Passages whose tokens are counted: the others are taken to have as many a byte.
_COUNTED = 2048


@dataclass(frozen=True)
class Bases:
    """Sizes of a store's views, each measured once."""

    retriever: LocalRetriever

    @property
    def store(self) -> Datastore:
        """What is measured."""
        return self.retriever.store

    @cached_property
    def _text_bytes(self) -> NDArray[np.int64]:
        """The bytes of each row's text [rows]."""
        each = [pc.binary_length(one.column("text")).to_numpy() for one in self.store.shard_passages()]
        return np.concatenate([np.zeros(0, np.int64), *(one.astype(np.int64) for one in each)])

    @cached_property
    def _tokens_a_byte(self) -> float:
        """Of the encoder's tokens, over passages that lie evenly in the store."""
        rows = np.unique(np.linspace(0, self.store.rows - 1, _COUNTED).astype(np.int64))
        alive = rows[self.store.mask(View())[rows]]
        texts = [self.store.passage(int(row)).text for row in alive]
        size = sum(len(one.encode()) for one in texts)
        tokens = sum(len(one.ids) for one in self.retriever.encoder.tokenizer.tokenize(texts))
        return tokens / size if size else 0.0

    def of(self, arms: Sequence[Arm]) -> dict[Arm, Basis]:
        """What the figures of each arm rest on."""
        views = {view: self._of_view(view) for view in dict.fromkeys(arm.view for arm in arms)}
        return {arm: views[arm.view] for arm in arms}

    def _of_view(self, view: View) -> Basis:
        manifest, kept = self.store.manifest, self.store.mask(view)
        dimension = manifest.encoder.dimension
        passages, text = int(kept.sum()), int(self._text_bytes[kept].sum())
        return Basis(
            manifest=self.store.hash,
            encoder=manifest.encoder.name,
            view=view_hash(view),
            passages=passages,
            tokens=round(text * self._tokens_a_byte),
            index_bytes=self.retriever.index.key.bytes(passages, dimension),
            vector_bytes=passages * dimension * 2,
            text_bytes=text,
            encoder_parameters=self.retriever.encoder.parameters,
        )
