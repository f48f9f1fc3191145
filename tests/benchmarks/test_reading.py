"""The three steps of the gain study, on the test store and the packaged reader."""

import json
import math
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.reading import abstention, answers, prompts, report
from lm.backends.weights import PLAIN_READER
from lm.conditioning import Conditioning
from lm.prompts import Message, Prompt
from lm.reader import Completion, Position, Sampling, TokenLogprob
from pipelines.evaluate.metrics import contains
from pipelines.questions import read_questions
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.answering.inquiry import Inquiry
from tests.corpus import questions, write_lines
from tests.lm.models import tiny_model


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Questions about the towns: with answers and documents, with answers alone, with documents alone."""
    folder = tmp_path_factory.mktemp("asked")
    both = questions()
    answered = [{k: v for k, v in one.items() if k != "gold_docs"} for one in both]
    gold = [{k: v for k, v in one.items() if k != "answers"} for one in both]
    gold[0]["gold_docs"] = ["nowhere"]
    named = {"qa_both": both, "qa_answered": answered, "qa_gold": gold}
    return {name: write_lines(folder / f"{name}.jsonl", lines) for name, lines in named.items()}


@pytest.fixture(scope="module")
def retriever(store):
    return LocalRetriever.open(store)


def cases(retriever, path):
    return list(prompts.cases(retriever, path.stem, read_questions(path).questions, 0))


def test_found_passages_are_put_to_the_reader_as_the_server_does_it(retriever, reader, asked):
    answerer = Answerer(retriever, reader)
    for case in cases(retriever, asked["qa_both"]):
        passages = dict(case.conditions())
        assert list(passages) == ["none", "random", "k=1", "k=3", "k=5", "gold", "without"]
        for name, k in {"none": 0, "k=1": 1, "k=3": 3, "k=5": 5}.items():
            mine, packed = prompts.written(reader, case.question, passages[name])
            theirs = answerer.prepare(Inquiry(case.question.text, Conditioning(passages=k)))
            assert (mine, packed) == (theirs.asked, theirs.packed)
            assert mine.passages == len(packed) == k


def test_what_tells_the_answer_is_taken_out_and_the_next_put_in(retriever, asked):
    for case in cases(retriever, asked["qa_both"]):
        passages = dict(case.conditions())
        assert len(passages["without"]) == 3
        assert not any(contains(one.text, case.question.answers) for one in passages["without"])
        rest = [one for one in case.found if not contains(one.text, case.question.answers)]
        assert list(passages["without"]) == rest[:3]
        assert [one.doc_id for one in passages["gold"]] == list(case.question.gold_docs)


def test_a_title_tells_and_a_number_before_a_passage_does_not(retriever, reader, asked):
    case = cases(retriever, asked["qa_both"])[0]
    (town,) = {one.metadata["title"] for one in case.gold}
    named = replace(case, question=replace(case.question, answers=(town, "2")))
    assert all(one.metadata["title"] != town for one in dict(named.conditions())["without"])
    lines = {line["condition"]: line for line in named.lines(reader)}
    assert [lines[name]["told"] for name in ("gold", "without", "none")] == [True, False, False]
    assert "[2] " in lines["without"]["conversation"][-1]["content"]


def test_without_answers_the_gold_document_is_taken_out(retriever, asked):
    nowhere, *rest = cases(retriever, asked["qa_gold"])
    assert "gold" not in dict(nowhere.conditions())
    about = nowhere.about()
    assert (about["in_store"], about["gold_rank"], about["reference"]) == (False, None, "")
    for case in rest:
        assert not {one.doc_id for one in dict(case.conditions())["without"]} & case.question.gold_docs
        about = case.about()
        assert about["in_store"]
        assert case.found[about["gold_rank"] - 1].doc_id in case.question.gold_docs
        assert about["reference"] == case.gold[0].text
    assert cases(retriever, asked["qa_answered"])[0].about()["in_store"] is None


def test_the_same_questions_are_drawn_by_the_same_seed(asked):
    path = asked["qa_both"]
    drawn = prompts.chosen(path, None, 3, 0)
    assert drawn == prompts.chosen(path, None, 3, 0) != prompts.chosen(path, None, 3, 5)
    assert len(drawn) == 3
    everything = list(read_questions(path).questions)
    assert [one for one in everything if one in drawn] == drawn
    assert prompts.chosen(path, None, None, 0) == prompts.chosen(path, None, 99, 0) == everything


def test_what_is_held_out_is_asked_alone(asked, tmp_path):
    held_out = tmp_path / "splits.json"
    held_out.write_text(json.dumps({"held_out": ["q2", "q7", "elsewhere/"]}))
    for limit, ids in ((None, ["q2", "q7"]), (5, ["q2", "q7"])):
        assert [one.id for one in prompts.chosen(asked["qa_both"], held_out, limit, 0)] == ids
    assert len(prompts.chosen(asked["qa_both"], held_out, 1, 0)) == 1


class Shouting:
    """Answers with what it is asked in capitals, and remembers its batches."""

    def __init__(self):
        self.batches = []

    def prompt_tokens(self, prompt):
        return len(prompt.conversation[-1].content)

    def generate(self, asked, sampling):
        self.batches.append(asked)
        return [Completion(one.conversation[-1].content.upper(), 1, 1, True) for one in asked]


def line(id, content, condition="k=3", passages=1):
    turns = [{"role": "user", "content": content}]
    return {"id": id, "condition": condition, "passages": passages, "conversation": turns}


def test_prompts_of_like_length_are_answered_together_and_the_same_one_once():
    lines = [line("a", "xx"), line("b", "yyyy"), line("c", "xx"), line("d", "z", "none", 0)]
    reader = Shouting()
    found = [
        one for some in answers.Task(tuple(lines), Sampling(), False).answered(reader, 2) for one in some
    ]
    assert [[one.conversation[-1].content for one in batch] for batch in reader.batches] == [
        ["yyyy", "xx"],
        ["z"],
    ]
    assert {one["id"]: one["answer"] for one in found} == {"a": "XX", "b": "YYYY", "c": "XX", "d": "Z"}
    assert not any("conversation" in one or one["suppressed"] for one in found)


def test_an_adapter_is_attached_everywhere_if_asked():
    turns = (Message("user", "z"),)
    for everywhere, passages in ((False, 0), (True, 1)):
        task = answers.Task((), Sampling(), everywhere)
        assert task.prompt(line("d", "z", "none", 0)) == Prompt(turns, passages=passages)
        assert task.prompt(line("d", "z", passages=3)) == Prompt(turns, passages=3)


def ran(script, monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", ["script", *map(str, args)])
    script.main()


@pytest.fixture
def adapted(tmp_path):
    """A tiny reader's folder, and an adapter's for it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tiny_model(tmp_path / "m")
    lora = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(folder), lora).save_pretrained(tmp_path / "a")
    return folder, tmp_path / "a"


