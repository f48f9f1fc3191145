import json

import pytest

from tests.conftest import build_store
from tests.corpus import write_lines


def test_search_in_a_view_by_a_recall(ralm, store):
    code, out, _ = ralm(
        "search", store, "blue glass", "--domain", "travel", "--where", "title=Dunmarrow", "-k", "9",
        "--recall", "0.9", "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert {hit["doc_id"] for hit in found["hits"]} == {"Dunmarrow-1", "Dunmarrow-3"}
    assert found["exhausted"]
    assert set(found["seconds"]) == {"encode", "propose", "rescore", "words", "fuse", "passages"}


def test_several_stores_are_searched_as_one(ralm, store, own_store):
    code, out, _ = ralm("search", store, "blue glass", "--also", own_store, "-k", 3, "--json")
    assert code == 0
    assert {hit["store"] for hit in json.loads(out)["hits"]} <= {store.name, own_store.name}
    code, out, _ = ralm("search", store, "blue glass", "--also", own_store, "-k", 3)
    assert f"{own_store.name}, row" in out


def test_a_store_that_a_view_leaves_out_is_named(ralm, tmp_path, store):
    own = {"id": "x", "text": "a text that tells a shelf, which no other has", "shelf": 3}
    build_store(tmp_path / "shelved", write_lines(tmp_path / "own.jsonl", [own]))
    asked = ("search", store, "a text", "--also", tmp_path / "shelved", "--where", "shelf=3")
    _, out, _ = ralm(*asked)
    assert f"{store.name} has no such domain or column: nothing of it is in this view." in " ".join(
        out.split()
    )
    _, out, _ = ralm(*asked, "--json")
    assert json.loads(out)["left_out"] == [store.name]


def test_passages_that_hold_the_question_can_be_left_out(ralm, store):
    _, out, _ = ralm("search", store, "blue glass", "-k", 1, "--json")
    (held,) = json.loads(out)["hits"]
    question = " ".join(held["text"].split()[:12])
    _, out, _ = ralm("search", store, question, "-k", 1, "--json")
    assert question in " ".join(json.loads(out)["hits"][0]["text"].split())
    _, out, _ = ralm("search", store, question, "-k", 1, "--json", "--decontaminate", "containment")
    assert question not in " ".join(json.loads(out)["hits"][0]["text"].split())


@pytest.mark.parametrize(
    "options",
    [
        ["-k", "0"],
        ["--recall", "3"],
        ["--recall", "0.9", "--nprobe", "2"],
        ["--nprobe", "3"],
        ["--depth", "-1"],
        ["--where", "age>3"],
        ["--domain", "none"],
        ["--method", "sparse"],
        ["--fusion", "sum"],
        ["--near-duplicates", "2"],
    ],
)
def test_a_search_is_refused_before_anything_is_loaded(ralm, store, monkeypatch, options):
    monkeypatch.setattr("pipelines.commands.stores.open_stores", lambda *_: pytest.fail("loaded"))
    code, _, err = ralm("search", store, "x", *options)
    assert (code, len(err.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "cuda"), "finds no GPU here"),
        (("--index-in", "disk", "--nprobe", 3), "has no lists"),
    ],
)
def test_a_place_that_is_none_is_a_sentence(ralm, store, monkeypatch, options, message):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = ralm("search", store, "blue glass", *options)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["search", "{tmp}/none", "x"], "no datastore"),
        (["search", "{store}", "x", "-k", "0"], "k must be at least 1"),
        (["search", "{store}", "x", "--nprobe", "3"], "has no lists to probe"),
        (["search", "{store}", "x", "--recall", "1.1"], "must be in (0, 1], not 1.1"),
        (["search", "{store}", "x", "--recall", "0.9", "--depth", "3"], "give either recall, or those two"),
        (["search", "{store}", "x", "--fusion", "sum"], "valid are rrf, weighted"),
        (["search", "{store}", "x", "--diversity", "2"], "diversity must be between 0 and 1"),
        (["search", "{store}", " "], "The query is empty"),
        (["search", "{store}", "x\udcff"], "bytes that are no text: write it in UTF-8"),
        (
            ["search", "{store}", "x", "--decontaminate", "rouge"],
            "valid are containment, overlap and jaccard",
        ),
        (["search", "{store}", "x", "--where", "year"], "such as year>=2010"),
        (["search", "{store}", "x", "--where", "age>3"], "metadata column 'age': there are"),
        (["search", "{store}", "x", "--domain", "none"], "has the domain 'none': there are"),
        (["search", "{store}", "x", "--method", "sparse"], "valid are dense, bm25, hybrid"),
        (["search", "{store}", "x", "--fraction", "0"], "fraction must be above 0"),
        (["search", "{store}", "x", "--method", "hybird"], "did you mean hybrid?"),
        (["search", "{store}", "x", "--where", "yaer>3"], "did you mean year?"),
        (["search", "{store}", "x", "--domain", "Travel"], "did you mean travel?"),
        (["search", "{store}", "x", "--where", "year=>3"], "did you mean year>=3?"),
        (["search", "{store}", "x", "--where", "year>=NaN"], "compares with no number"),
        (["search", "{store}", "x", "--encoder", "other"], "no encoder 'other'"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal(*arguments)


def test_a_method_that_is_left_empty_is_the_one_that_finds_most(ralm, store):
    asked = ("search", store, "blue glass", "-k", 3)
    assert ralm(*asked, "--method", "") == ralm(*asked)


@pytest.mark.parametrize("option", ["--fraction", "--recall", "--near-duplicates", "--diversity"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10%", "10% is no number: write 0.1."),
        ("2.5%", "2.5% is no number: write 0.025."),
        ("x%", "x% is no number: write one such as 0.1."),
        ("a tenth", "a tenth is no number: write one such as 0.1."),
    ],
)
def test_a_share_that_is_no_number_says_how_one_is_written(ralm, option, value, said):
    code, _, err = ralm("search", "my-store", "x", option, value)
    assert code == 2
    assert f"Invalid value for '{option}': {said}" in " ".join(err.split())
