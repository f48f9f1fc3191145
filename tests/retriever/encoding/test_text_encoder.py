"""What can be said of an encoder without its model is what is said with it."""

import subprocess
import sys

import numpy as np

from retriever.encoding.text_encoder import TextEncoder
from retriever.local import LocalRetriever


class Elsewhere(TextEncoder):
    """An encoder whose model another one has."""

    def __init__(self, whole):
        self.checkpoint, self.tokenizer = whole.checkpoint, whole.tokenizer
        self.dtype, self.device, self.dimension = whole.dtype, whole.device, whole.dimension
        self._whole = whole

    @property
    def parameters(self):
        return self._whole.parameters

    def vectors(self, ids, kind, told=None):
        return self._whole.vectors(ids, kind, told)


def test_texts_are_encoded_alike_wherever_the_model_is(store):
    opened = LocalRetriever.open(store).opened
    whole, elsewhere = opened.encoder, Elsewhere(opened.encoder)
    texts = ["blue glass", "the old bridge", "?"]
    assert np.array_equal(elsewhere.encode_queries(texts), whole.encode_queries(texts))
    assert np.array_equal(elsewhere.knows(texts), whole.knows(texts))
    ids = [one.ids for one in whole.tokenizer.tokenize(texts[:2])]
    assert np.array_equal(elsewhere.encode_passages(ids), whole.encode_passages(ids))
    assert elsewhere.card() == whole.card()
    assert elsewhere.is_of(opened.store.manifest.encoder)


def test_it_needs_no_model():
    code = "import retriever.encoding.text_encoder, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