def test_an_adapter_answers_what_has_passages_alone(tmp_path, adapted, monkeypatch):
    asked = write_lines(tmp_path / "p.jsonl", [line("a", "Who built it?"), line("b", "Who?", "none", 0)])
    folder, adapter = adapted

    def answered(label, *args):
        out = tmp_path / f"{label}.jsonl"
        how = ("--reader", folder, "--quantization", "none", "--max-tokens", 6, "--whole", "--device", "cpu")
        ran(answers, monkeypatch, asked, "--label", label, "--out", out, *how, *args)
        found = [json.loads(one) for one in out.read_text().splitlines()]
        assert {one["reader"] for one in found} == {label}
        return {(one["id"], one["suppressed"]): one["answer"] for one in found}

    plain, tuned = answered("plain"), answered("tuned", "--adapter", adapter)
    assert set(plain) == set(tuned) == {("a", False), ("a", True), ("b", False)}
    assert tuned["b", False] == plain["b", False]
    assert tuned["a", False] != plain["a", False]


def test_a_reader_is_also_asked_without_leave_to_abstain():
    lines = [line("a", "x"), line("b", "y", "none", 0), line("c", "z", "gold")]
    args = Namespace(max_tokens=7, whole=False, everywhere=False, sure=False)
    free, held = answers.tasks(lines, args)
    assert (free.lines, free.sampling) == (tuple(lines), Sampling(7, stop=("\n",)))
    assert [one["id"] for one in held.lines] == ["a"]
    assert held.sampling == replace(free.sampling, without=("I do not know",))
    found = [one for task in (free, held) for some in task.answered(Shouting(), 2) for one in some]
    assert [one["id"] for one in found if one["suppressed"]] == ["a"]
    assert len(found) == 4


def test_how_likely_an_abstention_was_is_told_of_prompts_with_passages_alone():
    lines = [line("a", "x"), line("b", "y", "none", 0), line("c", "z", "without")]
    (sure,) = answers.tasks(lines, Namespace(max_tokens=7, whole=False, everywhere=False, sure=True))
    assert [one["id"] for one in sure.lines] == ["a", "c"]
    assert (sure.sampling.without, sure.everywhere) == (("I do not know",), False)
    assert sure.sampling.logprobs
    tokens = [TokenLogprob(at, data, math.log(p)) for at, (data, p) in enumerate(FIRST)]
    said = Completion("By lot.", 1, 2, True, (Position(tokens[0], tuple(tokens)), Position(tokens[1])))
    assert answers.doubt(said) == pytest.approx(0.25)
    assert answers.doubt(replace(said, positions=())) == 0


