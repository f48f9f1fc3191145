"""Builds that are killed: a server process that has everything imported forks one child for each.

Started as `python -m tests.faults`; every line on its standard input is a JSON `Fault`, and every
line on its standard output what became of it. Forking saves each build the seconds that importing
takes; nothing but imports happens before the fork.
"""

import fnmatch
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# All that a build imports, some of it only when it comes to it: once, and not in each child.
_IMPORTED = (
    "pipelines.execution.executor",
    "pipelines.jobs.add",
    "pipelines.jobs.build",
    "pipelines.jobs.compact",
    "pipelines.readers.json.jsonl",
    "retriever.encoding.bert",
    "retriever.encoding.packed",
    "retriever.index.loading",
    "retriever.index.threads",
    "retriever.ranking.lexical",
    "retriever.ranking.measuring",
    "tests.pipelines.overlap",
)


@dataclass
class Fault:
    """A job at `store`, killed with `kill -9` at a point, after a while, or not at all.

    A build of `config`, an addition of `add`, or a compaction. `point` is the path (a pattern) of a file of
    the store; `when` is "before" or "after" its rename. `workers` are this process, or as many others;
    `overlap` embeds splits as they are cut.
    """

    store: str
    config: dict[str, Any] | None = None
    add: str = ""
    when: str = ""
    point: str = ""
    seconds: float = 0.0
    workers: int = 1
    overlap: bool = False


@dataclass
class Outcome:
    """How a build ended: the signal that killed it (0: none), and the point that was hit."""

    signal: int
    hit: str
    seconds: float
    error: str = field(default="")


class Builder:
    """The server, from the tests' side."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def build(self, fault: Fault) -> Outcome:
        """Run one build; print, for the log, which point was hit."""
        try:
            outcome = self._outcome(fault)
        except BaseException:
            # A test that takes too long is interrupted here: the next must not read what became of its build.
            with self._process:
                self._process.kill()
            self._start()
            raise
        if outcome.signal:
            print(f"killed by signal {outcome.signal} {outcome.hit}")
        return outcome

    def _outcome(self, fault: Fault) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(fault)) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def _child(fault: Fault, report: Path) -> None:
    from base.errors import RalmError
    from datastore.files import writing
    from datastore.files.layout import Layout
    from pipelines.execution.executor import open_executor
    from tests.pipelines.overlap import overlap

    rename = writing.replace

    def die(target: Path) -> None:
        report.write_text(f"{fault.when} the rename of {target.relative_to(fault.store)}")
        os.kill(os.getpid(), signal.SIGKILL)

    def replace(source: Path, target: Path) -> None:
        hit = fault.point and fnmatch.fnmatch(str(target.relative_to(fault.store)), fault.point)
        if hit and fault.when == "before":
            die(target)
        rename(source, target)
        if hit and fault.when == "after":
            die(target)

    writing.replace = replace
    if fault.overlap:
        overlap(setattr)
    try:
        with open_executor("local", fault.workers) as executor:
            _job(fault, Layout(Path(fault.store)), executor).run()
    except RalmError as error:
        report.write_text(str(error))
        os._exit(2)
    except BaseException:  # noqa: BLE001  (the child must never go on as its parent)
        report.write_text(traceback.format_exc())
        os._exit(3)


def _job(fault: Fault, layout: Any, executor: Any) -> Any:
    from pipelines.config import BuildConfig, SourceConfig
    from pipelines.execution.progress import Silent
    from pipelines.jobs.add import Addition
    from pipelines.jobs.build import Build
    from pipelines.jobs.compact import Compaction

    if fault.config:
        return Build(layout, BuildConfig.model_validate(fault.config), executor, Silent())
    if fault.add:
        return Addition(layout, (SourceConfig(path=fault.add),), executor, Silent())
    return Compaction(layout, executor, Silent())


def _serve() -> None:
    for module in _IMPORTED:
        importlib.import_module(module)
    report = Path(os.environ.get("TMPDIR", "/tmp")) / f"faults-{os.getpid()}"
    for line in sys.stdin:
        fault = Fault(**json.loads(line))
        report.write_text("")
        started = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            _child(fault, report)
            os._exit(0)
        if fault.seconds:
            time.sleep(fault.seconds)
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        text = report.read_text()
        hit = text if killed and text else f"after {fault.seconds:.2f} s" if killed else ""
        outcome = Outcome(killed, hit, time.perf_counter() - started, "" if killed else text)
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
        sys.stdout.flush()
    report.unlink(missing_ok=True)


if __name__ == "__main__":
    _serve()
