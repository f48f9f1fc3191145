from pathlib import Path

import numpy as np

from pipelines.evaluate.methods import RetrievalFigures, RetrievalStudy, Way
from pipelines.show.measured.rankings import rankings

_BASIS = {"manifest": "[hash]", "passages": 40, "encoder": "given", "index": "Flat"}


def test_a_difference_inside_its_interval_is_called_none(capsys):
    first, second = np.array([1.0, 0.0] * 20), np.array([1.0, 1.0] * 20)
    ways = (
        Way("hybrid", {"success@1": first, "MRR@10": first[:30]}, 1.25, 0),
        Way("bm25", {"success@1": second, "MRR@10": first[:30]}, 0.5, 3),
    )
    clusters = {"success@1": np.arange(40), "MRR@10": np.arange(30)}
    study = RetrievalStudy(Path("store"), Path("q.jsonl"))
    rankings(RetrievalFigures(study, ways, clusters, 40, _BASIS, ("A [note].",)))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "Retrieval, 40 questions"
    assert lines[2] == "success@1 50.0 [35.2, 64.8] 100.0 [91.2, 100.0]"
    gain, none = (line for line in lines if "- hybrid" in line)
    assert gain.startswith("success@1 - hybrid +50.0 [+3")
    assert none == "MRR@10 - hybrid none +0.0 [+0.0, +0.0]"
    assert lines[-3:] == [
        "manifest [hash], 40 passages, Flat",
        "MRR@10: 30 questions have what it is scored by",
        "A [note].",
    ]
