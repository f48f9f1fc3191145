"""Files that are read whole, as far as they are not too large."""

from pipelines.readers.bytes.files import open_file, size
from pipelines.readers.limits import too_large
from pipelines.readers.records import Intake, Unreadable, failed
from pipelines.readers.segment import Segment


def whole(segment: Segment, intake: Intake) -> bytes | Unreadable:
    """A file's bytes, or why they are too many. Raises RalmError if the system cannot read it."""
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
