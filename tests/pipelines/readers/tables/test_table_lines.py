import pytest

from pipelines.config import SourceConfig
from pipelines.readers.records import Intake
from pipelines.readers.tables.table_lines import Line, Lines, open_table


def lines_of(path, limit=1000):
    lines = Lines(Intake(SourceConfig(path=str(path)), "a", limit))
    stream = open_table(str(path))
    lines.begin(stream)
    return lines, stream


def test_lines_are_numbered_and_may_be_put_back(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfa\n\nb\xff\n" + b"c" * 2000)
    lines, stream = lines_of(tmp_path / "a.csv")
    with stream:
        first, second = lines.next(), lines.next()
        assert (first, second.blank) == (Line(1, "a\n", 5, 0), True)
        lines.put_back([first, second])
        assert [lines.next(), lines.next()] == [first, second]
        assert lines.next() == Line(3, "b\udcff\n", 3, 6)
        assert lines.next() == Line(4, None, 2000, 9)
        assert lines.next() is None
    assert lines.number == 4


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_utf16_and_returns_become_utf8_and_line_feeds(tmp_path, codec, end):
    (tmp_path / "a.csv").write_bytes((end.join(["aü石😀"] * 30_000) + end).encode(codec))
    lines, stream = lines_of(tmp_path / "a.csv")
    with stream:
        found = {line.text.rstrip("\r\n") for line in iter(lines.next, None)}
    assert (found, lines.number) == ({"aü石😀"}, 30_000)


def test_a_failure_is_told_when_all_before_it_has_come(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a\nb\n")
    lines, stream = lines_of(tmp_path / "a.csv")
    held = [lines.next(), lines.next()]
    stream.close()

    class Broken:
        def readline(self, size):
            raise OSError("broken")

    lines.begin(Broken())
    lines.put_back(held)
    assert [lines.next(), lines.next(), lines.next()] == [*held, None]
    assert str(lines.failure) == "broken"
