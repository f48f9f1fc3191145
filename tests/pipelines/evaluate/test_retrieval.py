from datastore.schema import Passage
from datastore.view import View
from pipelines.evaluate.curve import Basis
from pipelines.evaluate.retrieval import retrieval_points
from pipelines.evaluate.samples import Sample, Searched
from pipelines.questions import Question
from retriever.results import Hit, Ranking

BASIS = Basis("hash", "encoder", "dense")
GOLD = Question("gold", "Who?", (), frozenset({"a"}))


def ranking(*ids):
    hits = [Hit(row, 0.5, Passage("text", "", id, 0, 0)) for row, id in enumerate(ids)]
    return Ranking(tuple(hits), True)


def test_success_is_averaged_over_samples_and_rankings_that_are_short_are_counted():
    there, late, empty = ranking("a", "b"), ranking("b", "a"), ranking()
    samples = [
        Sample(View(0.5, 0), 2, (Searched(GOLD, there), Searched(GOLD, late))),
        Sample(View(0.5, 1), 4, (Searched(GOLD, late), Searched(GOLD, empty))),
    ]
    points = {p.heading: p for p in retrieval_points(samples, BASIS)}
    one, five = points["success@1"], points["success@5"]
    assert (one.score.value, five.score.value) == (0.25, 0.75)
    assert (one.short, five.short, one.score.n, one.share.passages) == (1, 4, 2, 3)


def test_a_metric_is_taken_over_the_questions_that_have_what_it_needs():
    told = Question("told", "What?", ("text",), frozenset())
    sample = Sample(View(), 2, (Searched(GOLD, ranking("b")), Searched(told, ranking("b", "c"))))
    points = {p.heading: p.score for p in retrieval_points([sample], BASIS)}
    assert (points["success@5"].value, points["success@5"].n) == (0.0, 1)
    assert (points["containment@5"].value, points["containment@5"].n) == (1.0, 1)
