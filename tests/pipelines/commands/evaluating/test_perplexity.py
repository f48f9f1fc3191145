import json

import pytest

from tests.corpus import write_lines
from tests.lm.models import random_adapter, tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "m")


def test_perplexity_from_the_command_line(tmp_path, store, folder, ralm):
    texts = write_lines(
        tmp_path / "t.jsonl", [{"text": "Blue glass is made in Dunmarrow, by the salt flats."}] * 2
    )
    asked = ["eval", "perplexity", store, texts, "--reader", folder, "--quantization", "none"]
    asked += ["--stride", 8, "--fraction", 0.5, "-k", 1]
    code, out, _ = ralm(*asked)
    assert code == 0
    for words in (
        "without passages",
        "with passages",
        "difference",
        "bits per byte",
        "2 texts",
        "0.5 of the store (seed 0)",
    ):
        assert words in out
    code, out, _ = ralm(*asked, "--json")
    told = json.loads(out)
    assert code == 0
    assert set(told["perplexity"]) == {"alone", "with_passages", "difference"}
    assert told["window"] == 96
    assert told["view"]["fraction"] == 0.5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-k", "0"], "must be at least 1, not 0"),
        (["--stride", "95"], "leaves no room for a passage"),
        (["--window", "97"], "A window must have 1 to 96 tokens"),
        (["--fraction", "2"], "fraction must be"),
        (["--decontaminate", "all"], "Unknown decontamination 'all'"),
        (["--limit", "0"], "at least 1, not 0"),
        (["--protocol", "masiveds"], "valid are fixed, massiveds; did you mean massiveds"),
        (["--protocol", "massiveds"], "A window must have 1 to 96 tokens"),
        (["--controls", "random,gold"], "no control 'gold': valid are random, bm25, oracle"),
        (["--adapter", "{corpus}"], "holds no adapter"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, folder, options, sentence):
    asked = ["eval", "perplexity", "{store}", "{corpus}", "--reader", str(folder), "--quantization", "none"]
    assert sentence in refusal(*asked, *options)


def test_controls_and_the_papers_protocol_from_the_command_line(tmp_path, store, folder, ralm):
    texts = write_lines(
        tmp_path / "t.jsonl", [{"text": "Blue glass is made in Dunmarrow, by the flats."}] * 2
    )
    asked = ["eval", "perplexity", store, texts, "--reader", folder, "--quantization", "none"]
    asked += ["--protocol", "massiveds", "--window", 16, "--stride", 8, "--query", 8, "--controls", "random"]
    code, out, _ = ralm(*asked, "--json")
    told = json.loads(out)
    assert (code, told["protocol"], told["k"], told["added"]) == (0, "massiveds", 3, 96 - 16 - 1)
    assert "random_difference" in told["bits_per_byte"]
    assert told["decontaminate"] == ["overlap", "jaccard", "containment"]


@pytest.mark.parametrize("option", ["--stride", "--query"])
def test_what_no_reader_holds_is_refused_before_one_is_loaded(refusal, monkeypatch, option):
    monkeypatch.setattr("pipelines.evaluate.perplexity.measuring.open_reader", lambda choice: 1 / 0)
    assert "not 0" in refusal("eval", "perplexity", "{store}", "{corpus}", option, "0")


def test_an_adapter_is_refused_since_none_would_be_read_with(refusal, folder, tmp_path):
    adapter = random_adapter(folder, tmp_path / "adapter")
    asked = ["eval", "perplexity", "{store}", "{corpus}", "--reader", str(folder)]
    assert "leave --adapter out" in refusal(*asked, "--adapter", str(adapter))


def test_a_source_that_is_not_there_is_named(refusal):
    assert "none.txt" in refusal("eval", "perplexity", "{store}", "{tmp}/none.txt")
