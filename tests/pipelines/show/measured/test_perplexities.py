from dataclasses import replace
from pathlib import Path

import numpy as np

from datastore.view import View
from pipelines.config import SourceConfig
from pipelines.evaluate.perplexity.measuring import Measured, Perplexity, PerplexityStudy
from pipelines.evaluate.perplexity.nats import Nats
from pipelines.evaluate.perplexity.protocols import FIXED
from pipelines.evaluate.perplexity.strides import Pace
from pipelines.show.measured.perplexities import perplexity

READER = {"name": "small", "quantization": "int8", "adapter": None, "bytes": 135_000_000}


def found(texts, reader=READER, fraction=1.0, passages=3):
    """A study of so many texts, of 10 tokens and 40 bytes each: 20 nats alone, 10 with passages."""
    tens = np.full(texts, 10.0)
    nats = Nats(2 * tens, {"with_passages": tens, "random": 2 * tens}, tens, 4 * tens)
    source = SourceConfig(path="t.jsonl")
    study = PerplexityStudy(
        Path("store"), (source,), protocol=replace(FIXED, passages=passages), view=View(fraction, 7)
    )
    return Perplexity(study, Pace(1024, 64, 32), Measured(nats, 90, 1, 41.6), "abc", "hybrid", reader)


def lines(capsys, *args, **kwargs):
    perplexity(found(*args, **kwargs))
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_both_arms_and_their_difference_are_shown_with_all_they_depend_on(capsys):
    assert lines(capsys, 30) == [
        "30 texts, 300 tokens, 1,200 bytes",
        "perplexity bits per byte",
        "without passages 7.389 [7.389, 7.389] 0.7213 [0.7213, 0.7213]",
        "with passages 2.718 [2.718, 2.718] 0.3607 [0.3607, 0.3607]",
        "difference -4.671 [-4.671, -4.671] -0.3607 [-0.3607, -0.3607]",
        "with random passages 7.389 [7.389, 7.389] 0.7213 [0.7213, 0.7213]",
        "difference none +0 [+0, +0] none +0 [+0, +0]",
        "windows of 1,024 tokens, strides of 64, searched by 32 before",
        "passages take the place of the oldest text",
        "3 passages in 42 tokens on average; none for 1 of 90 strides",
        "reader small, int8, 135.0 MB, in both arms without an adapter",
        "manifest abc, the whole store, hybrid",
    ]


def test_a_sample_few_texts_and_unknown_bytes_are_said(capsys):
    shown = lines(capsys, 1, READER | {"bytes": None}, 0.25, 1)
    assert shown[0] == "1 text, 10 tokens, 40 bytes"
    assert shown[9].startswith("1 passage in ")
    assert "reader small, int8, bytes unknown, in both arms without an adapter" in shown
    assert "manifest abc, 0.25 of the store (seed 7), hybrid" in shown
    assert shown[2] == "without passages 7.389 0.7213"
    assert shown[-1] == "fewer than 30 texts: the intervals look surer than they are"
