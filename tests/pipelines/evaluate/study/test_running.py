"""A study from beginning to end: figures, views, resumption, and what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from base.errors import RalmError
from datastore.store import Datastore
from pipelines.evaluate.metrics import contains
from pipelines.evaluate.study.reading import answering
from pipelines.evaluate.study.running import run
from pipelines.evaluate.study.settings import study_of
from pipelines.evaluate.tables import Tables
from pipelines.execution.progress import Silent
from pipelines.questions import read_questions
from retriever.local import LocalRetriever
from tests.conftest import build_store
from tests.corpus import documents, questions, write_lines
from tests.lm.models import tiny_model
from tests.vectors import dense


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A reader of random weights: these tests are about what is asked and counted, not about what is said."""
    return str(tiny_model(tmp_path_factory.mktemp("tiny") / "chat", context=1200))


@pytest.fixture
def settings(tmp_path, store):
    path = write_lines(tmp_path / "q.jsonl", questions())
    return {
        **{"store": str(store), "output": str(tmp_path / "out"), "tasks": [str(path)]},
        **{"fractions": [0.3, 1.0], "seeds": 2, "depths": [1, 5]},
    }


@pytest.fixture
def read(settings, tiny):
    """The same, read by a reader."""
    return settings | {"readers": [tiny], "quantizations": "none", "k": [1, 2], "seeds": 1}


def figures(tables: Tables):
    """Values by task, metric, depth and share: what does not name the store."""
    return {
        (one.metric, one.cell.k, one.cell.fraction, one.cell.seed): (one.value, one.low, one.high, one.n)
        for one in tables.results
        if not one.cell.reader
    }


def test_every_figure_is_what_searching_its_view_gives(settings):
    study = study_of(settings)
    found = figures(run(study))
    retriever, asked = LocalRetriever.open(study.store), read_questions(study.tasks[0].file).questions
    assert len(found) == 6 * 2 * 3
    for view in study.views_of((), ()):
        for metric, k in (("success", 5), ("containment", 1)):
            rankings = retriever.search([one.text for one in asked], dense(k, view))
            values = []
            for one, ranking in zip(asked, rankings, strict=True):
                hits = [hit.passage for hit in ranking.hits]
                gold = any(hit.doc_id in one.gold_docs for hit in hits)
                values.append(
                    gold if metric == "success" else any(contains(h.text, one.answers) for h in hits)
                )
            value, low, high, n = found[metric, k, view.fraction, view.seed]
            assert (value, n) == (pytest.approx(np.mean(values)), len(asked))
            assert low <= value <= high


def test_a_view_gives_the_figures_of_a_store_that_is_built_so_small(settings, tmp_path):
    """Law 2, of whole studies: two fractions, whose passages are all that two smaller stores hold."""
    settings |= {"fractions": [0.3, 0.6], "seeds": 1}
    by_views = figures(run(study_of(settings)))
    store = Datastore.open(settings["store"])
    for view in study_of(settings).views_of((), ()):
        kept = {store.passage(int(row)).doc_id for row in np.flatnonzero(store.mask(view))}
        lines = write_lines(tmp_path / f"{view.fraction}.jsonl", [d for d in documents() if d["id"] in kept])
        small = tmp_path / f"store-{view.fraction}"
        assert build_store(small, lines, passages_per_shard=8).rows == store.mask(view).sum() < store.rows
        again = settings | {"store": str(small), "fractions": 1, "output": str(tmp_path / "small")}
        built = figures(run(study_of(again)))
        (tmp_path / "small" / "results.parquet").unlink()
        assert {(metric, k): value for (metric, k, _, _), value in built.items()} == {
            (metric, k): value for (metric, k, share, _), value in by_views.items() if share == view.fraction
        }


def test_rows_that_are_there_are_not_measured_again(read, monkeypatch):
    first = run(study_of(read))
    monkeypatch.setattr(LocalRetriever, "search_many", lambda *_, **__: pytest.fail("searched"))
    monkeypatch.setattr(answering, "answered", lambda *_: pytest.fail("asked"))
    assert run(study_of(read)).results == first.results


def test_a_study_is_extended_by_values_of_its_axes(read, monkeypatch):
    first = run(study_of(read | {"k": [1], "fractions": [1.0]}))
    whole = run(study_of(read))
    assert {one.key for one in first.results} < {one.key for one in whole.results}
    assert set(first.results) <= set(whole.results)


