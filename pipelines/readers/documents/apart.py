"""Files of foreign formats are taken apart in a process of their own.

PDFium is native code, and the files were made by anything: one may crash the library, keep it busy for ever
or ask for all the memory there is. Here that costs this file alone. The process is kept for the next file. It
is bounded in memory, and in processor time, which unlike a clock goes no faster on a busy machine.

Decisions: docs/decisions/readers-and-damage.md.
"""

import atexit
import contextlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
from importlib import import_module
from typing import IO, BinaryIO

from base.children import environment
from base.errors import RalmError
from base.foreign import Refused, said
from pipelines.readers.documents.extracted import Extracted, NoDocumentError

SECONDS = 120.0
# And so many times `max_record_bytes`.
BYTES = 1 << 30
_TIMES = 16
_HEAD = struct.Struct("<16sdQQQ")
_LENGTH = struct.Struct("<Q")
# What the system's loader says of a library that is there, where memory is short.
_NO_ROOM = "failed to map segment"


def extract(kind: str, data: bytes, limit: int) -> Extracted:
    """What is in a file of a kind (pdf, docx, epub), of at most `limit` bytes of text.

    Raises NoDocumentError with the reason if nothing can be had of it.
    """
    with _turn:
        child = _child()
        try:
            return child.extract(kind, data, limit)
        except _EndedError as error:
            if not child.used:
                raise NoDocumentError(error.reason) from None
        # What files before it left behind may be at fault, or who else takes memory: the file alone decides.
        try:
            return _child().extract(kind, data, limit)
        except _EndedError as error:
            raise NoDocumentError(error.reason) from None


class _EndedError(Exception):
    """The process ended over a file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_turn = threading.Lock()
_children: list["_Child"] = []


def _child() -> "_Child":
    """The process that takes files apart for this one, started if there is none."""
    if _children and _children[0].of != os.getpid():
        _children.clear()  # Forked: it is our parent's.
    if not _children:
        _children.append(_Child())
    return _children[0]


@atexit.register
def _end() -> None:
    if _children and _children[0].of == os.getpid():
        _children.pop().end()


class _Child:
    def __init__(self) -> None:
        self.of, self.used = os.getpid(), False
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )

    def extract(self, kind: str, data: bytes, limit: int) -> Extracted:
        memory = BYTES + _TIMES * limit
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(_HEAD.pack(kind.encode(), SECONDS, memory, limit, len(data)) + data)
            self._process.stdin.flush()
            found = _read(self._process.stdout)
        except BrokenPipeError:
            found = None
        except BaseException:  # Ctrl-C: what is answered later would be taken for another file's.
            self._process.kill()
            _children.clear()
            self.end()
            raise
        if found is None:
            _children.clear()
            raise _EndedError(_why(self.end(), memory))
        self.used = True
        answer = json.loads(found)
        if "defect" in answer:
            raise RuntimeError(answer["defect"])
        if "lacks" in answer:
            raise RalmError(answer["lacks"])
        if "reason" in answer:
            raise NoDocumentError(answer["reason"])
        return Extracted(answer["text"], answer["metadata"], tuple(map(tuple, answer["lost"])))

    def end(self) -> int:
        """Let the process end, if it has not, and say how it did."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        return self._process.wait()


def _why(status: int, memory: int) -> str:
    if status == -signal.SIGPROF:
        return f"reading it takes more than {SECONDS:g} seconds of processor time"
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return (
        f"reading it crashes the library that reads its format, or takes more than {memory >> 20:,} MiB of "
        f"memory ({name})"
    )


def _read(stream: IO[bytes]) -> bytes | None:
    """One message, None at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


def _serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Take apart what is asked for until nothing is any more."""
    while len(head := asked.read(_HEAD.size)) == _HEAD.size:
        kind, seconds, memory, limit, length = _HEAD.unpack(head)
        _bound(memory)
        data = asked.read(length)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        answer = json.dumps(_answer(kind.rstrip(b"\0").decode(), data, limit)).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(_LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _answer(kind: str, data: bytes, limit: int) -> dict[str, object]:
    try:
        found: Extracted = import_module(f"{__package__}.{kind}").extract(data, limit)
    except (NoDocumentError, Refused) as error:
        return {"reason": str(error)}
    except ImportError as error:
        if _NO_ROOM in str(error):
            raise MemoryError(str(error)) from error
        return {"lacks": f"{kind.upper()} files are read by {error.name}: pip install {error.name}."}
    except MemoryError:
        raise  # A new process has all of it.
    except Exception as error:  # noqa: BLE001 (it is raised again where it was asked for)
        return {"defect": said(error)}
    return {"text": found.text, "metadata": found.metadata, "lost": found.lost}


def _bound(memory: int) -> None:
    """Let no more than so many bytes be in use."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    bounded = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_AS, (bounded, most))


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Who asks decides, and ends us by closing the pipe.
    # Whoever started us may ignore it or hold it back, and both are inherited.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints is no answer.
    _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
