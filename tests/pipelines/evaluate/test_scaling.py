import numpy as np
import pyarrow.parquet as pq
import pytest

from base.errors import RalmError
from datastore.store import Datastore
from datastore.view import View
from lm.backends.reader_choice import ReaderChoice
from pipelines.evaluate.curve import Basis
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.metrics import ReaderMetric, contains
from pipelines.evaluate.plot import draw
from pipelines.evaluate.samples import view_size
from pipelines.evaluate.scaling import run
from pipelines.execution.progress import Silent
from pipelines.questions import read_questions
from retriever.local import LocalRetriever
from retriever.request import Method
from tests.corpus import questions, write_lines
from tests.lm.models import tiny_model, tiny_reader
from tests.vectors import dense


@pytest.fixture
def study(tmp_path, store, monkeypatch):
    """A study whose figure is not drawn, which takes longest."""
    monkeypatch.setattr("pipelines.evaluate.curve_files.draw", lambda *_: None)
    path = write_lines(tmp_path / "q.jsonl", questions())
    return Study(store=store, questions=path, output=tmp_path / "out", fractions=(0.3, 1.0), seeds=2)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A small one: these tests are about what it is asked and not about what it says."""
    return tiny_reader(tiny_model(tmp_path_factory.mktemp("tiny") / "chat", context=1200))


def test_every_point_is_what_searching_its_view_gives(study):
    """The curve from one search against a search of its own for each view, scored by hand."""
    curve = run(study)
    retriever, asked = LocalRetriever.open(study.store), read_questions(study.questions).questions
    for metric, k in (("success", 5), ("containment", 1)):
        for fraction in study.fractions:
            values = []
            for view in (v for v in study.views if v.fraction == fraction):
                rankings = retriever.search([q.text for q in asked], dense(k, view))
                for q, ranking in zip(asked, rankings, strict=True):
                    hits = [h.passage for h in ranking.hits]
                    gold = any(p.doc_id in q.gold_docs for p in hits)
                    values.append(
                        gold if metric == "success" else any(contains(p.text, q.answers) for p in hits)
                    )
            (point,) = [
                p for p in curve.points if (p.metric.name, p.k, p.share.fraction) == (metric, k, fraction)
            ]
            assert point.score.value == pytest.approx(np.mean(values))
            assert point.score.n == len(asked)
            assert point.score.low <= point.score.value <= point.score.high


def test_each_figure_says_what_it_depends_on(study, monkeypatch):
    monkeypatch.setattr("pipelines.evaluate.curve_files.draw", draw)
    curve = run(study)
    manifest = Datastore.open(study.store).manifest
    for point in curve.points:
        assert point.basis == Basis(manifest.hash, "all-MiniLM-L6-v2", "dense")
        assert point.share.passages == manifest.rows or point.share.fraction < 1
        assert point.share.seeds == (2 if point.share.fraction < 1 else 1)
    table = pq.read_table(study.output / "results.parquet")
    assert table.num_rows == len(curve.points)
    assert (study.output / "scaling.png").read_bytes().startswith(b"\x89PNG")
    assert manifest.hash in (study.output / "report.md").read_text()


def test_a_question_without_gold_documents_counts_for_containment_alone(study):
    asked = questions()[:5]
    write_lines(study.questions, [*asked[:4], asked[4] | {"gold_docs": []}])
    curve = run(study)
    said = "5 questions: 4 with gold_docs for success@k, 5 with answers for containment@k"
    assert curve.questions() == said
    report = (study.output / "report.md").read_text()
    assert f"- questions: q.jsonl, {said}\n" in report
    assert "- few questions: n below 30 for success@k, containment@k, whose" in report


def test_more_of_the_store_holds_more_answers(study):
    points = {(p.heading, p.share.fraction): p.score.value for p in run(study).points}
    assert points["success@5", 1.0] > points["success@5", 0.3]


def test_a_view_too_small_is_said(study, store):
    import dataclasses

    curve = run(dataclasses.replace(study, fractions=(0.1,), seeds=1))
    size = view_size(Datastore.open(store), View(0.1, 0))
    assert size < 20
    (point,) = [p for p in curve.points if p.heading == "success@20"]
    assert point.short == point.score.n
    # Once, however many metrics look at them.
    assert (
        f"- {point.score.n} rankings hold fewer than k passages" in (study.output / "report.md").read_text()
    )


def test_wrong_studies_are_sentences(study):
    import dataclasses

    with pytest.raises(RalmError, match="fraction must be above 0"):
        run(dataclasses.replace(study, fractions=(0.0, 1.0)))
    with pytest.raises(RalmError, match="at least one fraction"):
        run(dataclasses.replace(study, seeds=0))


def test_a_study_of_many_questions_is_that_of_them_all(study, monkeypatch):
    whole = run(study)
    monkeypatch.setattr("pipelines.evaluate.samples._TOGETHER", 3)
    assert run(study).points == whole.points


def test_a_reader_that_there_is_not_is_said_before_the_search(study, monkeypatch):
    import dataclasses

    monkeypatch.setattr(LocalRetriever, "search_many", lambda *_, **__: pytest.fail("searched"))
    with pytest.raises(RalmError, match="no reader 'no/such'"):
        run(dataclasses.replace(study, reader=ReaderChoice("no/such")))


def test_a_reader_without_a_question_that_has_answers_is_said_before_the_search(study, monkeypatch):
    import dataclasses

    monkeypatch.setattr(LocalRetriever, "search_many", lambda *_, **__: pytest.fail("searched"))
    write_lines(study.questions, [one | {"answers": []} for one in questions()])
    with pytest.raises(
        RalmError, match=r"^No question of q\.jsonl has `answers`, by which a reader is scored"
    ):
        run(dataclasses.replace(study, reader=ReaderChoice("any")))


class Told(Silent):
    """Keeps what is said of a study."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def test_a_line_that_is_no_question_is_named_and_the_others_are_asked(study):
    import dataclasses

    whole, told = run(study), Told()
    study.questions.write_text(study.questions.read_text() + "{\n")
    curve = run(dataclasses.replace(study, output=study.output / "again"), told)
    assert curve.points == whole.points
    (note,) = (one for one in told.said if "q.jsonl" in one)
    assert note.startswith("1 line is no question and is left out of q.jsonl (line ")
    assert f"- {note}" in (study.output / "again" / "report.md").read_text()
    assert "left out" not in (study.output / "report.md").read_text()