# A first token's likeliest: "I" and "I do" begin an abstention, the others and an empty one do not.
FIRST = ((b"By", 0.6), (b"I", 0.2), (b"I do", 0.05), (b"In", 0.1), (b"", 0.04))


def judged(doubts, right):
    lines = [{"p": p, "condition": abstention.CONDITIONS[at % 2]} for at, p in enumerate(doubts)]
    found = abstention.Answers(lines, np.array(right))
    found.signals["abstention"] = 1 - found.doubts
    return found


def test_the_bound_of_abstention_is_the_highest_below_which_half_is_right():
    some = judged([0.005, 0.055, 0.105, 0.155, 0.205], [True, False, True, False, False])
    assert abstention.chosen(some) == 0.2
    assert abstention.share(some, 0.2) == (0.8, 0.5, 1.0)
    assert abstention.share(some, 0.1) == (0.4, 0.5, 0.5)
    assert abstention.share(some.of("without"), 1.0) == (1.0, 0.0, 0.0)
    assert abstention.chosen(judged([0.3, 0.4], [False, False])) == 0.01


def test_the_area_under_a_curve_counts_pairs_and_equals_half():
    right = np.array([True, True, False, False])
    assert abstention.auc(np.array([3.0, 1.0, 2.0, 1.0]), right) == 2.5 / 4
    assert abstention.auc(np.array([1.0, 1.0, 1.0, 1.0]), right) == 0.5
    assert np.isnan(abstention.auc(np.array([1.0]), np.array([True])))


def test_signals_stand_beside_each_other_in_a_table(retriever, reader, asked, tmp_path):
    lines = [one for case in cases(retriever, asked["qa_both"]) for one in case.lines(reader)]
    prompted = write_lines(tmp_path / "p.jsonl", lines)
    sure = [
        one | {"answer": "Nobody." if one["condition"] == "without" else one["answers"][0], "p": at % 9 / 10}
        for at, one in enumerate(lines)
        if one["condition"] in abstention.CONDITIONS
    ]
    found = abstention.answers(prompted, write_lines(tmp_path / "s.jsonl", sure), retriever)
    assert set(found.signals) == {"abstention", "words", *abstention.METHODS, "margin"}
    assert found.of("k=3").right.all()
    assert not found.of("without").right.any()
    assert found.of("k=3").signals["dense"].mean() > found.of("without").signals["dense"].mean()
    assert found.of("k=3").signals["words"].mean() > found.of("without").signals["words"].mean()
    table = "\n".join(abstention.show(found, found))
    assert "| both | 1.000 | 1.000 |" in table
    assert "Chosen on dev: " in table


def test_answering_needs_no_store_and_nothing_that_searches(tmp_path, adapted):
    asked, out = write_lines(tmp_path / "p.jsonl", [line("a", "Who built it?")]), tmp_path / "out.jsonl"
    missing = (
        "ray faiss pyarrow orjson pydantic zstandard xxhash typer rich fastapi bitsandbytes torchao gguf"
    )
    missing += " datastore retriever serve pipelines"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing.split()}))\n"
        "from benchmarks.reading import answers; answers.main()"
    )
    how = ("--reader", adapted[0], "--adapter", adapted[1], "--label", "tuned", "--max-tokens", 2)
    subprocess.run([sys.executable, "-c", code, *map(str, (asked, "--out", out, *how))], check=True)
    assert len(out.read_text().splitlines()) == 2


def test_the_three_steps_follow_each_other(tmp_path, store, asked, monkeypatch, capsys):
    written, answered = tmp_path / "p.jsonl.gz", tmp_path / "plain.jsonl"
    ran(prompts, monkeypatch, store, asked["qa_both"], asked["qa_gold"], "--out", written, "--limit", 1)
    ran(
        answers,
        *(monkeypatch, written, "--label", "plain", "--out", answered, "--device", "cpu", "--max-tokens", 16),
        *("--conditions", "none", "k=1", "--quantization", "none"),
    )
    capsys.readouterr()
    ran(report, monkeypatch, answered)
    page = capsys.readouterr().out
    assert f"plain: {PLAIN_READER}, none" in page
    assert page.count("| plain, k=1 | 1 | 100.0 |") == 2
    lines = [json.loads(one) for one in answered.read_text().splitlines()]
    assert len(lines) == 4
    assert any(contains(one["answer"], one["answers"]) for one in lines if one["condition"] == "k=1")


def answer(number, condition, text, **more):
    """A line of `answers.py`: question n has the answer "n", or none where a gold document is all it has."""
    about = {
        **{"id": f"q{number}", "dataset": "made", "question": f"which {number}?", "answers": [str(number)]},
        **{"gold_docs": [f"d{number // 2}"], "in_store": True, "gold_rank": 1, "reference": ""},
        **{"reader": "tuned", "name": "lm", "quantization": "none", "store": "hash", "method": "hybrid"},
    }
    return about | {
        **{"condition": condition, "passages": 0, "told": False, "suppressed": False, "answer": text},
        **more,
    }


