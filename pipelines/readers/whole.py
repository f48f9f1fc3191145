"""Files that are read whole, as far as they are not too large.

Decisions: docs/decisions/readers-and-damage.md.
"""

from pipelines.readers.bytes.decompress import open_compressed
from pipelines.readers.bytes.endings import compression
from pipelines.readers.bytes.files import open_file, size
from pipelines.readers.limits import more_than, too_large
from pipelines.readers.records import Intake, Unreadable, failed, one_line, only_damage
from pipelines.readers.segment import Segment


def whole(segment: Segment, intake: Intake) -> bytes | Unreadable:
    """A file's bytes, unpacked as its name tells, or why there are none: too many, or damaged.

    Raises RalmError if the system cannot read it.
    """
    if codec := compression(segment.path):
        return _unpacked(segment, intake, codec)
    try:
        found = size(segment.path)
        if found > intake.max_record_bytes:
            reason = too_large("the file", found, intake.max_record_bytes)
            return Unreadable(segment.name, 1, reason)
        intake.consumed += found
        with open_file(segment.path) as handle:
            return handle.read()
    except OSError as error:
        raise failed(error, segment.path) from None


def _unpacked(segment: Segment, intake: Intake, codec: str) -> bytes | Unreadable:
    try:
        with open_compressed(segment.path, codec) as stream:
            data = stream.read(intake.max_record_bytes + 1)
    except OSError as error:
        only_damage(error, segment.path)
        # Unlike a record among others it is known as a whole before it is handed on: nothing doubtful is.
        return Unreadable(segment.name, 1, f"the file breaks off or is damaged ({one_line(error)})")
    intake.consumed += len(data)
    if len(data) > intake.max_record_bytes:
        return Unreadable(segment.name, 1, more_than("the file unpacks to", intake.max_record_bytes))
    return data
