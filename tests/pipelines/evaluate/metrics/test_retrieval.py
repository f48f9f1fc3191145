import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.schema import Passage
from pipelines.evaluate.metrics.retrieval import (
    CONTAINMENT,
    CONTAINMENT_MRR,
    MRR,
    NDCG,
    RECALL,
    RETRIEVAL,
    SUCCESS,
)
from pipelines.questions import Question


def passage(document: str, text: str = "", chunk: int = 0) -> Passage:
    return Passage(text, "", document, chunk, 0)


def asked(gold: object = (), answers: tuple[str, ...] = ()) -> Question:
    return Question("q", "Where?", answers, frozenset(gold))


def value(metric, question, passages, k) -> float:
    return metric.values([question], [[metric.right(question, one) for one in passages]], k)[0]


# Rankings of passages by their documents, some of them found twice; and gold documents, found or not.
_RANKED = st.lists(st.sampled_from("abcdefgh"), max_size=12)
_GOLD = st.sets(st.sampled_from("abcdxyz"), min_size=1, max_size=5)
_CASES = st.lists(st.tuples(_RANKED, _GOLD), min_size=1, max_size=5)


def gains(ranked: list[str], gold: set[str], k: int) -> list[int]:
    """Which of the first k passages are the first of a gold document."""
    return [int(one in gold and one not in ranked[:at]) for at, one in enumerate(ranked[:k])]


def success(gain: list[int], gold: set[str], k: int) -> float:
    return float(any(gain))


def recall(gain: list[int], gold: set[str], k: int) -> float:
    return sum(gain) / len(gold)


def reciprocal_rank(gain: list[int], gold: set[str], k: int) -> float:
    return next((1 / rank for rank, one in enumerate(gain, 1) if one), 0.0)


def ndcg(gain: list[int], gold: set[str], k: int) -> float:
    discounts = [1 / math.log2(rank + 1) for rank in range(1, k + 1)]
    found = sum(one * discount for one, discount in zip(gain, discounts, strict=False))
    return found / sum(discounts[: len(gold)])


BY_HAND = {SUCCESS: success, RECALL: recall, MRR: reciprocal_rank, NDCG: ndcg}


@given(_CASES, st.integers(1, 12))
def test_metrics_of_gold_documents_are_those_by_hand(cases, k):
    questions = [asked(gold) for _, gold in cases]
    for metric, by_hand in BY_HAND.items():
        rights = [
            [metric.right(question, passage(one)) for one in ranked]
            for question, (ranked, _) in zip(questions, cases, strict=True)
        ]
        expected = [by_hand(gains(ranked, gold, k), gold, k) for ranked, gold in cases]
        assert metric.values(questions, rights, k) == pytest.approx(np.array(expected), abs=1e-6)


@given(st.lists(st.permutations("abcdefgh"), min_size=1, max_size=4), _GOLD, st.integers(1, 10))
def test_where_no_document_is_found_twice_they_are_ir_measures_called_directly(rankings, gold, k):
    qrels = {str(at): dict.fromkeys(gold, 1) for at in range(len(rankings))}
    run = {
        str(at): {one: float(len(ranked) - rank) for rank, one in enumerate(ranked)}
        for at, ranked in enumerate(rankings)
    }
    questions = [asked(gold)] * len(rankings)
    named = {SUCCESS: ir_measures.Success, RECALL: ir_measures.R, MRR: ir_measures.RR, NDCG: ir_measures.nDCG}
    for metric, measure in named.items():
        rights = [[metric.right(questions[0], passage(one)) for one in ranked] for ranked in rankings]
        direct = {one.query_id: one.value for one in ir_measures.iter_calc([measure @ k], qrels, run)}
        expected = [direct[str(at)] for at in range(len(rankings))]
        assert metric.values(questions, rights, k).tolist() == pytest.approx(expected)


def test_a_passage_is_right_by_its_document_or_by_what_it_holds():
    question = asked({"gold"}, ("Paris",))
    gold, holds = passage("gold", "It is here."), passage("other", "It is in Paris.")
    assert [bool(SUCCESS.right(question, one)) for one in (gold, holds)] == [True, False]
    assert [bool(CONTAINMENT.right(question, one)) for one in (gold, holds)] == [False, True]
    assert SUCCESS.needs(question)
    assert not SUCCESS.needs(asked((), ("Paris",)))
    assert not CONTAINMENT.needs(asked({"gold"}))


def test_every_passage_with_an_answer_counts_and_the_first_gives_the_rank():
    question = asked((), ("Paris",))
    ranked = [passage("a", "Rome"), passage("b", "In Paris."), passage("b", "Paris again.", 1)]
    assert [value(CONTAINMENT, question, ranked, k) for k in (1, 2, 3)] == [0, 1, 1]
    assert value(CONTAINMENT_MRR, question, ranked, 10) == 0.5
    assert value(CONTAINMENT_MRR, question, ranked, 1) == 0


@pytest.mark.parametrize("metric", RETRIEVAL)
def test_nothing_found_is_nothing_won(metric):
    question = asked({"gold"}, ("Paris",))
    assert metric.values([question, question], [[], [None]], 5).tolist() == [0, 0]
    assert metric.values([], [], 5).tolist() == []


def test_no_two_metrics_share_a_column():
    headings = [one.heading(k) for one in RETRIEVAL for k in one.depths]
    assert headings[:3] == ["success@1", "success@5", "success@20"]
    assert len(set(headings)) == len(headings)
