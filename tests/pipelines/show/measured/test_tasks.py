from pathlib import Path

from pipelines.evaluate.intervals import Score
from pipelines.show.measured.tasks import results
from pipelines.tasks.results import Gain, TaskResults

READER = {"name": "SmolLM2", "quantization": "nf4", "adapter": None, "bytes": 1234567}
FIGURES = {
    "alias": "arc",
    "acc,none": 0.25,
    "acc_stderr,none": 0.01,
    "em,strict": 0.5,
    "em_stderr,strict": "N/A",
}


def test_figures_are_shown_with_their_errors_and_what_became_of_the_passages(capsys):
    tally = {"instances": 1200, "bare": 3, "shortened": 0, "squeezed": 1}
    basis = {"reader": READER, "k": 3, "instances": {"arc": tally}}
    results(TaskResults({"results": {"arc": FIGURES}}, basis), Path("out"))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[2:4] == [["arc", "acc", "0.2500", "±", "0.0100"], ["arc", "em,strict", "0.5000"]]
    text = [" ".join(row) for row in rows[4:]]
    assert text == [
        "Reader SmolLM2, nf4, 1.2 MB; k 3.",
        "arc: 3 of 1,200 instances got no passage.",
        "arc: 1 of 1,200 instances got fewer still: the reader's context holds no more.",
        "Results: out/results.json",
    ]


def test_a_gain_stands_beside_what_the_reader_does_alone(capsys):
    alone = {"results": {"arc": FIGURES | {"acc,none": 0.2}}}
    gains = [Gain("arc", "acc,none", Score(0.05, 0.01, 0.09, 100))]
    basis = {"reader": READER | {"adapter": "reads"}, "k": 3}
    results(TaskResults({"results": {"arc": FIGURES}}, basis, alone, gains), Path("out"))
    out = capsys.readouterr().out
    assert "0.2500 ± 0.0100  0.2000  +0.050 [+0.010, +0.090]" in out
    assert "1.2 MB, adapter reads; k 3." in out
