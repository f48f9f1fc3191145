import errno
import gzip

import pytest

from base.errors import RalmError
from pipelines.config import SourceConfig
from pipelines.readers.bytes.lines import open_stream
from pipelines.readers.damage import Break, behind, goes_on, reading_on
from pipelines.readers.doubts import Doubts
from pipelines.readers.records import Intake
from pipelines.readers.segment import Segment


def parts_of(path, *wrong):
    """Ten bytes at a time of three members of fifty, of which some are damaged in their middle."""
    members = [gzip.compress(bytes([65 + n]) * 50, 0) for n in range(3)]
    path.write_bytes(
        b"".join(m[:20] + b"\xff" * 8 + m[28:] if n in wrong else m for n, m in enumerate(members))
    )
    doubts = Doubts("a", Intake(SourceConfig(path="a"), "a", 1000))

    def read(frame):
        with open_stream(str(path), frame, doubting=True) as stream:
            doubts.begin(stream)
            while part := stream.read(10):
                yield part.decode()

    found = list(reading_on(Segment(str(path), "a", "jsonl"), doubts, read))
    return [one.reason("here") if isinstance(one, Break) else one[0] for one in found]


def test_a_system_that_cannot_read_is_no_damage(tmp_path):
    def read(frame):
        raise OSError(errno.EIO, "Input/output error")
        yield

    doubts = Doubts("a", Intake(SourceConfig(path="a"), "a", 1000))
    with pytest.raises(RalmError, match="Input/output error"):
        list(reading_on(Segment("a.jsonl.gz", "a", "jsonl"), doubts, read))


def test_what_is_sound_has_no_break(tmp_path):
    assert parts_of(tmp_path / "a.gz") == ["A"] * 5 + ["B"] * 5 + ["C"] * 5


def test_reading_begins_where_it_is_told_to(tmp_path):
    seen = []

    def read(frame):
        seen.append(frame)
        yield "one"

    doubts = Doubts("a", Intake(SourceConfig(path="a"), "a", 1000))
    assert list(reading_on(Segment("a.xml.bz2", "a", "mediawiki"), doubts, read, 77)) == ["one"]
    assert seen == [77]


def test_only_compressed_data_have_frames_behind_damage(tmp_path):
    assert behind(str(tmp_path / "a.jsonl"), OSError("gone")) is None
    assert behind(str(tmp_path / "a.jsonl.gz"), OSError("gone")) is None
    assert "nothing behind it" in goes_on(None)
    assert "at byte 1,234 of the file" in goes_on(1234)


def test_a_break_says_what_is_wrong_on_one_line():
    found = Break(OSError("a\n b"), "; on")
    assert found.reason("here") == "here (a b); on"
    assert found.reason() == "the file breaks off or is damaged from this record on (a b); on"
