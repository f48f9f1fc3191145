import gzip
import io

import pytest

from datastore.schema import Document
from pipelines.config import SourceConfig
from pipelines.readers.bytes.decompress import Decompressed
from pipelines.readers.doubts import Doubts
from pipelines.readers.records import Blank, Intake

DOCUMENT = Document("1", "a", "text", {})


def wrong(data):
    """A member whose checksum is wrong."""
    member = bytearray(gzip.compress(data))
    member[-6] ^= 1
    return bytes(member)


def doubts_of(*members):
    """Records of ten bytes, told as they are read."""
    stream = Decompressed(io.BytesIO(b"".join(members)), "gzip", doubting=True)
    intake = Intake(SourceConfig(path="a"), "a", 1000)
    doubts = Doubts("a", intake)
    doubts.begin(stream)
    number = 0
    while record := stream.read(10):
        number += 1
        doubts.add(number, 10 * (number - 1), len(record), DOCUMENT if number % 2 else Blank())
    doubts.ended()
    return [(one.first, one.last, one.documents) for one in intake.doubtful]


def test_the_records_that_any_byte_of_a_wrong_member_went_into_are_doubtful():
    parts = [bytes(50), bytes(50), bytes(50)]
    assert doubts_of(*map(gzip.compress, parts)) == []
    assert doubts_of(gzip.compress(parts[0]), wrong(parts[1]), gzip.compress(parts[2])) == [(6, 10, 2)]
    assert doubts_of(wrong(parts[0]), gzip.compress(parts[1])) == [(1, 5, 3)]
    # Wrong members that follow one another are one range, an empty one is none.
    assert doubts_of(wrong(parts[0]), wrong(parts[1]), gzip.compress(parts[2])) == [(1, 10, 5)]
    assert doubts_of(gzip.compress(parts[0]), wrong(b""), gzip.compress(parts[1])) == []


def test_what_is_not_compressed_has_no_doubts():
    intake = Intake(SourceConfig(path="a"), "a", 1000)
    doubts = Doubts("a", intake)
    doubts.begin(io.BytesIO(b"text"))
    doubts.add(1, 0, 4, DOCUMENT)
    doubts.ended()
    assert doubts.broken(OSError("gone")) == ""
    assert intake.doubtful == []


def test_records_of_data_that_break_off_are_doubtful():
    stream = Decompressed(io.BytesIO(gzip.compress(bytes(range(256)) * 4)[:-9]), "gzip")
    intake = Intake(SourceConfig(path="a"), "a", 1000)
    doubts = Doubts("a", intake)
    doubts.begin(stream)
    doubts.add(1, 0, len(stream.read(100)), DOCUMENT)
    with pytest.raises(OSError, match="in the middle") as error:
        stream.readall()
    assert doubts.broken(error.value) == "; record 1 stands in the same data: doubtful"
    (one,) = intake.doubtful
    assert (one.file, one.first, one.last, one.documents) == ("a", 1, 1, 1)
    assert "damaged or break off: it ends in the middle" in one.reason
