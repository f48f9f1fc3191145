import gzip
import io

from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers.bytes.lines import bounded_line, open_stream, skip_to_line


@given(st.binary(max_size=200), st.integers(1, 50))
def test_bounded_lines_cover_the_stream(data, limit):
    stream, position = io.BytesIO(data), 0
    while True:
        line, length = bounded_line(stream, limit)
        if not length:
            break
        assert line is None or line == data[position : position + length]
        assert (line is None) == (
            length > limit + (data[position : position + length].endswith(b"\n") and length == limit + 1)
        )
        position += length
    assert position == len(data)


def test_streams_decompress_by_name(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"text"))
    with open_stream(str(tmp_path / "a.gz")) as stream:
        assert stream.read() == b"text"


def test_nobody_reads_a_long_line_behind_the_end_of_a_range():
    """Ranges of a file of one long line together read it about once, not once each."""
    size, step, read = 64 << 20, 1 << 20, 0

    class Counted(io.BytesIO):
        def readline(self, limit=-1):
            nonlocal read
            found = super().readline(limit)
            read += len(found)
            return found

    stream = Counted(b"x" * size)
    for begin in range(0, size, step):
        skipped = skip_to_line(stream, begin, begin + step)
        assert begin == 0 or begin + skipped >= begin + step - 1
    assert read < 3 * size
