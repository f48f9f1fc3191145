import codecs
import csv
import gzip
import io
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.schema import Document
from pipelines.config import SourceConfig
from pipelines.readers.records import Blank, Intake, Unreadable
from pipelines.readers.segment import Segment
from pipelines.readers.tables.delimited import require_text
from tests.pipelines.readers.flips import COMPRESS, Framed, sizes_cut, words
from tests.pipelines.readers.reading import read, read_doubting


def read_csv(tmp_path, data, name="a.csv", **source):
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return read(tmp_path / name, kind="csv", **source)


def texts(found):
    return [one.text for one in found if isinstance(one, Document)]


def reasons(found):
    return [(one.record, one.reason) for one in found if isinstance(one, Unreadable)]


def test_the_columns_are_text_id_domain_and_metadata_as_written(tmp_path):
    data = (
        'id,text,domain,year,price,code,note\n007,"One, two",law,1900,1.50,0042,\nb,Three,,1901,n/a,1e5,x\n'
    )
    one, two = read_csv(tmp_path, data)
    assert (one.id, one.text, one.domain) == ("007", "One, two", "law")
    assert one.metadata == {"year": 1900, "price": 1.5, "code": "0042"}
    assert (two.id, two.domain) == ("b", "a")
    assert two.metadata == {"year": 1901, "price": "n/a", "code": "1e5", "note": "x"}


def test_a_row_without_an_id_is_called_by_the_line_it_begins_in(tmp_path):
    found = read_csv(tmp_path, 'text\n"one\nand\nmore"\n\ntwo\n')
    assert [one.id for one in found if isinstance(one, Document)] == ["a.csv:2", "a.csv:6"]
    assert texts(found) == ["one\nand\nmore", "two"]
    assert sum(isinstance(one, Blank) for one in found) == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "records.data"])
def test_the_delimiter_is_found(tmp_path, delimiter, name):
    rows = [["id", "text", "n"], ["1", "one, two; three", "3"], ["2", 'four | "five"', "4"]]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows(rows)
    found = read_csv(tmp_path, written.getvalue(), name)
    assert [(one.id, one.text, one.metadata) for one in found] == [
        ("1", "one, two; three", {"n": 3}),
        ("2", 'four | "five"', {"n": 4}),
    ]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_of_spreadsheets(tmp_path, codec, end):
    mark = "\ufeff" if codec.endswith(("-le", "-be")) else ""
    data = (mark + end.join(("text\tid", "bâti au printemps\t1", "石の橋\t2")) + end).encode(codec)
    found = read_csv(tmp_path, data)
    assert [(one.text, one.id) for one in found] == [("bâti au printemps", "1"), ("石の橋", "2")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("2,two,too many", "has 3 fields and the header 2"),
        ("2", "has 1 fields and the header 2"),
        ('2,"never closed', "not closed"),
        ('2,"closed" here', "not written twice"),
        ("2,\udcff broken", "invalid UTF-8"),
    ],
)
@pytest.mark.parametrize("after", ["3,three\n4,four\n", '3,"three"\n4,"fo\nur"\n', ""])
def test_a_bad_row_costs_itself_alone(tmp_path, bad, reason, after):
    data = f"id,text\n1,one\n{bad}\n{after}".encode(errors="surrogateescape")
    found = read_csv(tmp_path, data)
    ((number, said),) = reasons(found)
    assert (number, reason in said) == (3, True)
    assert texts(found)[:2] == (["one", "three"] if after else ["one"])
    assert len(texts(found)) == (3 if after else 1)


def test_rows_with_a_delimiter_at_the_end_and_blanks_behind_commas(tmp_path):
    found = read_csv(tmp_path, 'id, text\n1, "one, two",\n2, three,,\n')
    assert texts(found) == ["one, two", "three"]


def test_long_fields_and_long_rows(tmp_path):
    long, longer = "x" * 500_000, "y" * 2_000_000
    found = read_csv(tmp_path, f'text\n{long}\n{longer}\n"{longer}"\nlast\n')
    assert texts(found) == [long, "last"]
    assert ["max_record_bytes" in reason for _, reason in reasons(found)] == [True, True]


def test_a_quote_that_is_never_closed_takes_no_row_behind_it_however_many(tmp_path):
    rows = "".join(f"{n},text {n}\n" for n in range(20_000))
    found = read_csv(tmp_path, f'id,text\na,"open\n{rows}')
    assert len(reasons(found)) == 1
    assert len(texts(found)) == 20_000


def test_a_file_of_quotes_is_read_in_one_go(tmp_path):
    """Each line opens a quote, so each would be put together with all behind it."""
    found = read_csv(tmp_path, "id,text\n" + 'x",",\n' * 20_000)
    assert len(found) >= 10_000