def test_an_earlier_curve_is_written_anew_and_no_answers_of_it_are_left(study, reader, monkeypatch):
    import dataclasses

    monkeypatch.setattr("pipelines.evaluate.scaling.open_reader", lambda *_: reader)
    write_lines(study.questions, questions()[:1])
    first, second = Told(), Told()
    run(dataclasses.replace(study, fractions=(1.0,), reader=ReaderChoice("any")), first)
    (study.output / "mine.txt").write_text("not the study's")
    assert (study.output / "answers.jsonl").exists()
    monkeypatch.undo()
    run(dataclasses.replace(study, fractions=(0.5, 1.0)), second)
    assert {path.name for path in study.output.iterdir()} == {
        *("results.parquet", "report.md", "scaling.png", "mine.txt")
    }
    said = f"{study.output} holds an earlier curve: it is written anew."
    assert (said in first.said, said in second.said) == (False, True)


def test_a_file_where_the_report_should_lie_is_said_before_the_search(study, monkeypatch):
    monkeypatch.setattr(LocalRetriever, "search_many", lambda *_, **__: pytest.fail("searched"))
    study.output.write_text("")
    with pytest.raises(RalmError, match="is a file: choose a folder"):
        run(study)


THAI = {"id": "thai", "question": "สะพานหินเก่าสร้างเมื่อใด", "answers": ["1787"], "gold_docs": ["Arvenholm-0"]}


@pytest.mark.parametrize("method", ["dense", "bm25", "hybrid"])
@pytest.mark.parametrize("place", [0, 3])
def test_a_question_that_the_encoder_does_not_know_finds_nothing_and_costs_no_other(study, method, place):
    import dataclasses

    study = dataclasses.replace(study, method=Method(method))
    whole, told = run(study), Told()
    asked = questions()
    write_lines(study.questions, [*asked[:place], THAI, *asked[place:]])
    curve = run(dataclasses.replace(study, output=study.output / "again"), told)
    for before, after in zip(whole.points, curve.points, strict=True):
        assert after.score.n == before.score.n + 1
        assert after.score.value == pytest.approx(before.score.value * before.score.n / after.score.n)
        assert after.short == before.short + after.share.seeds
    said = {
        "dense": "holds nothing that the encoder all-MiniLM-L6-v2 knows: counts as found nothing",
        "bm25": "found no passage in any share of the store",
        "hybrid": "holds nothing that the encoder all-MiniLM-L6-v2 knows, and no passage has their words: "
        "counts as found nothing",
    }[method]
    notes = [one for one in told.said if one.startswith("1 of 9")]
    assert notes == [f"1 of 9 questions {said} (thai)."]
    assert f"- {notes[0]}" in (study.output / "again" / "report.md").read_text()


def test_questions_that_are_all_unknown_are_refused(study):
    write_lines(study.questions, [THAI, THAI | {"id": "again"}])
    with pytest.raises(
        RalmError, match=r"Queries 1, 2 hold nothing that the encoder .* knows: search by words"
    ):
        run(study)
    assert not study.output.exists()


def test_a_reader_is_asked_a_question_that_finds_nothing_without_passages(study, reader, monkeypatch):
    import dataclasses

    monkeypatch.setattr("pipelines.evaluate.scaling.open_reader", lambda *_: reader)
    write_lines(study.questions, [questions()[0], THAI])
    curve = run(dataclasses.replace(study, fractions=(1.0,), reader=ReaderChoice("any")))
    assert {p.score.n for p in curve.points if isinstance(p.metric, ReaderMetric)} == {2}
