import json
import os
from inspect import signature

import pytest

from base.errors import RalmError
from pipelines.commands.build import build
from pipelines.config import BuildConfig
from tests.conftest import tree
from tests.corpus import questions, write_lines


def test_a_build_that_drops_what_is_repeated_or_asked(tmp_path, corpus, ralm):
    store, asked = tmp_path / "store", write_lines(tmp_path / "q.jsonl", questions())
    what = ["--duplicate-lines", "--duplicate-passages", "drop", "--decontaminate", asked]
    code, out, _ = ralm("build", corpus, "-o", store, "--executor", "local", "--limit", 3, *what)
    assert code == 0
    for row in ("repeated lines, left out", "dropped: duplicate", "dropped: contaminated", "for q.jsonl"):
        assert row in out
    code, _, err = ralm("build", corpus, "-o", tmp_path / "other", "--duplicate-passages", "some")
    assert code == 2
    assert "duplicate_passages must be 'keep' or 'drop', not 'some'" in err
    both = ["--duplicate-text", "keep", "--near-duplicates"]
    code, _, err = ralm("build", corpus, "-o", tmp_path / "other", *both)
    assert code == 2
    assert "duplicate_text: keep cannot stand beside near_duplicates" in " ".join(err.split())


def test_a_build_on_ray_from_the_command_line(tmp_path, corpus, store, ralm, ray_cluster):
    config = tmp_path / "build.yaml"
    config.write_text(
        json.dumps({"sources": [{"path": str(corpus)}], "split_bytes": 4096, "passages_per_shard": 8})
    )
    assert ralm("build", "--config", config, "-o", tmp_path / "store")[0] == 0
    assert tree(tmp_path / "store") == tree(store)


def test_a_dry_run_plans_and_writes_nothing(tmp_path, corpus, ralm):
    code, out, _ = ralm("build", corpus, "-o", tmp_path / "store", "--dry-run")
    assert code == 0
    assert "passages" in out
    assert "time on" in out
    assert not (tmp_path / "store").exists()
    code, out, _ = ralm("build", corpus, "-o", tmp_path / "store", "--dry-run", "--index-key", "IVF4096,SQ8")
    assert code == 0
    assert "would be refused: IVF4096,SQ8 has 4,096 lists and only" in out


def test_a_pipe_as_a_source_is_one_sentence(ralm, tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    code, _, err = ralm("build", tmp_path / "a.jsonl", "-o", tmp_path / "s", "--executor", "local")
    assert code == 2
    assert "is no file but a pipe" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["build", "nowhere", "-o", "{tmp}/s"], "There is no source nowhere"),
        (["build", "-o", "{tmp}/s"], "name files or folders, or a --config"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--encoder", "no/such"], "no encoder 'no/such'"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--index-key", "IVFPQ"], "valid keys are auto, Flat"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--index-memory", "much"], "is not a size"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--limit", "0"], "limit must be at least 1, not 0"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--executor", "spark"], "valid are auto, ray and local"),
        (["build", "--config", "{tmp}/none.yaml", "-o", "{tmp}/s"], "no configuration file"),
        (["build", "--config", "{corpus}", "--domain", "x", "-o", "{tmp}/s"], "--domain is for sources"),
        (["build", "{corpus}", "-o", "{corpus}"], "is a file"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--filter", "gopher_qualty"], "did you mean gopher_quality?"),
        (
            ["build", "{corpus}", "-o", "{tmp}/s", "--encoder", "all-MiniLM-L6"],
            "did you mean all-MiniLM-L6-v2?",
        ),
        (["build", "{corpus}", "-o", "{tmp}/s", "--executor", "locale"], "did you mean local?"),
        (["build", "{corpus}", "-o", "{corpus}/s"], "a file stands in its way"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal(*arguments)


def test_every_option_that_is_called_as_a_setting_sets_it(ralm, corpus, monkeypatch):
    """An option that nobody hands on would be taken and do nothing."""

    def load(_, **settings):
        raise RalmError(" ".join(settings))

    monkeypatch.setattr("pipelines.config.load_config", load)
    code, _, err = ralm("build", corpus)
    assert code == 2
    assert {*signature(build).parameters} & {*BuildConfig.model_fields} == {*err.split()[1:]}