def test_a_table_without_a_text_lists_its_columns_and_the_mend(tmp_path):
    (found,) = read_csv(tmp_path, "title,body\nA,One.\nB,Two.\n")
    assert found.record == 1
    assert "no column is called 'text' or 'contents', the columns are 'title', 'body'" in found.reason
    assert "`text_fields: [COLUMN]`" in found.reason
    one, two = read_csv(tmp_path, "title,body\nA,One.\nB,Two.\n", text_fields=("body",))
    assert (one.text, one.metadata, two.text) == ("One.", {"title": "A"}, "Two.")


def test_a_table_that_is_named_itself_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "a.csv").write_text("title,body\nA,One.\n")
    intake = Intake(SourceConfig(path="a"), "a", 1 << 20)
    with pytest.raises(RalmError, match=r"a\.csv: no column is called 'text'"):
        require_text(str(tmp_path / "a.csv"), intake)
    require_text(
        str(tmp_path / "a.csv"), replace(intake, source=SourceConfig(path="a", text_fields=("body",)))
    )
    with pytest.raises(RalmError, match="cannot be read"):
        require_text(str(tmp_path / "gone.csv"), intake)


def test_columns_of_one_name_are_told_apart_however_many(tmp_path):
    header = ",".join(["text", "a", "a_2", "a", *["b"] * 20_000])
    (found,) = read_csv(tmp_path, f"{header}\nOne.,1,2,3{',' * 19_999},4\n")
    assert found.metadata == {"a": 1, "a_2": 2, "a_3": 3, "b_20000": 4}


@pytest.mark.parametrize("data", ["", "\n\n", "\ufeff"])
def test_an_empty_file_says_so(tmp_path, data):
    (found,) = read_csv(tmp_path, data)
    assert "no header" in found.reason


def test_an_empty_text_is_a_document_for_filters_to_remove(tmp_path):
    assert texts(read_csv(tmp_path, "id,text\n1,\n2,two\n")) == ["", "two"]


def test_columns_of_one_name_are_told_apart_and_those_without_left_out(tmp_path):
    (found,) = read_csv(tmp_path, ",text,a,a,text\n0,one,1,2,three\n")
    assert (found.text, found.metadata) == ("one", {"a": 1, "a_2": 2, "text_2": "three"})


def test_compressed_tables_are_read(tmp_path):
    data = b"id,text\n1,one\n2,two\n"
    assert texts(read_csv(tmp_path, gzip.compress(data), "a.csv.gz")) == ["one", "two"]
    assert texts(read_csv(tmp_path, zstandard.compress(data), "a.tsv.zst")) == ["one", "two"]
    utf16 = gzip.compress(data.decode().encode("utf-16"))
    assert texts(read_csv(tmp_path, utf16, "b.csv.gz")) == ["one", "two"]


def test_a_cut_archive_gives_all_before_the_cut_and_says_so(tmp_path):
    rows = "".join(f"{n},text number {n}\n" for n in range(3000))
    data = gzip.compress(f"id,text\n{rows}".encode())
    found = read_csv(tmp_path, data[: len(data) // 2], "a.csv.gz")
    assert len(texts(found)) > 500
    assert "breaks off or is damaged" in reasons(found)[-1][1]


def test_a_damaged_member_costs_no_other(tmp_path):
    members = [
        gzip.compress("".join(f"{m}-{n},text {n} of {m}\n" for n in range(500)).encode()) for m in range(3)
    ]
    damaged = bytearray(members[1])
    damaged[40:60] = b"\xff" * 20
    data = gzip.compress(b"id,text\n") + members[0] + bytes(damaged) + members[2]
    found = read_csv(tmp_path, data, "a.csv.gz")
    assert {f"text {n} of 0" for n in range(500)} <= set(texts(found))
    assert {f"text {n} of 2" for n in range(1, 500)} <= set(texts(found))
    assert {"may have begun" in reason for _, reason in reasons(found)} == {True, False}


def test_tabs_with_quotes_that_are_but_text(tmp_path):
    """As data sets of passages are published: nothing is quoted, whatever a text begins and ends with."""
    data = 'id\ttext\n1\t"The Project" was secret\n2\tan inch is 1"\n3\t"never closed\n4\tlast 5"\n'
    found = read_csv(tmp_path, data, "a.tsv")
    assert texts(found) == ['"The Project" was secret', 'an inch is 1"', '"never closed', 'last 5"']
    quoted = read_csv(tmp_path, 'id\ttext\n1\t"two\nlines, ""quoted"""\n2\tone\n', "a.tsv")
    assert texts(quoted) == ['two\nlines, "quoted"', "one"]
    quoted = read_csv(tmp_path, '"id"\t"text"\n"1"\t"two\nlines\tand a tab"\n"2"\t"one"\n', "a.tsv")
    assert texts(quoted) == ["two\nlines\tand a tab", "one"]


def test_a_spreadsheet_may_state_its_delimiter(tmp_path):
    found = read_csv(tmp_path, "\ufeffsep=;\r\ntext;id\r\none, two;1\r\n")
    assert [(one.text, one.id) for one in found] == [("one, two", "1")]


def test_rows_of_data_whose_checksum_is_wrong_are_doubtful(tmp_path):
    members = [gzip.compress("".join(f'{m}-{n},"text\n{n}"\n' for n in range(20)).encode()) for m in range(3)]
    wrong = members[1][:-8] + b"\0\0\0\0" + members[1][-4:]
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"id,text\n") + members[0] + wrong + members[2])
    intake = Intake(SourceConfig(path="a"), "a", 1 << 20)
    found = list(Segment(str(path), "a.csv.gz", "csv").records(intake))
    assert len(texts(found)) == 60
    ((doubtful),) = intake.doubtful
    assert (doubtful.first, doubtful.last, doubtful.documents) == (42, 80, 20)
    path.write_bytes(gzip.compress("id,text\n1,one\n".encode("utf-16"))[:-8] + bytes(8))
    intake = Intake(SourceConfig(path="a"), "a", 1 << 20)
    found = list(Segment(str(path), "a.csv.gz", "csv").records(intake))
    assert (texts(found), "damaged" in reasons(found)[0][1]) == (["one"], True)
    assert [one.documents for one in intake.doubtful] == [1]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(
    lambda cell: cell == cell.strip() and cell
)
rows = st.lists(st.tuples(cells, cells), min_size=1, max_size=8)


