import numpy as np
import pytest

from retriever.ranking.candidates import Ranked
from retriever.ranking.fusion import fuse, words_alone


def ranked(*pairs):
    rows, scores = zip(*pairs, strict=True)
    return Ranked(np.array([rows]), np.array([scores], np.float32))


DENSE = ranked((7, 0.9), (3, 0.5), (5, 0.1), (-1, -np.inf))
LEXICAL = ranked((3, 12.0), (8, 6.0), (-1, -np.inf), (-1, -np.inf))


def test_reciprocal_ranks_add_up():
    found = fuse(DENSE, LEXICAL, 5, "rrf")
    assert found.rows.tolist() == [[3, 7, 8, 5, -1]]
    assert found.scores[0, :4] == pytest.approx([1 / 61 + 1 / 62, 1 / 61, 1 / 62, 1 / 63])


def test_weighted_scores_are_scaled_first():
    found = fuse(DENSE, LEXICAL, 4, "weighted", 0.25)
    assert found.rows.tolist() == [[3, 7, 5, 8]]
    assert found.scores[0] == pytest.approx([0.25 * 0.5 + 0.75, 0.25, 0, 0])


def test_one_empty_ranking_leaves_the_other():
    nothing = Ranked(np.full((1, 4), -1), np.full((1, 4), -np.inf, np.float32))
    for how in ("rrf", "weighted"):
        assert fuse(DENSE, nothing, 3, how).rows.tolist() == [[7, 3, 5]]
        assert fuse(nothing, nothing, 2, how).rows.tolist() == [[-1, -1]]


@pytest.mark.parametrize(("how", "weight"), [("rrf", 0.5), ("weighted", 0.5), ("weighted", 1.0)])
def test_of_a_query_that_the_encoder_does_not_know_words_decide_whatever_the_weight(how, weight):
    fused, known = fuse(DENSE, LEXICAL, 3, how, weight), np.array([False])
    found = words_alone(fused, LEXICAL, known)
    assert found.rows.tolist() == [[3, 8, -1]]
    assert found.scores.dtype == np.float32
    assert found.scores[0].tolist() == [12.0, 6.0, -np.inf]
    deeper = words_alone(fuse(DENSE, LEXICAL, 6, how, weight), LEXICAL, known)
    assert deeper.rows.tolist() == [[3, 8, -1, -1, -1, -1]]
    both = [Ranked.of([one, one]) for one in (fused, LEXICAL)]
    mixed = words_alone(*both, np.array([True, False]))
    assert mixed.rows.tolist() == [*fused.rows.tolist(), [3, 8, -1]]
