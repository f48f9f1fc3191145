from dataclasses import fields
from pathlib import Path

import pytest

from base.errors import RalmError
from pipelines.plan.rates import RESULTS, Flags, Rates, load_rates

HEADINGS = [
    line.lstrip("# ").partition(": ")[2] or line.lstrip("# ")
    for line in (Path(__file__).parents[3] / "benchmarks" / "RESULTS.md").read_text().splitlines()
    if line.startswith("#")
]


@pytest.mark.parametrize(("name", "figure"), Rates().figures().items())
def test_every_rate_has_a_source_and_every_cited_section_is_there(name, figure):
    assert figure.source
    assert figure.unit
    if figure.source.startswith(RESULTS):
        section = figure.source.removeprefix(RESULTS)
        assert any(heading.startswith(section) for heading in HEADINGS)
    if figure.known:
        assert figure.allows(figure)


def test_speeds_are_measured_ones():
    speeds = [n for n in Rates().figures() if n.endswith(("_speed", "_ns", "flops", "_tokens", "_bytes"))]
    for name in [*speeds, "mfu", "train_seconds", "passage_fill"]:
        figure = getattr(Rates(), name)
        assert figure.source.startswith(RESULTS) or not figure.known


def test_a_file_is_read_and_flags_win(tmp_path):
    path = tmp_path / "hardware.yaml"
    path.write_text("gpus: 16\ncores: 64\nfilter_speed: 5.5\n")
    rates = load_rates(path, Flags(gpus=4, mfu=0.5))
    assert (rates.gpus, rates.cores, rates.filter_speed, rates.mfu, rates.gpu) == (4, 64, 5.5, 0.5, "H100")
    assert rates.gpus.source == "given: --gpus"
    assert rates.cores.source == f"given: {path}"
    assert rates.pue == Rates().pue


def test_every_flag_is_one_of_the_rates():
    assert {field.name for field in fields(Flags)} - {"gpu"} <= set(Rates().figures())
    assert Flags().given() == {}
    assert Flags(gpu="A100", pue=1.2).given() == {"pue": 1.2}


def test_another_gpu_must_be_described(tmp_path):
    with pytest.raises(RalmError, match=r"Of the GPU 'A100' nothing is measured .* --gpu-watts, --gpu-price"):
        load_rates(None, Flags(gpu="A100", gpu_tflops=250.0))
    path = tmp_path / "hardware.yaml"
    path.write_text("{gpu: A100, gpu_tflops: 250, gpu_watts: 400, gpu_price: 1.5}")
    assert load_rates(path, Flags()).gpu == "A100"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gpuss: 4", "unknown setting 'gpuss': valid are gpu, .*gpus"),
        ("gpus: many", "gpus must be a number from 0 .*, not 'many'"),
        ("gpus: -1", "gpus must be a number"),
        ("cores: 0", "cores must be a number from 1 "),
        ("mfu: 1.5", "mfu must be a number from 1e-06 to 1 "),
        ("pue: .nan", "pue must be a number"),
        ("carbon: true", "carbon must be a number"),
        ("carbon: .inf", "carbon must be a number"),
        ("- gpus", "must hold a mapping"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, sentence):
    path = tmp_path / "hardware.yaml"
    path.write_text(text)
    with pytest.raises(RalmError, match=sentence):
        load_rates(path, Flags())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RalmError, match=r"no file of hardware .*none\.yaml"):
        load_rates(tmp_path / "none.yaml", Flags())
