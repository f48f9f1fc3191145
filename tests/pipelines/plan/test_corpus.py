from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from pipelines.jobs.estimate import Foreseen
from pipelines.plan.corpus import CorpusSize, parse_count
from pipelines.plan.encoder import MINILM
from pipelines.plan.rates import Rates


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1.4T", 1_400_000_000_000),
        ("250B", 250 * 10**9),
        ("22.7m", 22_700_000),
        ("5k", 5000),
        ("1_000", 1000),
    ],
)
def test_counts_take_suffixes(text, count):
    assert parse_count(text, "--tokens") == count


@pytest.mark.parametrize("text", ["", "many", "1.4X", "-3", "0", "1e12", "1.4.2T", "99999999T"])
def test_what_is_no_count_is_named(text):
    with pytest.raises(RalmError, match=r"--tokens .* is not a count"):
        parse_count(text, "--tokens")


def test_the_measured_corpus_is_planned_as_it_was_measured():
    found = CorpusSize.of_tokens(24_264_660, MINILM, Rates())
    assert found.passages == pytest.approx(142_709, abs=1)
    assert found.documents == pytest.approx(78_738, abs=1)
    assert found.text_bytes == pytest.approx(106_187_927, abs=1)


@given(tokens=st.integers(1, 10**15), longest=st.integers(3, 10**6))
def test_passages_fit_the_encoder_and_their_documents(tokens, longest):
    found = CorpusSize.of_tokens(tokens, replace(MINILM, max_tokens=longest), Rates())
    assert 1 <= found.passages <= tokens
    assert found.passage_tokens <= max(1, min(longest - 2, Rates().document_tokens)) * (1 + 1e-9)
    assert found.documents <= found.passages


def test_a_sample_is_taken_as_it_is():
    foreseen = Foreseen(500, 1, 12, 10, 20, 3000, 12_000, 5, 6_000, (np.arange(3, dtype=np.int32),))
    found = CorpusSize.of_sample(foreseen)
    assert (found.tokens, found.passages, found.documents, found.text_bytes) == (3000, 20, 10, 12_000)
    assert "5 documents, 6.0 KB of text" in found.basis
    assert "The sample is small (5 documents, 6.0 KB of text)" in found.doubt
    assert CorpusSize.of_sample(replace(foreseen, sampled_documents=1)).basis.endswith(
        "from 1 document, 6.0 KB of text"
    )
    for few in ({"sampled_documents": 99, "sampled_bytes": 10**6}, {"sampled_documents": 10**3}):
        assert replace(foreseen, **few).doubt
    assert not CorpusSize.of_sample(replace(foreseen, sampled_documents=100, sampled_bytes=20_000)).doubt
