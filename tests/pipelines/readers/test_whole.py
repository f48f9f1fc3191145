import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.readers.records import Unreadable
from tests.pipelines.readers.flips import COMPRESS
from tests.pipelines.readers.reading import read, read_doubting, read_with

TEXT = "The old stone bridge over the river.\n" * 40
PAGE = f"<html><body><p>{TEXT}</p></body></html>"
MARKDOWN = "---\nyear: 1787\n---\n# Bridges\n"


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_files_are_read_as_those_that_are_not(tmp_path, suffix):
    for name, written, kind in (
        ("a.txt", TEXT, "text"),
        ("b.HTML", PAGE, "html"),
        ("c.md", MARKDOWN, "text"),
    ):
        (tmp_path / name).write_text(written)
        (tmp_path / f"{name}.{suffix}").write_bytes(COMPRESS[suffix](written.encode()))
        (plain,) = read(tmp_path / name, kind=kind)
        intake, (found,) = read_with(tmp_path / f"{name}.{suffix}", kind=kind)
        assert (found.text, found.metadata) == (plain.text, plain.metadata)
        assert found.id == f"{name}.{suffix}"
        assert intake.consumed == len(written)


def test_what_a_file_unpacks_to_is_bounded(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(COMPRESS["gz"](b"x" * 4097))
    (found,) = read(path, kind="text", limit=4096)
    assert found == Unreadable(
        "a.txt.gz", 1, "the file unpacks to more than the 4,096 bytes that max_record_bytes allows"
    )
    (found,) = read(path, kind="text", limit=4097)
    assert len(found.text) == 4097


@pytest.mark.parametrize("suffix", COMPRESS)
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from([("text", TEXT), ("html", PAGE)]))
def test_of_damaged_files_nothing_is_altered_unsaid(tmp_path_factory, suffix, bit, sample):
    """Law 4, of files that are one document each."""
    kind, written = sample
    folder = tmp_path_factory.mktemp("flips")
    (folder / "a").write_text(written)
    (plain,) = read(folder / "a", kind=kind)
    data = bytearray(COMPRESS[suffix](written.encode()))
    bit %= 8 * len(data)
    data[bit // 8] ^= 1 << bit % 8
    (folder / f"a.{suffix}").write_bytes(data)
    (found,), doubtful = read_doubting(folder / f"a.{suffix}", kind)
    assert isinstance(found, Unreadable) or found.text == plain.text
    assert doubtful == []


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_file_that_is_cut_off_is_said_to_be(tmp_path, suffix):
    path = tmp_path / f"a.txt.{suffix}"
    path.write_bytes(COMPRESS[suffix](TEXT.encode())[:-3])
    (found,) = read(path, kind="text")
    assert found.reason.startswith("the file breaks off or is damaged (")