def made(rights, **more):
    """Ten questions in each condition, of which the first so many are answered rightly, the rest wrongly."""
    return [
        answer(number, condition, f"It is {number}." if number < right else "It is so.", **more)
        for condition, right in rights.items()
        for number in range(10)
    ]


def test_scores_and_gains_are_those_by_hand():
    group, *_ = report.groups(made({"none": 2, "k=3": 7}))
    assert group.name == "All questions with answers"
    assert group.score("tuned", "k=3", "containment").value == 0.7
    # 2 shared of 2 + 1 words for each right one, "it is n" having three words.
    assert group.score("tuned", "k=3", "F1").value == pytest.approx(0.7 * 2 / 4)
    gain = group.gain(("tuned", "k=3"), ("tuned", "none"), "containment")
    assert (gain.value, gain.n) == (0.5, 10)
    # Five clusters, two of which do not change: too few for a claim.
    assert (gain.low, gain.high, gain.change) == (0.0, 1.0, "none")
    assert len(set(group.clusters.values())) == 5
    assert "10 questions in 5 clusters; of 10 the gold document" in report.heading(group)


@pytest.mark.parametrize(
    ("rights", "met"),
    [
        ({"none": 2, "random": 2, "k=3": 4}, ["met", "met", "met"]),
        ({"none": 2, "random": 1, "k=3": 3}, ["missed", "met", "missed"]),
        ({"none": 1, "random": 3, "k=3": 9}, ["met", "missed", "met"]),
    ],
)
def test_an_aim_is_met_from_its_bound_on(rights, met):
    page = report.report(made({"none": 2}, reader="plain") + made(rights))
    rows = [row.strip("| ").split(" | ") for row in page.splitlines() if row.endswith((" met |", "missed |"))]
    assert [row[0].partition(":")[0] for row in rows] == [
        "containment, gold document in the store",
        "containment without passages",
        "containment",
    ]
    assert [row[-1] for row in rows] == met


def test_abstention_is_judged_where_the_answer_is_gone_and_where_it_is_known():
    unsure = "I do not know."
    lines = [answer(n, "without", unsure if n < 6 else "It is so.") for n in range(10)]
    lines += [answer(n, "k=3", unsure if n in (0, 9) else f"It is {n}.") for n in range(10)]
    # Of the five that it would answer rightly it abstains on one.
    lines += [answer(n, "k=3", f"It is {n if n < 5 else 'so'}.", suppressed=True) for n in range(10)]
    group, *_ = report.groups(lines)
    abstained, still = report.aims(group, None)
    assert (abstained.measured.value, abstained.row()[-1]) == (0.6, "met")
    assert (still.measured.value, still.measured.n, still.row()[-1]) == (0.8, 5, "missed")


def test_what_is_told_is_judged_apart():
    unsure = "I do not know."
    lines = [answer(n, "k=3", f"It is {n}." if n < 3 else unsure, told=n < 4) for n in range(10)]
    group, *_ = report.groups(lines)
    row = report.reading(group).splitlines()[-1].strip("| ").split(" | ")
    assert [one.partition(" [")[0] for one in row] == ["tuned, k=3", "4", "75.0", "25.0", "0.0", "100.0"]
    everything = [answer(n, "gold", "It is so.", told=True) for n in range(3)]
    assert report.reading(report.groups(everything)[0]).count("no questions") == 2


def test_no_question_that_is_answered_rightly_is_no_share():
    lines = [answer(0, "k=3", "It is so.", suppressed=suppressed) for suppressed in (True, False)]
    (aim,) = report.aims(report.groups(lines)[0], None)
    assert aim.row()[2:] == ["no questions", "0", "missed"]


def test_without_expected_answers_the_words_of_the_gold_document_count():
    told = {"answers": [], "reference": "Rest cures it. So does cold water."}
    for text, score in (
        ("Cold water and rest.", 1.0),
        ("Cold beer.", 0.5),
        ("Which 0?", 0.0),
        ("I do not know.", 0.0),
    ):
        assert report.k_precision(answer(0, "k=3", text, **told)) == score
    (group,) = report.groups([answer(0, "k=3", "Cold beer.", **told)])
    assert list(group.metrics) == ["K-precision", "abstention"]
    assert "## Aims" not in report.report([answer(0, "k=3", "Cold beer.", **told)])


def test_sets_are_shown_apart_and_the_same_questions_once():
    lines = made({"none": 1}) + made({"none": 3}, dataset="other", in_store=False)
    shown = [row for row in report.report(lines).splitlines() if row.startswith("## ")]
    # "made" are those whose gold document is in the store.
    assert shown == ["## All questions with answers", "## Gold document in the store", "## other"]
