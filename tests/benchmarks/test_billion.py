"""The benchmark of a trillion tokens' passages, on a CPU with a few thousand."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.vectors import embeddings

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    """Benchmarks find one another as they do when they are run."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def run(folder, monkeypatch, *options):
    np.save(folder / "sample.npy", embeddings(700, 1, 16))
    np.save(folder / "queries.npy", embeddings(40, 2, 16).astype(np.float32))
    given = [str(folder / "sample.npy"), str(folder / "queries.npy"), *options]
    monkeypatch.setattr(sys, "argv", ["billion.py", *given])
    monkeypatch.setenv("OUT", str(folder))
    runpy.run_path(str(BENCHMARKS / "billion.py"), run_name="__main__")
    (written,) = folder.glob("billion_*.json")
    return json.loads(written.read_text())


def test_all_is_measured_in_one_command(benchmarks, one_thread, monkeypatch, tmp_path):
    from trillion import reads, searches, training

    monkeypatch.setattr(searches, "REPEATS", {1: 2, 32: 1})
    monkeypatch.setattr(reads, "REPEATS", 1)
    monkeypatch.setattr(training, "NOISES", (0.2, 0.9))
    options = (
        "--vectors 3000 --lists 32 --code PQ8x4 --batch 500 --train 2 --questions 20 --depth 200 --stored 3"
    )
    tables = run(tmp_path, monkeypatch, *options.split(), "--around", "700")
    (by_codes,) = tables["Recall@10 of codes alone"]
    found = [value for name, value in by_codes.items() if name.startswith("noise")]
    assert min(found) - 0.1 <= by_codes["real"] <= 1
    assert tables["Fill"][0]["vectors"] == 3000
    # All 32 lists and 200 of 3,000 scored exactly.
    recall = tables["Recall@10"]
    assert [row["lists"] for row in recall] == [16]
    assert recall[0]["rescored_0"] < recall[0]["rescored_100"] > 0.8
    assert {(row["batch"], row["k"]) for row in tables["Searches (ms)"]} >= {(1, 100), (32, 100), (1, 200)}
    assert [row["rows"] for row in tables["Reading and scoring from disk (ms)"]] == [100, 400, 1000]
    assert [row["share"] for row in tables["Views (ms)"]] == [0.5, 0.0625]


def test_a_row_is_drawn_again_from_its_number_and_the_truth_is_exact(benchmarks, one_thread):
    import torch
    from trillion.drawn import Drawn, Truth, recall

    drawn = Drawn(embeddings(300, 1, 16), 0.5, 100, torch.device("cpu"))
    batches = [drawn(n) for n in range(4)]
    assert all(torch.equal(drawn(n), batches[n]) for n in (3, 0, 2))
    assert not torch.equal(batches[0], batches[1])
    assert torch.allclose(batches[0].float().norm(dim=1), torch.ones(100), atol=2e-3)
    questions = torch.from_numpy(embeddings(7, 2, 16))
    truth = Truth(questions)
    for n, batch in enumerate(batches):
        truth.see(100 * n, batch)
    expected = (questions.float() @ torch.cat(batches).float().T).topk(10).indices
    assert recall(truth.rows.numpy(), expected.numpy()) == 1
    assert recall(truth.rows.numpy()[:, :3], expected.numpy()) == pytest.approx(0.3)


def test_the_noise_is_the_one_whose_vectors_are_found_as_real_ones_are(benchmarks):
    from trillion.training import Compared

    assert Compared(9, 0.705, {0.1: 0.71, 0.3: 0.8, 0.5: 0.69, 0.7: 0.6}).noise == 0.5
    assert Compared(9, 0.9, {0.3: 0.8, 0.5: 0.7}).noise == 0.3
