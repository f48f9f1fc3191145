import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from base.amounts import amount
from pipelines.execution.progress import Bars, Lines, Rate


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_work_of_earlier_runs_is_not_in_the_rate(total, before):
    rate = Rate(total + before, before)
    assert rate.per_second == 0
    assert rate.seconds_left is None
    rate.advance(total)
    assert rate.done == total + before
    assert rate.seconds_left == 0


def test_lines_say_what_was_done_before(capsys):
    lines = Lines()
    lines.start("embed", "passages", 100, 40)
    lines.advance(60)
    lines.finish()
    said = capsys.readouterr().err
    assert "100 passages, 40 passages done before" in said
    assert "embed  done in" in said


def test_bars_reach_their_end():
    stream = io.StringIO()
    bars = Bars(Console(file=stream, force_terminal=True, width=120))
    for stage in ("read", "embed"):
        bars.start(stage, "passages", 10, 0)
        bars.advance(10)
        bars.finish()
    assert "10 of 10 passages" in stream.getvalue()
    assert "embed" in stream.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize(
    ("unit", "total"),
    [("documents", 141_510), ("bytes", 4_000_000_000), ("questions", 3), ("passages", 8 * 10**9)],
)
def test_no_figure_of_a_bar_is_cut(width, unit, total):
    stream = io.StringIO()
    bars = Bars(Console(file=stream, force_terminal=True, width=width, color_system=None))
    bars.start("dedup-text", unit, total, 0)
    bars.advance(total // 3)
    bars.stop()
    assert "…" not in stream.getvalue()
    assert f" of {amount(total, unit)}" in stream.getvalue()
    assert "/s" in stream.getvalue() or total > 10**6
    assert "left" in stream.getvalue()
