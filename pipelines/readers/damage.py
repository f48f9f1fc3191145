"""Reading on behind damage: one loop for every format whose files may be compressed.

A reader says how it reads from a frame on; here is decided where it goes on, and what is said of the break.

Decisions: docs/decisions/readers-and-damage.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pipelines.readers.bytes.decompress import Damage, next_sound_frame
from pipelines.readers.bytes.endings import compression
from pipelines.readers.doubts import Doubts
from pipelines.readers.records import one_line, only_damage
from pipelines.readers.segment import Segment

One = TypeVar("One")


@dataclass(frozen=True, slots=True)
class Break:
    """Where a file cannot be read on: the error, and in words what that means for what lies around it."""

    error: OSError
    around: str

    def reason(self, what: str = "the file breaks off or is damaged from this record on") -> str:
        """What to list of it."""
        return f"{what} ({one_line(self.error)}){self.around}"


def reading_on(
    segment: Segment, doubts: Doubts, read: Callable[[int], Iterator[One]], begin: int = 0
) -> Iterator[One | Break]:
    """What `read` gives of a file from `begin` on, and from the next sound frame behind each damage.

    `read` is called with a place in the file: at first `begin`, then that of a frame. It opens the file there
    and lets `doubts` begin with the stream. However many frames in a row give nothing, there is one break.
    Raises RalmError if the system cannot read the file.
    """
    frame: int | None = begin
    lost = False  # Whether nothing has been read since the last damage, which is listed already.
    while frame is not None:
        try:
            for one in read(frame):
                lost = False
                yield one
            doubts.ended()
            return
        except OSError as error:
            only_damage(error, segment.path)
            # A compressed stream that breaks off: what came before it has been read.
            doubtful = doubts.broken(error)
            frame = behind(segment.path, error, segment.end)
            if not lost:
                lost = True
                yield Break(error, f"{doubtful}{goes_on(frame)}")


def behind(path: str, error: OSError, end: int = -1) -> int | None:
    """Where reading goes on behind a damaged frame of a compressed file, before `end`; None if nowhere."""
    codec = compression(path)
    if codec is None or not isinstance(error, Damage):
        return None
    return next_sound_frame(path, codec, error.frame + 1, end)


def goes_on(frame: int | None) -> str:
    """What to say of that at the end of a reason."""
    return (
        "; nothing behind it can be read"
        if frame is None
        else f"; reading goes on at byte {frame:,} of the file"
    )