def test_a_study_that_is_killed_and_resumed_is_an_undisturbed_one(read, tmp_path, monkeypatch):
    monkeypatch.setattr(answering, "TASK", 16)
    honest, calls, deadly = answering.answered, [], []

    def killed(*arguments):
        if len(calls) in deadly:
            deadly.clear()
            raise KeyboardInterrupt
        calls.append(len(arguments[1]))
        return honest(*arguments)

    monkeypatch.setattr(answering, "answered", killed)
    undisturbed, whole = run(study_of(read | {"output": str(tmp_path / "undisturbed")})), sum(calls)
    calls.clear()
    deadly.append(1)
    with pytest.raises(KeyboardInterrupt):
        run(study_of(read))
    half = Tables.read(tmp_path / "out")
    assert half.results
    assert not any(one.cell.reader for one in half.results)
    resumed = run(study_of(read))
    # What was answered before is not asked again.
    assert sum(calls) == whole > 16
    assert measured(resumed) == measured(undisturbed)
    files = [sorted((tmp_path / name / "answers").rglob("*")) for name in ("out", "undisturbed")]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]


def measured(tables: Tables):
    """All but what a machine drew."""
    return [replace(one, basis=replace(one.basis, joules=None)) for one in tables.results]


def test_planted_leaks_are_caught_and_move_the_figures_as_they_should(settings, tmp_path):
    """Copies of long questions with their answers: without a filter they are found first."""
    asked = [
        one | {"question": f"{' '.join([one['question']] * 4)} Number {number}, please.", "gold_docs": []}
        for number, one in enumerate(questions())
    ]
    asked = [one | {"answers": [f"leaked answer {number}"]} for number, one in enumerate(asked)]
    leaks = [
        {"id": f"leak-{number}", "text": f"{one['question']} It is leaked answer {number}."}
        for number, one in enumerate(asked)
    ]
    write_lines(study_of(settings).tasks[0].file, asked)
    build_store(tmp_path / "leaky", write_lines(tmp_path / "leaky.jsonl", [*documents(), *leaks]))
    settings |= {"fractions": 1, "depths": [1], "metrics": ["containment"], "filters": ["none", "overlap"]}
    leaky = run(study_of(settings | {"store": str(tmp_path / "leaky")}))
    assert {one.cell.filter: one.value for one in leaky.results} == {"": 1.0, "overlap": 0.0}
    clean = run(study_of(settings | {"output": str(tmp_path / "clean")}))
    assert {one.value for one in clean.results} == {0.0}


def test_if_a_filter_drops_hits_the_search_goes_deeper(settings, tmp_path):
    """Of three copies of each document near-duplicates leave one."""
    copies = [one | {"id": f"{one['id']}#{n}"} for one in documents() for n in range(3)]
    lines = write_lines(tmp_path / "copies.jsonl", copies)
    build_store(tmp_path / "copies", lines, duplicate_text="keep")
    settings |= {"fractions": 1, "depths": [1, 5], "metrics": ["containment", "containment MRR"]}
    copied = settings | {"store": str(tmp_path / "copies"), "filters": ["near-duplicates"]}
    once = figures(run(study_of(settings | {"filters": ["near-duplicates"]})))
    assert figures(run(study_of(copied | {"output": str(tmp_path / "copied")}))) == once


def test_answers_of_another_machine_are_taken(read, tmp_path, monkeypatch):
    """The files of answers are all that a run needs of a reader's work."""
    first = run(study_of(read))
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "out" / "answers", other / "answers")
    monkeypatch.setattr(answering, "answered", lambda *_: pytest.fail("asked"))
    assert run(study_of(read | {"output": str(other)})).results == first.results


def test_a_question_that_the_encoder_does_not_know_finds_nothing_and_is_named(settings):
    thai = {"id": "thai", "question": "สะพานหินเก่าสร้างเมื่อใด", "answers": ["1787"]}
    told = Told()
    whole = figures(run(study_of(settings)))
    write_lines(study_of(settings).tasks[0].file, [questions()[0], thai, *questions()[1:]])
    found = figures(run(study_of(settings | {"output": settings["output"] + "-again"}), told))
    for key, (value, _, _, n) in whole.items():
        again, _, _, more = found[key]
        if key[0].startswith("containment"):
            assert more == n + 1
            assert again == pytest.approx(value * n / more)
        else:
            assert (again, more) == (value, n)
    assert told.said == [
        "q: 1 of 9 questions holds nothing that the encoder all-MiniLM-L6-v2 knows: counts as found nothing "
        "(thai)."
    ]


