import numpy as np

from pipelines.evaluate.questions.answered import Answered, Arms
from pipelines.show.measured.answered import answered


def test_figures_fates_and_differences_stand_in_tables(capsys):
    alone, beside = np.array([0.0, 0, 1, 0] * 5), np.array([1.0, 1, 1, 0] * 5)
    arms = (Arms("reader F1", alone, beside), Arms("bits per answer", 9 + alone, 9 + alone, is_share=False))
    reader = {"name": "m", "quantization": "int8", "bytes": 10**6, "adapter": None}
    basis = {"manifest": "hash", "reader": reader, "conditioning": "3 passages"}
    held = np.array([True, False] * 10)
    found = Answered(("q",) * 20, np.arange(20), arms, "reader F1", held, basis, ("A note.",))
    answered(found, "[q].jsonl")
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "[q].jsonl"
    assert lines[2].startswith("F1, % 25.0 [11.2, 46.9] 75.0 [53.1, 88.8] +50.0 [+30.0, +75.0]")
    assert lines[3].endswith("none +0.0 [+0.0, +0.0]")
    fates = next(line for line in lines if line.startswith("all 20"))
    assert fates.split()[2::3] == ["50.0", "25.0", "0.0", "25.0"]
    shown = " ".join(lines)
    assert "known alone, n 5 not known alone, n 15 answer in the passages, n 10" in shown
    assert lines[-4:] == [
        "20 questions in 20 clusters; right by reader F1",
        "reader m, int8, 1.0 MB; 3 passages",
        "manifest hash",
        "A note.",
    ]


def test_one_cluster_has_no_interval(capsys):
    arms = (Arms("F1", np.array([0.3, 0.4]), np.array([0.5, 0.4])),)
    answered(Answered(("a", "b"), np.zeros(2, int), arms, "F1"), "q")
    assert "nan" not in capsys.readouterr().out
