"""A study from beginning to end: figures, views, resumption, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from base.errors import RalmError
from datastore.store import Datastore
from pipelines.evaluate.metrics import contains
from pipelines.evaluate.study.reading import answering
from pipelines.evaluate.study.running import run
from pipelines.evaluate.study.settings import study_of
from pipelines.evaluate.tables import Tables
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
