import pytest

from pipelines.execution.metering.measured import Measured
from pipelines.show.took import notes, speed, worked

ON_GPU = Measured(2, 10.0, 9.0, 5e3, ("nvml",), 59_300_000, 9.894e14, 9.894e15, ("NVIDIA H100 80GB HBM3",))


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (ON_GPU, "5,930,000 tokens/s, 98.9 TFLOP/s of each worker, MFU 10.0% of NVIDIA H100 80GB HBM3"),
        (
            Measured(1, 2.0, tokens=3000, flops=4e11, devices=("cpu",)),
            "1,500 tokens/s, 200.0 GFLOP/s of each worker",
        ),
        (Measured(1, 2.0), ""),
        (Measured(), ""),
    ],
)
def test_speed_is_told_of_what_embeds_and_mfu_where_a_peak_is_known(measured, words):
    assert speed(measured) == words


def test_seconds_stand_without_joules_and_neither_without_tasks():
    assert worked(ON_GPU) == ("10.0s", "5.0 kJ")
    assert worked(Measured(1, 2.0)) == ("2.0s", "")
    assert worked(Measured()) == ("", "")


def test_notes_say_what_the_table_does_not():
    assert notes({"read": Measured(1, 2.0)}, Measured(1, 2.0)) == []
    found = notes({"read": Measured(1, 2.0), "embed": ON_GPU}, Measured(9, 60.0))
    assert [note.partition(" ")[0] for note in found] == ["embed:", "Energy", "All"]
    assert found[1].startswith("Energy by nvml")
    assert found[2] == "All generations together: 1m 00s of work, energy not measured."