@given(rows, st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n"]))
def test_what_a_library_writes_comes_back(tmp_path_factory, rows, delimiter, end):
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [("id", "text"), *rows]
    )
    found = read_csv(tmp_path_factory.mktemp("csv"), written.getvalue())
    assert [(one.id, one.text) for one in found] == [tuple(row) for row in rows]


@given(st.binary(max_size=200), st.sampled_from([b"", b"id,text\n", b'"te\nxt",text\n', b"\xff\xfe"]))
def test_whatever_stands_in_a_file_every_line_is_accounted_for(tmp_path_factory, data, header):
    found = read_csv(tmp_path_factory.mktemp("csv"), header + data)
    assert all(isinstance(one, Document | Unreadable | Blank) for one in found)


@given(st.lists(st.sampled_from(['1,"a', "2,b", '3,"c"', 'd"', "", '"', '""', '4,"e""f"', "x,y,z"])))
def test_a_good_row_behind_any_others_is_not_lost(tmp_path_factory, lines):
    data = "\n".join(["id,text", *lines, "last,good row"]) + "\n"
    found = read_csv(tmp_path_factory.mktemp("csv"), data)
    held = [one for one in found if isinstance(one, Document) and "good row" in one.text]
    assert len(held) == 1


ROWS = [b"n,text\n", *(f"{n},{words(n)}\n".encode() for n in range(60))]
CUTS = sizes_cut(ROWS)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(COMPRESS)), st.sampled_from(sorted(CUTS)), st.integers(0, 2**40), st.booleans())
def test_whatever_bit_is_flipped_no_row_is_altered_unsaid_nor_lost_in_other_frames(
    tmp_path_factory, suffix, cuts, bit, wide
):
    rows = [row.decode().encode("utf-16-le") if wide else row for row in ROWS]
    if wide:
        rows[0] = codecs.BOM_UTF16_LE + rows[0]
    data, touched = Framed(rows, sizes_cut(rows)[cuts], suffix).flipped(bit)
    path = tmp_path_factory.mktemp("flips") / f"a.csv.{suffix}"
    path.write_bytes(data)
    found, doubtful = read_doubting(path, "csv")
    whole = set()
    for one in found:
        if not isinstance(one, Document):
            continue
        number = int(one.id.rpartition(":")[2])
        listed = any(each.first <= number <= each.last for each in doubtful)
        n = one.metadata.get("n")
        if isinstance(n, int) and one == Document(one.id, one.domain, words(n), {"n": n}):
            whole.add(n)
            # All are, where the header is, or where it is not known what lies where.
            assert not listed or {n, n + 1, 0} & touched or wide
        else:
            assert listed, one
    lost = set(range(60)) - whole
    # The row behind a frame may have begun in it.
    assert wide or 0 in touched or lost <= {n - 1 for n in touched} | {max(touched)}
    assert not lost or doubtful or any(isinstance(one, Unreadable) for one in found)
