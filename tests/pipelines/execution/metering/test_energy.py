import sys
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.execution.metering import energy
from pipelines.execution.metering.energy import (
    CORE_WATTS,
    GPU_WATTS,
    Meter,
    Rapl,
    Share,
    busy_seconds,
    cpu_share,
    gpu_joules,
)

MOST = 1_000_000


def make_zone(root, folder, name, microjoules, most=MOST):
    zone = root / folder
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "name").write_text(f"{name}\n")
    (zone / "max_energy_range_uj").write_text(f"{most}\n")
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    return zone / "energy_uj"


def work(seconds=0.05):
    """Keep a CPU busy, as a task does."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def write_stat(path, busy_ticks, idle_ticks=0):
    path.write_text(f"cpu  {busy_ticks} 0 0 {idle_ticks} 0 0 0 0 0 0\ncpu0 1 2 3\n")
    return path


def test_packages_and_their_memory_are_added_up_and_nothing_twice(tmp_path):
    counted = [
        make_zone(tmp_path, "intel-rapl:0", "package-0", 100),
        make_zone(tmp_path, "intel-rapl:0:0", "dram", 100),
        make_zone(tmp_path, "intel-rapl:1", "package-1", 100),
    ]
    inside = [
        make_zone(tmp_path, "intel-rapl:0:1", "core", 100),
        make_zone(tmp_path, "intel-rapl:2", "psys", 100),
        make_zone(tmp_path, "intel-rapl-mmio:0", "package-0", 100),
    ]
    rapl = Rapl(tmp_path)
    for counter in counted + inside:
        counter.write_text("250100")
    assert rapl.joules() == pytest.approx(0.75)
    assert rapl.joules() == pytest.approx(0.75)


@given(steps=st.lists(st.integers(0, MOST - 1), max_size=20), begin=st.integers(0, MOST - 1))
def test_a_counter_that_wraps_between_readings_loses_nothing(tmp_path_factory, steps, begin):
    root = tmp_path_factory.mktemp("powercap")
    counter = make_zone(root, "intel-rapl:0", "package-0", begin)
    rapl, true = Rapl(root), begin
    for step in steps:
        true += step
        counter.write_text(str(true % MOST))
        assert rapl.joules() == pytest.approx((true - begin) / 1e6)


def test_a_long_task_is_charged_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "_SAMPLE_SECONDS", 0.001)
    monkeypatch.setattr(energy, "cpu_share", lambda cpu, busy: 1.0)
    counter = make_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    share = Share(tmp_path, write_stat(tmp_path / "stat", 0))
    with share.watched():
        for value, joules in ((600_000, 0.6), (200_000, 1.2)):  # The wrap does not show at both ends alone.
            counter.write_text(str(value))
            until = time.monotonic() + 10
            while share._joules != pytest.approx(joules) and time.monotonic() < until:
                pass
    counter.write_text("300000")
    assert share.joules() == pytest.approx(1.3)


def test_a_counter_that_fails_later_stops_nothing(tmp_path):
    counter = make_zone(tmp_path, "intel-rapl:0", "package-0", 5)
    rapl = Rapl(tmp_path)
    counter.unlink()
    assert rapl.joules() == 0


def test_without_counters_it_is_an_estimate_and_says_so(tmp_path):
    meter = Meter(powercap=tmp_path / "none", stat=tmp_path / "none")
    with meter.running():
        work()
    drawn = meter.drawn
    assert drawn.source == "estimate"
    assert drawn.joules == pytest.approx(drawn.cpu_seconds * CORE_WATTS)
    assert drawn.cpu_seconds >= 0.05
    make_zone(tmp_path, "intel-rapl:0", "package-0", 5)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("not a number")
    assert not Rapl(tmp_path).readable


def test_a_task_is_charged_its_share_of_what_the_machine_did(tmp_path):
    counter = make_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    stat = write_stat(tmp_path / "stat", 1000, 5000)
    meter = Meter(powercap=tmp_path, stat=stat)
    with meter.running():
        work()
        counter.write_text("800000")
        write_stat(stat, 1100, 9000)  # Others worked too: a second in all, whatever time it took.
    assert meter.drawn.source == "rapl"
    assert meter.drawn.joules == pytest.approx(0.8 * meter.drawn.cpu_seconds, rel=0.2)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8), st.floats(0, 1e6))
def test_tasks_of_one_time_never_draw_more_than_the_machine(tasks, others):
    busy = sum(tasks) + others
    assert sum(cpu_share(task, busy) for task in tasks) <= 1 + 1e-9


def test_busy_time_leaves_out_what_is_idle(tmp_path):
    (tmp_path / "stat").write_text("cpu  100 10 20 5000 700 3 4 5 50 0\n")
    import os

    assert busy_seconds(tmp_path / "stat") == pytest.approx(142 / os.sysconf("SC_CLK_TCK"))
    (tmp_path / "stat").write_text("")
    assert busy_seconds(tmp_path / "stat") is None
    assert busy_seconds(tmp_path / "none") is None


class FakeNvml(SimpleNamespace):
    """NVML with a counter for each of two GPUs, in millijoules."""

    class NVMLError(Exception):
        pass

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByIndex(self, number):
        return number

    def nvmlDeviceGetHandleByUUID(self, name):
        return {"GPU-a": 0, "GPU-b": 1}[name]

    def nvmlDeviceGetTotalEnergyConsumption(self, device):
        if self.broken:
            raise self.NVMLError("Not Supported")
        return self.millijoules[device]


@pytest.fixture
def nvml(monkeypatch):
    fake = FakeNvml(millijoules=[5000, 70_000], broken=False)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(energy, "gpu_used", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return fake


@pytest.mark.parametrize(("visible", "joules"), [(None, 5), ("", 5), ("1", 70), ("1,0", 70), ("GPU-b", 70)])
def test_the_gpu_is_the_one_this_process_sees(nvml, monkeypatch, visible, joules):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_joules() == joules


def test_a_task_for_a_gpu_is_charged_all_of_it(nvml, tmp_path):
    meter = Meter(on_gpu=True, powercap=tmp_path, stat=tmp_path / "none")
    with meter.running():
        nvml.millijoules[0] += 12_000
    assert meter.drawn.source == "nvml+estimate"
    assert meter.drawn.joules == pytest.approx(12 + meter.drawn.cpu_seconds * CORE_WATTS)
    make_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = Meter(on_gpu=True, powercap=tmp_path, stat=write_stat(tmp_path / "stat", 0))
    with meter.running():
        pass
    assert meter.drawn.source == "nvml+rapl"


def test_a_gpu_without_a_counter_is_an_estimate(nvml, tmp_path):
    nvml.broken = True
    meter = Meter(on_gpu=True, powercap=tmp_path, stat=tmp_path / "none")
    with meter.running():
        pass
    drawn = meter.drawn
    assert drawn.source == "estimate"
    assert drawn.joules == pytest.approx(drawn.seconds * GPU_WATTS + drawn.cpu_seconds * CORE_WATTS)


def test_a_task_that_found_no_gpu_is_not_charged_for_one(nvml, monkeypatch, tmp_path):
    monkeypatch.setattr(energy, "gpu_used", lambda: False)
    meter = Meter(on_gpu=True, powercap=tmp_path, stat=tmp_path / "none")
    with meter.running():
        pass
    assert meter.drawn.joules == pytest.approx(meter.drawn.cpu_seconds * CORE_WATTS)
