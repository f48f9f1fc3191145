import io

import orjson
import pytest
from rich.console import Console

from pipelines.plan.arithmetic import Wish, make_plan
from pipelines.plan.corpus import CorpusSize
from pipelines.plan.encoder import MINILM
from pipelines.plan.rates import THIS_MACHINE, Rates
from pipelines.plan.tables import count, dollars, show_plan, size, size_of_ram, to_json

RATES = Rates().given({"disk_tb": 1, "gpus": 4}, "given: --gpus")
PLAN = make_plan(CorpusSize.of_tokens(14 * 10**11, MINILM, RATES), MINILM, RATES, Wish(2**39))


@pytest.fixture(scope="module")
def printed():
    out = io.StringIO()
    show_plan(PLAN, Console(file=out, width=100))
    return out.getvalue()


def test_a_terminal_of_100_columns_shows_it_all(printed):
    assert max(map(len, printed.splitlines())) <= 100
    assert "…" not in printed
    for name, figure in Rates().figures().items():
        if figure.known and name != "gpus":
            (line,) = [line for line in printed.splitlines() if line.startswith(f"{name} ")]
            assert figure.source in line


def test_every_part_is_there(printed):
    for text in (
        "1.4 T tokens",
        "8.23 B of 170 tokens",
        "vectors/",
        "in all",
        "auto for 512 GiB, planned",
        "The disk of 1 TB is too small: the build needs 36",
    ):
        assert text in printed
    assert all(one.key in printed for one in PLAN.options)
    assert all(one.name in printed for one in (*PLAN.files, *PLAN.steps))


def test_json_holds_what_the_tables_show():
    found = orjson.loads(orjson.dumps(to_json(PLAN)))
    assert found["peak_bytes"] == sum(one["bytes"] for one in found["files"])
    assert found["days"] == pytest.approx(sum(one["days"] for one in found["steps"]))
    assert found["rates"]["disk_tb"]["value"] == 1
    assert found["rates"]["gpus"] == {"value": 4.0, "unit": "GPUs", "source": "given: --gpus"}
    assert found["index"]["auto"] == "IVF131072,PQ96x4fs"
    assert found["uncounted"] == []


def test_a_plan_without_gpus_names_no_rates_of_any_and_nothing_that_costs_is_free():
    rates = Rates().given({"gpus": 0, "cores": 2}, THIS_MACHINE)
    out = io.StringIO()
    small = make_plan(CorpusSize.of_tokens(70_000, MINILM, rates), MINILM, rates, Wish(2**32))
    show_plan(small, Console(file=out, width=80))
    assert "2 cores, no GPU: this machine" in out.getvalue()
    assert "GPU-hour" not in out.getvalue()
    assert "$0 " not in out.getvalue()
    assert "0.00 kWh" not in out.getvalue()
    assert "<$0.001" in out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_no_number_is_broken_or_cut(width):
    out = io.StringIO()
    show_plan(PLAN, Console(file=out, width=width))
    assert max(map(len, out.getvalue().splitlines())) <= width
    assert "…" not in out.getvalue()
    for option in PLAN.options:
        assert f"{option.key} " in out.getvalue()
    for step in PLAN.steps:
        assert any(
            line.startswith(step.name) and line.rstrip().endswith("kWh")
            for line in out.getvalue().splitlines()
        )


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (dollars(0), "$0"),
        (dollars(0.0004), "<$0.001"),
        (dollars(0.004), "$0.004"),
        (dollars(0.014), "$0.01"),
        (dollars(2.94), "$2.94"),
        (dollars(196.2), "$196"),
        (dollars(1234.5), "$1,234"),
        (count(142_709), "142,709"),
        (count(8.23e9), "8.23 B"),
        (size(999), "999 B"),
        (size(4.6e11), "460 GB"),
        (size(6.321e12), "6.32 TB"),
        (size_of_ram(2**39), "512 GiB"),
        (size_of_ram(2**42), "4 TiB"),
    ],
)
def test_numbers_for_people(shown, text):
    assert shown == text