def test_a_line_that_is_no_question_is_named(settings):
    told = Told()
    file = study_of(settings).tasks[0].file
    file.write_text(file.read_text() + "{\n")
    run(study_of(settings), told)
    (note,) = told.said
    assert note.startswith("1 line is no question and is left out of q.jsonl (line ")
    assert note in (Path(settings["output"]) / "study.yaml").read_text().replace("\n  ", " ")


def test_what_was_noted_of_a_search_is_told_when_it_is_not_repeated(settings):
    thai = {"id": "thai", "question": "สะพานหินเก่าสร้างเมื่อใด", "answers": ["1787"]}
    write_lines(study_of(settings).tasks[0].file, [*questions(), thai])
    about = Path(settings["output"]) / "study.yaml"
    run(study_of(settings))
    (note,) = yaml.safe_load(about.read_bytes())["notes"]
    assert "1 of 9 questions holds nothing" in note
    told = Told()
    run(study_of(settings), told)
    assert not told.said
    assert yaml.safe_load(about.read_bytes())["notes"] == [note]


def test_a_reader_that_is_too_large_is_said_before_it_is_loaded(read, monkeypatch):
    monkeypatch.setattr("lm.backends.memory.available_memory", lambda: 900)
    monkeypatch.setattr(answering, "open_reader", lambda _: pytest.fail("loaded"))
    with pytest.raises(
        RalmError, match=r"The reader .*chat would take .* as none, but 900 bytes are free here"
    ):
        run(study_of(read))


class Told(Silent):
    """Keeps what is said of a study."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def test_the_same_prompt_is_asked_once_over_all_axes(read, monkeypatch):
    asked = []
    honest = answering.answered

    def noted(reader, demands, *rest):
        asked.extend(demands)
        return honest(reader, demands, *rest)

    monkeypatch.setattr(answering, "answered", noted)
    tables = run(study_of(read | {"filters": ["none", "overlap"]}))
    assert len(asked) == len(set(asked))
    # No passage holds 32 words of a question: with the filter and without, prompts are the same.
    cells = {one.cell for one in tables.results if one.cell.reader}
    assert len(cells) == 1 + 2 * 2 * 2
    assert len(asked) <= 8 * (1 + 2 * 2)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"metrics": ["succes"]}, r"Unknown metric 'succes': valid are success, .*did you mean success\?"),
        ({"domains": [["town"]]}, r"No passage has the domain 'town': there are .*"),
        ({"manifest": "abc"}, r"The study is of the manifest abc, the store .* has [0-9a-f]{32}: build"),
        ({"tasks": ["nowhere.jsonl"]}, r"There is no question file nowhere\.jsonl"),
    ],
)
def test_what_cannot_be_measured_is_said_before_the_search(settings, change, sentence, monkeypatch):
    monkeypatch.setattr(LocalRetriever, "search_many", lambda *_, **__: pytest.fail("searched"))
    with pytest.raises(RalmError, match=sentence):
        run(study_of(settings | change))


def test_a_store_that_changed_since_is_refused_with_both_hashes(settings, tmp_path):
    run(study_of(settings))
    lines = write_lines(tmp_path / "few.jsonl", documents()[:20])
    before = Datastore.open(settings["store"]).hash
    now = build_store(tmp_path / "other", lines).hash
    with pytest.raises(RalmError, match=f"its manifest was {before}, it is {now} now"):
        run(study_of(settings | {"store": str(tmp_path / "other")}))


def test_a_folder_of_another_study_is_refused(settings, tmp_path):
    run(study_of(settings))
    with pytest.raises(
        RalmError, match=r"results\.parquet is of the study .*, this one is .*: choose another"
    ):
        run(study_of(settings | {"pool": 7}))
    (tmp_path / "file").write_text("")
    with pytest.raises(RalmError, match="is a file: choose a folder"):
        run(study_of(settings | {"output": str(tmp_path / "file")}))


def test_a_reader_needs_questions_with_answers(read):
    write_lines(study_of(read).tasks[0].file, [one | {"answers": []} for one in questions()])
    with pytest.raises(
        RalmError, match=r"^No question of q\.jsonl has `answers`, by which a reader is scored"
    ):
        run(study_of(read))
