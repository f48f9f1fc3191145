"""Ctrl-C (SIGINT), and SIGTERM: one line at once, then the end; a second one ends the process there and then.

Python tells the main thread of a signal between two steps of its own, and training an index is one step, of
minutes. So a thread says the line, and ends the process if the main thread does not within seconds.

Decisions: docs/decisions/command-line.md.
"""

import os
import select
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import NoReturn

# What a shell says of a command that was ended by Ctrl-C.
EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# How long the main thread may take to end workers and to clear its screen.
_GRACE_SECONDS = 3.0
_LONGEST_COMMAND = 400
_OVER = b"\0"  # No signal has this number.
# They go on where they were stopped; of others nothing is kept.
_GO_ON = ("build", "add", "compact", "demo", "tune", "eval scaling")
_WHOLE_OR_NOT = ("delete", "discard", "sweep")


class Stoppable:
    """While it is entered, the command of these arguments ends as the module says, with exit code 130."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.line = line(arguments)
        self._stopped = False
        self._said = threading.Event()
        # Signal handlers are the main thread's alone.
        self._armed = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "Stoppable":
        if self._armed:
            self._reading, self._writing = os.pipe()
            os.set_blocking(self._writing, False)
            self._woken = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
            self._handlers = {number: signal.signal(number, self._interrupt) for number in _SIGNALS}
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._armed:
            return
        if self._stopped:
            # Whatever became of it on the way here.
            self._said.wait(1.0)
            end(EXIT_CODE)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._woken)
        os.write(self._writing, _OVER)
        self._thread.join()
        os.close(self._reading)
        os.close(self._writing)

    def _watch(self) -> None:
        while (byte := os.read(self._reading, 1)) != _OVER:
            if byte[0] not in _SIGNALS:
                continue
            with suppress(OSError, ValueError):
                sys.stderr.write(f"{self.line}\n")
                sys.stderr.flush()
            self._said.set()
            select.select([self._reading], [], [], _GRACE_SECONDS)
            end(EXIT_CODE)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._stopped = True
        raise KeyboardInterrupt


def end(code: int) -> NoReturn:
    """End this process without waiting for its threads: one that computes would crash as Python ends.

    Workers see that it is gone and end too.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        if os.isatty(2):
            os.write(2, b"\x1b[?25h")  # A bar that was cut off has hidden the cursor.
    os._exit(code)


def line(arguments: Sequence[str]) -> str:
    """What to say of a command that was stopped: which one, what is kept of it, and what to run to go on."""
    words = [word for word in arguments if not word.startswith("-")]
    command = words[0] if words else "ralm"
    if command == "eval":
        command = " ".join(words[:2])
    again = shlex.join(["ralm", *arguments])
    if len(again) > _LONGEST_COMMAND or not again.isprintable():
        again = "the same command"
    if command in _GO_ON and "--dry-run" not in arguments:
        return f"ralm: {command} stopped; what is done is kept. To go on: {again}"
    if command in _WHOLE_OR_NOT:
        return f"ralm: {command} stopped; it is done whole or not at all. To make sure: {again}"
    if command == "serve":
        return f"ralm: serve stopped. To serve again: {again}"
    return f"ralm: {command} stopped; nothing was changed. To begin again: {again}"
