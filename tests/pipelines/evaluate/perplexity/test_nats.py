import math

import numpy as np
import pytest

from pipelines.evaluate.perplexity.nats import Nats


def nats(beside, alone, tokens, sizes) -> Nats:
    beside, alone, tokens, sizes = (np.array(one, float) for one in (beside, alone, tokens, sizes))
    return Nats(alone, {"with_passages": beside, "random": alone}, tokens, sizes)


def test_perplexity_is_weighted_by_tokens_and_bits_by_bytes():
    found = nats([2.0, 30.0], [4.0, 36.0], [2, 10], [7, 41]).figures()
    assert found["perplexity"]["with_passages"].value == pytest.approx(math.exp(32 / 12))
    assert found["perplexity"]["alone"].value == pytest.approx(math.exp(40 / 12))
    assert found["bits_per_byte"]["alone"].value == pytest.approx(40 / math.log(2) / 48)
    for arms in found.values():
        assert arms["random"] == arms["alone"]
        assert arms["random_difference"].change == "none"
        assert arms["difference"].value == pytest.approx(arms["with_passages"].value - arms["alone"].value)


def test_an_interval_is_paired():
    random = np.random.default_rng(0)
    tokens = random.integers(50, 500, 40)
    alone = tokens * random.uniform(1, 5, 40)
    # Texts differ by far more than passages help: unpaired, no gain would be seen.
    found = nats(alone * 0.97, alone, tokens, tokens * 4).figures()["bits_per_byte"]
    assert found["with_passages"].high > found["alone"].low
    assert found["difference"].high < 0
    assert found["difference"].low <= found["difference"].value <= found["difference"].high


def test_equal_texts_leave_no_doubt():
    found = nats([10.0] * 5, [20.0] * 5, [10] * 5, [30] * 5).figures()["perplexity"]
    assert found["alone"].low == pytest.approx(found["alone"].high)
