from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from pipelines.config import (
    BuildConfig,
    DuplicateLines,
    EvaluationTexts,
    NearDuplicates,
    SourceConfig,
    checked_config,
    load_config,
)
from pipelines.corpus.source_names import source_names


def test_a_file_is_read_and_overrides_win(tmp_path):
    path = tmp_path / "build.yaml"
    path.write_text(
        "sources:\n  - {path: a.jsonl, domain: news, licence: CC0, share: 0.5, reader: jsonl}\n"
        "  - path: hf://some/set?split=test\nmin_chars: 7\n"
    )
    config = load_config(path, limit=5, encoder=None)
    assert config.sources[0] == SourceConfig(
        path=str(tmp_path / "a.jsonl"), domain="news", licence="CC0", share=0.5, reader="jsonl"
    )
    assert config.sources[1].path == "hf://some/set?split=test"
    assert (config.min_chars, config.limit) == (7, 5)
    assert load_config(path, min_chars=1).min_chars == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sources: []", "sources must have at least 1 entry"),
        ("sorces: [a]", r"build\.yaml: sorces is no setting: did you mean sources\?$"),
        ("sources: [{path: a, colour: red}]", r"sources.0.colour is no setting: valid are path, domain, "),
        ("{sources: [{path: a}], min_chars: many}", "min_chars must be a whole number, not 'many'"),
        ("{sources: [{path: a}], index_memory: lots}", "index_memory: .*is not a size"),
        ("{sources: [{path: a, share: 0}]}", r"sources.0.share must be above 0, not 0"),
        ("{sources: [{path: a, share: 1.5}]}", r"sources.0.share must be at most 1, not 1.5"),
        ("{sources: [{path: a, licence: ''}]}", r"sources.0.licence must have at least 1 character"),
        ("{sources: [{path: a, reader: xls}]}", r"sources.0.reader must be 'jsonl', .* not 'xls'"),
        (
            "{sources: [{path: 'hf://a/b', reader: jsonl}]}",
            "sources.0: reader is for files: a data set of the hub knows its own format.$",
        ),
        ("- a list", "must hold a mapping"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, text, sentence):
    path = tmp_path / "build.yaml"
    path.write_text(text)
    with pytest.raises(RalmError, match=sentence):
        load_config(path)


# Of builds: a study's is another file.
CONFIGS = sorted(
    path
    for path in (Path(__file__).parents[2] / "configs").glob("*.yaml")
    if not path.name.startswith("study-")
)


@pytest.mark.parametrize("path", CONFIGS, ids=[path.name for path in CONFIGS])
def test_every_configuration_that_comes_along_is_valid(path):
    config = load_config(path)
    assert all(source.domain for source in config.sources)
    assert len(source_names([source.path for source in config.sources])) == len(config.sources)
    assert "/home/" not in path.read_text(encoding="utf-8")


def test_the_development_corpora_ask_prose_and_nothing_else():
    (path,) = (path for path in CONFIGS if path.name == "dev.yaml")
    asked = {s.domain: [rule.name for rule in s.filters or ()] for s in load_config(path).sources}
    assert asked["technical docs"] == asked["dictionary"] == []
    for domain in ("encyclopedic", "books", "science", "textbooks", "health web Q&A"):
        assert {"language", "gopher_quality", "gopher_repetition"} <= set(asked[domain])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RalmError, match=r"no configuration file .*none\.yaml"):
        load_config(tmp_path / "none.yaml")


def test_an_unknown_index_key_lists_the_valid_ones():
    with pytest.raises(RalmError, match="valid keys are auto, Flat"):
        load_config(None, sources=(SourceConfig(path="a"),), index_key="IVFPQ")


def test_models_of_filters_lie_beside_the_file(tmp_path):
    path = tmp_path / "build.yaml"
    quality = {"name": "quality", "model": "good.ftz", "label": "good"}
    path.write_text(yaml.safe_dump({"sources": [{"path": "a", "filters": [quality]}], "filters": [quality]}))
    config = load_config(path)
    for rules in (config.filters, config.sources[0].filters):
        assert rules[0].model == str(tmp_path / "good.ftz")


def test_files_to_decontaminate_by_are_relative_to_the_configuration(tmp_path):
    path = tmp_path / "build.yaml"
    path.write_text("sources: [{path: a.jsonl}]\ndecontaminate: [q.jsonl]\n")
    assert load_config(path).decontaminate.files == (str(tmp_path / "q.jsonl"),)
    path.write_text("sources: [{path: a.jsonl}]\ndecontaminate: {files: [q.jsonl], words: 8}\n")
    found = load_config(path).decontaminate
    assert (found.files, found.words) == ((str(tmp_path / "q.jsonl"),), 8)
    # The command line names its own.
    assert load_config(path, decontaminate=["b.jsonl"]).decontaminate.files == ("b.jsonl",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"files": []}, "decontaminate.files"),
        ({"files": ["q"], "words": 40}, "give more words"),
        ({"files": ["q"], "containment": 0}, "decontaminate.containment"),
        ("q.jsonl", "decontaminate"),
    ],
)
def test_wrong_decontamination_is_named(settings, message):
    with pytest.raises(RalmError, match=message):
        checked_config({"sources": [{"path": "a"}], "decontaminate": settings})


@given(st.floats(0.01, 1), st.integers(1, 200))
def test_what_is_needed_is_the_least_that_is_enough(containment, grams):
    settings = EvaluationTexts(files=("q",), containment=containment, overlap=None)
    enough = [n for n in range(1, grams + 1) if n / grams >= containment]
    assert settings.needed(grams) == enough[0]
    assert EvaluationTexts(files=("q",), containment=1.0).needed(grams) == min(grams, 20)


def test_settings_that_are_not_made_are_not_written():
    """A build that was begun before there were these goes on, and its manifest keeps its hash."""
    written = BuildConfig(sources=({"path": "a.jsonl"},)).model_dump(mode="json")
    later = {
        "query_encoder",
        "pooling",
        "similarity",
        "decontaminate",
        "duplicate_lines",
        "duplicate_passages",
        "duplicate_text",
    }
    assert not later & {*written}
    made = BuildConfig(sources=({"path": "a.jsonl"},), duplicate_passages="drop", pooling="cls")
    assert {"duplicate_passages", "pooling"} <= {*made.model_dump(mode="json")}


# What is written whatever it is: the settings that builds had before any was added.
ALWAYS = {
    BuildConfig: {
        *("sources", "limit", "min_chars", "filters", "near_duplicates", "max_record_bytes", "split_bytes"),
        *("passages_per_shard", "encoder", "dtype", "device", "chunk_tokens", "index_key", "index_memory"),
        *("index_recall", "lexical", "seed", "takedowns"),
    },
    SourceConfig: {"path", "domain", "licence", "share", "reader", "text_fields", "id_field", "filters"},
    NearDuplicates: {"words", "threshold", "permutations", "bands"},
    DuplicateLines: {"min_chars"},
    EvaluationTexts: {
        *("files", "words", "containment", "overlap", "min_question_words", "min_answer_words"),
    },
}


@pytest.mark.parametrize("model", ALWAYS)
def test_a_setting_that_came_later_is_left_out_where_it_is_not_made(model):
    assert ALWAYS[model] <= {*model.model_fields}
    for name in {*model.model_fields} - ALWAYS[model]:
        field = model.model_fields[name]
        what = f"{model.__name__}.{name} is to be `later(...)`: it changes the bytes of stores without it"
        assert not field.is_required(), what
        assert field.exclude_if is not None, what
        assert field.exclude_if(field.default), what
