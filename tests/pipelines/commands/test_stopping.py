"""Ctrl-C as a person presses it: real processes, signalled as a terminal does, all of a group at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from pipelines.commands.stopping import EXIT_CODE, line
from tests.corpus import write_lines

LONG = "the mayor of a town by the river was chosen by lot from among those who make blue glass. "
# A call that takes minutes and sees no signal, as training does.
COMPUTES = (
    "import hashlib, sys, threading\n"
    "from pipelines.commands.stopping import Stoppable\n"
    "with Stoppable(['verify', 's']):\n"
    "    threading.Timer(0.2, sys.stderr.write, ['computing\\n']).start()\n"
    "    hashlib.pbkdf2_hmac('sha256', b'a', b'b', 2**31 - 1)\n"
)


@contextmanager
def started(command: list[str], until: str) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own that has said `until` on standard error."""
    environment = os.environ | {"COLUMNS": "200"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, process_group=0
    ) as process:
        assert process.stderr is not None
        try:
            assert any(until in said for said in process.stderr)
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone within seconds, or waits for nobody but who would ask what became of it."""
    try:
        before = time.monotonic()
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() - before < 10:
            pass
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
def test_a_build_that_is_stopped_says_how_to_go_on(tmp_path, workers, number):
    corpus = write_lines(tmp_path / "a.jsonl", [{"id": str(n), "text": LONG * 400} for n in range(40)])
    arguments = ["build", corpus, "-o", tmp_path / "s", "--executor", "local", "--workers", workers]
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    with started(command, "embed ") as build:
        children = psutil.Process(build.pid).children(recursive=True)
        assert len(children) >= (workers > 1)
        os.killpg(build.pid, number)
        out, err = build.communicate(timeout=30)
    assert (build.returncode, out) == (EXIT_CODE, "")
    *_, last = err.splitlines()
    assert (
        last == f"ralm: build stopped; what is done is kept. To go on: ralm {' '.join(map(str, arguments))}"
    )
    assert "Traceback" not in err
    for child in children:
        assert has_ended(child)


@pytest.mark.long
def test_a_build_under_ray_that_is_stopped_leaves_no_process(tmp_path):
    corpus = write_lines(tmp_path / "a.jsonl", [{"id": str(n), "text": LONG * 400} for n in range(40)])
    arguments = ["build", corpus, "-o", tmp_path / "s", "--workers", 2]
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    with started(command, "embed ") as build:
        children = psutil.Process(build.pid).children(recursive=True)
        assert children
        os.killpg(build.pid, signal.SIGINT)
        out, err = build.communicate(timeout=60)
    assert (build.returncode, out) == (EXIT_CODE, "")
    assert err.splitlines()[-1].startswith("ralm: build stopped; what is done is kept. To go on: ralm build ")
    assert all(map(has_ended, children))


def test_what_computes_is_told_of_at_once_and_ended_by_a_second_signal():
    with started([sys.executable, "-c", COMPUTES], "computing") as process:
        assert process.stderr is not None
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr.readline() == line(["verify", "s"]) + "\n"
        assert process.poll() is None
        before = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() == EXIT_CODE
        assert time.monotonic() - before < 2
        assert process.stderr.read() == ""


def test_what_computes_is_ended_by_one_signal_within_seconds():
    with started([sys.executable, "-c", COMPUTES], "computing") as process:
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(timeout=20) == EXIT_CODE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["add", "s", "my file.jsonl"],
            "add stopped; what is done is kept. To go on: ralm add s 'my file.jsonl'",
        ),
        (["build", "a", "--dry-run"], "build stopped; nothing was changed. To begin again: ralm build"),
        (["ask", "s", "Why?"], "ask stopped; nothing was changed. To begin again: ralm ask s 'Why?'"),
        (
            ["eval", "scaling", "s"],
            "eval scaling stopped; what is done is kept. To go on: ralm eval scaling s",
        ),
        (["eval", "retrieval", "s"], "eval retrieval stopped; nothing was changed."),
        (["delete", "s"], "delete stopped; it is done whole or not at all. To make sure: ralm delete s"),
        (["search", "s", "two\nlines"], "To begin again: the same command"),
        (["search", "s", "x" * 999], "To begin again: the same command"),
        ([], "ralm stopped"),
    ],
)
def test_one_line_names_what_was_stopped_and_what_to_run(arguments, said):
    assert said in line(arguments)
    assert "\n" not in line(arguments)


@pytest.mark.parametrize(("name", "silent"), [("-m", True), ("/x/bin/ralm", True), ("/x/pytest", False)])
def test_before_the_command_line_listens_there_is_no_traceback(name, silent):
    script = (
        f"import signal, sys; sys.argv = [{name!r}]\n"
        # Whoever runs the tests in the background has it ignored, and children would, too.
        "signal.signal(signal.SIGINT, signal.default_int_handler); import pipelines\n"
        f"assert (signal.getsignal(signal.SIGINT) is signal.SIG_DFL) is {silent}\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_is_not_stopped_leaves_no_trace():
    script = (
        "import os, signal, threading\n"
        "from pipelines.commands.stopping import Stoppable\n"
        "before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), os.listdir('/dev/fd')\n"
        "with Stoppable(['status', 's']): pass\n"
        "assert before == (\n"
        "    signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), os.listdir('/dev/fd')\n"
        ")\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
