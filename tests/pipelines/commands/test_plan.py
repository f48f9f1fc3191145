import json
import os

import pytest

from tests.corpus import documents, write_lines


def test_a_plan_from_a_number(ralm):
    code, out, err = ralm("plan", "--tokens", "1.4T", "--gpus", 16)
    assert (code, err) == (0, "")
    assert "16 H100 GPUs" in out
    assert "given: --gpus" in out
    assert "`auto` would refuse 4 GiB" in out


def test_a_plan_from_a_sample_agrees_with_a_dry_run(tmp_path, ralm):
    path = write_lines(tmp_path / "a.jsonl", documents())
    code, out, _ = ralm("plan", path, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["corpus"]["documents"] == 40
    assert found["corpus"]["basis"] == "extrapolated from 40 documents, 5.6 KB of text"
    code, out, _ = ralm("build", path, "-o", tmp_path / "store", "--dry-run")
    tokens = next(line.split()[-1] for line in out.splitlines() if line.strip().startswith("tokens"))
    assert int(tokens.replace(",", "")) == found["corpus"]["tokens"]
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_planned_for_this_machine_and_numbers_for_a_cluster(tmp_path, ralm, monkeypatch):
    monkeypatch.setattr("pipelines.plan.machine._gpus", tuple)
    path = write_lines(tmp_path / "a.jsonl", documents())
    cores = len(os.sched_getaffinity(0))
    rates = json.loads(ralm("plan", path, "--json")[1])["rates"]
    assert (rates["cores"]["value"], rates["gpus"]["value"]) == (cores, 0)
    assert rates["cores"]["source"] == "this machine's"
    rates = json.loads(ralm("plan", path, "--gpus", 2, "--json")[1])["rates"]
    assert (rates["cores"]["value"], rates["gpus"]["value"]) == (cores, 2)
    rates = json.loads(ralm("plan", "--tokens", "1B", "--json")[1])["rates"]
    assert (rates["cores"]["value"], rates["gpus"]["value"]) == (128, 8)
    hardware = tmp_path / "cluster.yaml"
    hardware.write_text("gpus: 16")
    rates = json.loads(ralm("plan", path, "--hardware", hardware, "--json")[1])["rates"]
    assert (rates["cores"]["value"], rates["gpus"]["value"]) == (128, 16)


def test_a_gpu_of_which_nothing_is_measured_is_named(tmp_path, ralm, monkeypatch):
    path = write_lines(tmp_path / "a.jsonl", documents())
    monkeypatch.setattr("pipelines.plan.machine._gpus", lambda: ("NVIDIA RTX 4090",) * 2)
    assert "Without this machine's NVIDIA RTX 4090, of which" in ralm("plan", path)[1]
    monkeypatch.setattr("pipelines.plan.machine._gpus", lambda: ("NVIDIA H100 80GB HBM3",))
    out = ralm("plan", path)[1]
    assert "1 H100 GPU: this machine" in out
    assert "Without" not in out


def test_a_plan_from_next_to_nothing_says_so(tmp_path, ralm):
    path = tmp_path / "tiny.jsonl"
    path.write_text('{"text": "One document alone, with next to nothing in it."}\n')
    code, out, _ = ralm("plan", path, "--cores", 1, "--gpus", 1)
    assert code == 0
    for part in (
        "from 1 document, 47 bytes of text",
        "The sample is small",
        "1 core, 1 H100 GPU",
        "from 1 document,",
    ):
        assert part in out
    code, out, _ = ralm("build", path, "--dry-run", "--workers", 1)
    assert code == 0
    for part in ("in 1 split", "time on 1 worker", "Extrapolated from 1 document,", "The sample is small"):
        assert part in out
    assert "small" not in ralm("plan", "--tokens", "1B")[1]


def test_an_encoder_that_is_not_here_can_be_described(ralm):
    arguments = ("plan", "--tokens", "1B", "--encoder", "org/none", "--json")
    code, out, _ = ralm(*arguments, "--dimension", 768, "--encoder-parameters", "85M")
    found = json.loads(out)
    assert (code, found["encoder"]["parameters"], found["encoder"]["max_tokens"]) == (0, 85_000_000, 512)
    code, _, err = ralm(*arguments)
    assert code == 2
    assert err.rstrip().endswith("To plan without it, give --dimension and --encoder-parameters.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "give either --tokens 1.4T or files to sample"),
        (("--tokens", "1T", "a.jsonl"), "give either --tokens 1.4T or files"),
        (("--tokens", "lots"), "--tokens 'lots' is not a count"),
        (("--tokens", "1T", "--pue", 0.5), "given: --pue: pue must be a number from 1"),
        (("--tokens", "1T", "--gpu", "A100"), "give --gpu-tflops, --gpu-watts, --gpu-price"),
        (("--tokens", "1T", "--dimension", 768), "give both"),
        (("--tokens", "1T", "--index-memory", "lots"), "index_memory: "),
        (("--tokens", "1T", "--index-key", "IVF64,PQ7"), "384 dimensions cannot be cut into 7"),
        (("--tokens", "1T", "--hardware", "none.yaml"), "no file of hardware none.yaml"),
        (("none.jsonl",), "none.jsonl"),
    ],
)
def test_what_is_wrong_is_one_sentence(ralm, arguments, sentence):
    code, out, err = ralm("plan", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
