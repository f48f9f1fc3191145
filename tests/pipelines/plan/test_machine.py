import os

from pipelines.plan.machine import Machine, at_hand


def test_this_machine_has_the_cores_that_this_process_may_use():
    assert at_hand().cores == len(os.sched_getaffinity(0))


def test_gpus_are_told_by_their_drivers(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf 'NVIDIA H100 80GB HBM3\\nNVIDIA A100-SXM4-40GB\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    here = at_hand()
    assert here.gpus == ("NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-40GB")
    assert here.of_kind("H100") == 1
    assert "NVIDIA A100-SXM4-40GB, of which nothing" in here.doubt("H100")
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert at_hand().gpus == ()


def test_without_gpus_there_is_no_doubt():
    assert Machine(2, ()).doubt("H100") == ""
