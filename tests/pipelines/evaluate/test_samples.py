from datastore.store import Datastore
from datastore.view import View
from pipelines.evaluate.curve import StoreShare
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.samples import Sample, by_share, search_samples, view_size
from pipelines.execution.progress import Silent
from pipelines.questions import Question
from retriever.local import LocalRetriever
from tests.vectors import dense

GOLD = Question("gold", "Who makes blue glass?", (), frozenset({"Dunmarrow-1"}))
TOLD = Question("told", "Where is Dunmarrow?", ("Halvern",), frozenset())


def test_a_sample_holds_what_its_view_finds_for_every_question(tmp_path, store):
    study = Study(store, tmp_path / "q.jsonl", tmp_path / "out", fractions=(0.5, 1.0), seeds=2)
    retriever = LocalRetriever.open(store)
    samples, notes = search_samples(study, [GOLD, TOLD], retriever, Silent())
    assert notes == []
    assert [(one.fraction, one.seed) for one in samples] == [(0.5, 0), (0.5, 1), (1.0, 0)]
    for sample in samples:
        assert sample.passages == view_size(Datastore.open(store), sample.view)
        assert [one.question for one in sample.searched] == [GOLD, TOLD]
        rankings = retriever.search([GOLD.text, TOLD.text], dense(20, sample.view))
        for one, ranking in zip(sample.searched, rankings, strict=True):
            assert [hit.row for hit in one.ranking.hits] == [hit.row for hit in ranking.hits]


def test_samples_of_one_fraction_are_one_share():
    samples = [Sample(View(0.5, 0), 10, ()), Sample(View(0.5, 1), 13, ()), Sample(View(), 40, ())]
    assert by_share(samples) == [(StoreShare(0.5, 2, 12), samples[:2]), (StoreShare(1.0, 1, 40), samples[2:])]


def test_the_lm_alone_is_a_sample_of_nothing():
    alone = Sample.alone([GOLD, TOLD])
    assert (alone.fraction, alone.seed, alone.passages) == (0.0, 0, 0)
    assert not any(one.ranking.hits for one in alone.searched)
    assert [one.question for one in alone.of(lambda question: question.answers).searched] == [TOLD]
    assert [one.question for one in alone.of(lambda _: True, 1).searched] == [GOLD]
