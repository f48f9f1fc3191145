import errno
import gzip
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.schema import Document
from pipelines.config import SourceConfig
from pipelines.readers.bytes.lines import open_stream
from pipelines.readers.damage import Break, behind, goes_on, reading_on
from pipelines.readers.doubts import Doubts
from pipelines.readers.formats import FORMATS
from pipelines.readers.records import Intake, Unreadable
from pipelines.readers.segment import Segment
from tests.pipelines.readers.flips import COMPRESS, SAMPLES, Framed, check, sizes_cut, words
from tests.pipelines.readers.reading import read_doubting


def parts_of(path, *wrong):
    """A letter for each ten bytes of three members of fifty, and the breaks where some are damaged."""
    members = [gzip.compress(bytes([65 + n]) * 50, 0) for n in range(3)]
    # A member's data begin behind a header of ten bytes, with the kind of their first block.
    path.write_bytes(b"".join(m[:10] + b"\xff" + m[11:] if n in wrong else m for n, m in enumerate(members)))
    doubts = Doubts("a", Intake(SourceConfig(path="a"), "a", 1000))

    def read(frame):
        with open_stream(str(path), frame, doubting=True) as stream:
            doubts.begin(stream)
            while part := stream.read(10):
                yield part.decode()[0]

    found = list(reading_on(Segment(str(path), "a", "jsonl"), doubts, read))
    return [one.reason("here") if isinstance(one, Break) else one for one in found]


def test_a_system_that_cannot_read_is_no_damage(tmp_path):
    def read(frame):
        raise OSError(errno.EIO, "Input/output error")
        yield

    doubts = Doubts("a", Intake(SourceConfig(path="a"), "a", 1000))
    with pytest.raises(RalmError, match="Input/output error"):
        list(reading_on(Segment("a.jsonl.gz", "a", "jsonl"), doubts, read))


def test_what_is_sound_has_no_break(tmp_path):
    assert parts_of(tmp_path / "a.gz") == ["A"] * 5 + ["B"] * 5 + ["C"] * 5


def test_damaged_frames_are_left_out_and_those_in_a_row_are_one_break(tmp_path):
    size = len(gzip.compress(b"A" * 50, 0))
    found = parts_of(tmp_path / "a.gz", 1)
    assert (found[:5], found[6:]) == (["A"] * 5, ["C"] * 5)
    gone = found[5]
    assert gone.startswith("here (damaged compressed data")
    assert gone.endswith(f"; reading goes on at byte {2 * size:,} of the file")
    gone, *behind_both = parts_of(tmp_path / "b.gz", 0, 1)
    assert (gone.startswith("here (damaged"), behind_both) == (True, ["C"] * 5)
    *before, last = parts_of(tmp_path / "c.gz", 1, 2)
    assert before == ["A"] * 5
    assert last.endswith("; nothing behind it can be read")


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


# Of an array nobody knows where its records begin: what lies behind damage is lost.
READ_ON = sorted(SAMPLES.keys() - {"json"})


def ids_of(found):
    return [int(one.id.rpartition(":")[2]) for one in found if isinstance(one, Document)]


def test_every_format_that_may_be_compressed_has_a_sample():
    # Files of text and HTML are one document each: test_whole.py.
    assert {one.name for one in FORMATS.values() if one.compressible} == {*SAMPLES, "csv", "text", "html"}


@pytest.mark.parametrize("suffix", sorted(COMPRESS))
@pytest.mark.parametrize("kind", SAMPLES)
def test_records_are_read_through_frames_of_every_compression(tmp_path, kind, suffix):
    for name, cuts in sizes_cut(SAMPLES[kind]).items():
        path = tmp_path / f"{name}.{suffix}"
        path.write_bytes(Framed(SAMPLES[kind], cuts, suffix).bytes)
        found, doubtful = read_doubting(path, kind)
        assert [one.text for one in found] == [words(n) for n in range(40)]
        assert doubtful == []


@cache
def framed(kind, cuts, suffix):
    return Framed(SAMPLES[kind], sizes_cut(SAMPLES[kind])[cuts], suffix)


@pytest.mark.parametrize("kind", SAMPLES)
@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(COMPRESS)),
    st.sampled_from(["one", "some", "each", "anywhere"]),
    st.integers(0, 2**40),
)
def test_whatever_bit_is_flipped_nothing_is_altered_unsaid_nor_lost_in_other_frames(
    tmp_path_factory, kind, suffix, cuts, bit
):
    """Law 4, of every format in every compression."""
    data, touched = framed(kind, cuts, suffix).flipped(bit)
    path = tmp_path_factory.mktemp("flips") / f"a.{suffix}"
    path.write_bytes(data)
    may_be_lost = touched if kind in READ_ON else set(range(min(touched), 40))
    check(*read_doubting(path, kind), may_be_lost, 40)


@pytest.mark.parametrize("suffix", sorted(COMPRESS))
@pytest.mark.parametrize("cut", [0.55, 0.95])
@pytest.mark.parametrize("kind", SAMPLES)
def test_a_file_that_is_cut_off_gives_what_came_before_and_says_so(tmp_path, kind, cut, suffix):
    framed = Framed(SAMPLES[kind], sizes_cut(SAMPLES[kind])["some"], suffix)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(framed.bytes[: int(len(framed.bytes) * cut)])
    found, _ = read_doubting(path, kind)
    ids = ids_of(found)
    assert ids == [*range(len(ids))]
    assert len(ids) >= 10 * int(4 * cut)  # Whole frames have ten records each.
    assert isinstance(found[-1], Unreadable)
    assert found[-1].record == len(found)


@pytest.mark.parametrize("suffix", sorted(COMPRESS))
@pytest.mark.parametrize("kind", READ_ON)
def test_a_damaged_frame_costs_no_record_of_the_next_one_and_is_listed_once(tmp_path, kind, suffix):
    whole = Framed(SAMPLES[kind], sizes_cut(SAMPLES[kind])["some"], suffix)
    data = bytearray(whole.bytes)
    second = len(Framed(SAMPLES[kind][:10], [], suffix).bytes)
    data[second + 40 : second + 60] = b"\xff" * 20
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data)
    found, _ = read_doubting(path, kind)
    assert {*range(10), *range(20, 40)} <= {*ids_of(found)}
    breaks = [one.reason for one in found if isinstance(one, Unreadable) and "reading goes on" in one.reason]
    assert len(breaks) == 1


@pytest.mark.parametrize("suffix", ["gz", "zst"])
@pytest.mark.parametrize("cuts", ["one", "some", "each", "anywhere"])
# To archives and dumps a wrong checksum is damage: they are read on behind it.
@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_a_frame_whose_checksum_alone_is_wrong_loses_no_record(tmp_path, kind, suffix, cuts):
    framed = Framed(SAMPLES[kind], sizes_cut(SAMPLES[kind])[cuts], suffix)
    path = tmp_path / f"a.{suffix}"
    # The last bits of the file are of the length, the checksum lies before it; zstd has the checksum alone.
    data, touched = framed.flipped(8 * (len(framed.bytes) - 5 - 3 * (suffix == "gz")) + 8)
    path.write_bytes(data)
    found, doubtful = read_doubting(path, kind)
    assert [one.text for one in found] == [words(n) for n in range(40)]
    (one,) = doubtful
    assert (one.file, one.first, one.last) == (path.name, min(touched) + 1, 40)
    assert one.documents == len(touched)
    assert "checksum is wrong" in one.reason
