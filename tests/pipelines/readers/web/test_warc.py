import bz2
import gzip
import lzma
import zlib
from functools import partial

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.schema import Document
from pipelines.readers.records import Skipped, Unreadable
from tests.pipelines.readers.reading import read as read_file
from tests.pipelines.readers.reading import record

PAGE = (
    "<html><head><title>T</title></head><body><article><p>The first paragraph of page {} says something that "
    "is long enough to be kept.</p></article></body></html>"
)
PACK = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".bz2": bz2.compress,
    ".xz": partial(lzma.compress, preset=0),
}


def read(path, **options):
    return read_file(path, kind="warc", **options)


def response(body, status="200 OK", number=0, **headers):
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    http = f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body
    return record("response", http, number, "application/http; msgtype=response")


def texts(records):
    return [r.text for r in records if isinstance(r, Document)]


@pytest.mark.parametrize("suffix", sorted(PACK))
def test_a_wet_file_gives_its_texts_and_counts_the_rest(tmp_path, suffix):
    path = tmp_path / f"a.warc.wet{suffix}"
    parts = [record("warcinfo", b"software: x", 0, "application/warc-fields")]
    parts += [record(body=f"Zeile {n}: café".encode(), number=n) for n in (1, 2)]
    path.write_bytes(b"".join(map(PACK[suffix], parts)))
    info, one, two = read(path)
    assert info == Skipped("warcinfo")
    assert one == Document(
        "urn:uuid:1",
        "a",
        "Zeile 1: café",
        {"url": "http://example.org/1", "date": "2024-02-20T21:10:55Z"},
    )
    assert two.text == "Zeile 2: café"


def test_a_warc_file_gives_its_pages_and_counts_the_rest(tmp_path):
    path = tmp_path / "a.warc.gz"
    html = {"Content_Type": "text/html; charset=UTF-8"}
    parts = [
        record("request", b"GET / HTTP/1.1\r\n\r\n", 1, "application/http; msgtype=request"),
        response(PAGE.format("é").encode(), number=2, **html),
        record("metadata", b"x: y", 3, "application/warc-fields"),
        response(b"gone", "404 Not Found", 4, **html),
        response(b"%PDF", number=5, Content_Type="application/pdf"),
        response(b"<html></html>", number=6, **html),
        record("response", b"1.2.3.4", 7, "text/dns", "dns:example.org"),
        record("invented", b"", 8),
        record("conversion", b"{}", 9, "application/json"),
    ]
    path.write_bytes(b"".join(map(gzip.compress, parts)))
    found = read(path)
    assert len(found) == len(parts)
    assert found[1].id == "urn:uuid:2"
    assert "first paragraph of page é" in found[1].text
    kinds = [r.kind for r in found if isinstance(r, Skipped)]
    assert kinds == [
        "request",
        "metadata",
        "status",
        "content_type",
        "not_http",
        "other_type",
        "content_type",
    ]
    assert found[5] == Unreadable("a.warc.gz", 6, "no text is found in the HTML")


@pytest.mark.parametrize("page", ["<p>{}</p>", "{}", "<body>{}", "<!-- x --><div>{}</div>"])
def test_a_page_may_be_a_fragment_or_text_alone(tmp_path, page):
    sentence = "The old stone bridge was built in 1787."
    path = tmp_path / "a.warc"
    path.write_bytes(response(page.format(sentence).encode(), Content_Type="text/html"))
    assert texts(read(path)) == [sentence]


def test_pages_are_unpacked_and_decoded_as_their_headers_say(tmp_path):
    path = tmp_path / "a.warc"
    page = PAGE.format("Größe").encode("latin-1")
    packed = gzip.compress(page)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    html = {"Content_Type": "text/html; charset=ISO-8859-1"}
    path.write_bytes(
        response(page, number=1, **html)
        + response(packed, number=2, Content_Encoding="gzip", **html)
        + response(chunked, number=3, Content_Encoding="gzip", Transfer_Encoding="chunked", **html)
    )
    found = texts(read(path))
    assert len(found) == 3
    assert all("page Größe says" in text for text in found)


@pytest.mark.parametrize("protocol", ["HTTP/2 200", "HTTP/3 200", "HTTP/2 200 OK", "HTTP/1.1 200"])
@pytest.mark.parametrize(
    ("coding", "pack"),
    [("br", brotli.compress), ("zstd", zstandard.compress), ("deflate", zlib.compress), ("gzip", bytes)],
)
def test_pages_of_every_protocol_and_coding_are_read(tmp_path, protocol, coding, pack):
    page = PAGE.format("Größe").encode()
    head = f"{protocol}\r\nContent-Type: text/html\r\nContent-Encoding: {coding}\r\n\r\n".encode()
    path = tmp_path / "a.warc"
    path.write_bytes(record("response", head + pack(page), 0, "application/http"))
    (text,) = texts(read(path))
    assert "page Größe says" in text


@pytest.mark.parametrize("charset", ["none-such", "undefined", "punycode", "base64", "utf-8\0", "utf-8"])
def test_a_page_in_a_charset_that_is_none_is_read_all_the_same(tmp_path, charset):
    path = tmp_path / "a.warc"
    page = PAGE.format("Gr\xf6\xdfe").encode("latin-1")
    path.write_bytes(response(page, Content_Type=f"text/html; charset={charset}"))
    (text,) = texts(read(path))
    assert "page Gr" in text


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("gbk", "gb18030", "河上的老石桥是一七八七年春天由邻近山谷的石匠建造的"),
        ("Shift_JIS", "cp932", "川にかかる古い石橋は一七八七年の春に造られた"),
        ("EUC-JP", "euc_jp", "川にかかる古い石橋は一七八七年の春に造られた"),
        ("EUC-KR", "cp949", "강 위의 오래된 돌다리는 봄에 이웃 골짜기의 석공들이 지었다"),
        ("Big5", "big5hkscs", "河上的老石橋是一七八七年春天由鄰近山谷的石匠建造的"),
        ("ISO-8859-1", "cp1252", "“masons” don’t pay 5 €"),
    ],
)
def test_one_bad_byte_of_the_charset_that_the_server_states_costs_itself_alone(
    tmp_path, charset, codec, text
):
    path = tmp_path / "a.warc"
    page = PAGE.encode().replace(b"{}", text.encode(codec) + b" \xff " + text.encode(codec))
    path.write_bytes(response(page, Content_Type=f"text/html; charset={charset}"))
    (found,) = texts(read(path))
    assert found.count(text) == 2


def test_a_page_that_unpacks_to_too_much_is_unreadable(tmp_path):
    path = tmp_path / "a.warc"
    page = gzip.compress(b"<p>" + b"x" * 100_000)
    path.write_bytes(response(page, Content_Encoding="gzip", Content_Type="text/html"))
    (found,) = read(path, limit=4096)
    assert "unpacks to more than the 4,096 bytes" in found.reason


@given(st.data())
def test_a_damaged_member_costs_only_itself(tmp_path_factory, data):
    """Law 4: whichever byte of a compressed archive is damaged, every other record is read."""
    suffix = data.draw(st.sampled_from([".gz", ".zst", ".bz2", ".xz"]))
    parts = [PACK[suffix](record(body=f"text number {n}".encode() * 20, number=n)) for n in range(5)]
    broken = data.draw(st.integers(0, 4))
    at = data.draw(st.integers(0, len(parts[broken]) - 1))
    # gzip's header has bytes that mean nothing; a checksum guards all that holds text.
    parts[broken] = parts[broken][:at] + bytes([parts[broken][at] ^ 0x55]) + parts[broken][at + 1 :]
    path = tmp_path_factory.mktemp("warc") / f"a.warc{suffix}"
    path.write_bytes(b"".join(parts))
    found = read(path)
    ids = [r.id for r in found if isinstance(r, Document)]
    assert [i for i in ids if i != f"urn:uuid:{broken}"] == [f"urn:uuid:{n}" for n in range(5) if n != broken]
    bad = [r for r in found if isinstance(r, Unreadable)]
    assert len(bad) == 1 or len(ids) == 5
    if bad and len(ids) == 4:
        assert bad[0].record == broken + 1
    for one in found:
        if isinstance(one, Document):
            assert one.text == f"text number {one.id[-1]}" * 20


@pytest.mark.parametrize("between", [b"\r\n", b"\r\n \n"])
def test_a_header_broken_within_its_address_costs_no_other_record(tmp_path, between):
    whole = response(b"<p>page</p>", number=7)
    at = whole.index(b": http://")
    path = tmp_path / "a.warc"
    path.write_bytes(record(number=0) + whole[:at] + between + whole[at:] + record(number=1))
    found = [one.id for one in read(path) if isinstance(one, Document)]
    assert found[0] == "urn:uuid:0"
    assert found[-1] == "urn:uuid:1"


def test_an_address_that_only_our_eyes_see_costs_no_other_record(tmp_path):
    """warcio's header ends before ours, at a line of other white space."""
    path = tmp_path / "a.warc"
    cut = response(b"<p>page</p>", number=1, Content_Type="text/html").replace(
        b"WARC-Target", b" \x0b\r\nWARC-Target"
    )
    path.write_bytes(record(number=0) + cut + record(number=2))
    found = read(path)
    assert [found[0].id, found[-1].id] == ["urn:uuid:0", "urn:uuid:2"]
    assert len(found) == 3


@settings(deadline=None)
@given(st.data())
def test_whatever_stands_in_a_plain_archive_the_records_before_it_are_read(tmp_path_factory, data):
    html = {"Content_Type": "text/html", "Transfer_Encoding": "chunked", "Content_Encoding": "gzip"}
    kinds = [record(body=b"text", number=7), response(b"4\r\nWiki\r\n0\r\n\r\n", number=7, **html)]
    whole = data.draw(st.sampled_from(kinds))
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    written = data.draw(st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b": ", b"9", b"\xff", b"WARC/1.0\r\n"]))
    path = tmp_path_factory.mktemp("warc") / "a.warc"
    first = [record(number=n) for n in range(2)]
    path.write_bytes(b"".join(first) + whole[:begin] + written + whole[end:])
    found = read(path)
    assert [r.id for r in found[:2]] == ["urn:uuid:0", "urn:uuid:1"]
    assert all(r.file == "a.warc" for r in found if isinstance(r, Unreadable))


@pytest.mark.parametrize("suffix", [".gz", ".zst", ""])
def test_a_truncated_archive_gives_what_came_before_and_says_so(tmp_path, suffix):
    parts = [PACK[suffix](record(body=f"text {n}".encode() * 50, number=n)) for n in range(4)]
    path = tmp_path / f"a.wet{suffix}"
    path.write_bytes(b"".join(parts)[:-40])
    *before, last = read(path)
    assert [r.id for r in before] == [f"urn:uuid:{n}" for n in range(3)]
    assert (last.file, last.record) == (path.name, 4)
    assert "in the middle" in last.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.replace(b"Content-Length: 20", b"Content-Length: 10"), "Content-Length is wrong"),
        (lambda r: r.replace(b"Content-Length: 20", b"Content-Length: 100"), "Content-Length is wrong"),
        (lambda r: r.replace(b"Content-Length: 20", b"Content-Length: x"), "no Content-Length"),
        (lambda r: r.replace(b"Content-Length: 20", b"Content-Length: 9999"), "in the middle"),
        (lambda r: r.replace(b"WARC/1.0", b"WARX/1.0"), "no WARC record begins here"),
        (lambda r: b"garbage\n" + r, "no WARC record begins here"),
        (lambda r: r.replace(b"twelve", b"\xff\xff\xff\xff\xff\xff"), "invalid UTF-8 at byte 8 of its text"),
        (lambda r: r.replace(b"WARC/1.0", b"WARC/9.0"), "cannot be parsed"),
    ],
)
def test_a_bad_record_of_a_plain_archive_costs_itself_and_says_why(tmp_path, change, reason):
    body = b"of just twelve words"
    parts = [record(body=body, number=n) for n in range(4)]
    changed = change(parts[1])
    path = tmp_path / "a.warc"
    path.write_bytes(parts[0] + changed + parts[2] + parts[3])
    found = read(path)
    # The garbage lies before a record that is whole.
    whole = range(4) if changed.startswith(b"garbage") else (0, 2, 3)
    assert [r.id for r in found if isinstance(r, Document)] == [f"urn:uuid:{n}" for n in whole]
    (bad,) = [r for r in found if isinstance(r, Unreadable)]
    assert (bad.file, bad.record) == ("a.warc", 2)
    assert reason in bad.reason


def test_a_record_that_is_too_long_is_passed_over(tmp_path):
    path = tmp_path / "a.warc.gz"
    parts = [record(body=b"x" * size, number=n) for n, size in enumerate((20, 500_000, 20))]
    path.write_bytes(b"".join(map(gzip.compress, parts)))
    one, bad, three = read(path, limit=4096)
    assert (one.id, three.id) == ("urn:uuid:0", "urn:uuid:2")
    assert "max_record_bytes allows 4,096" in bad.reason


def test_an_archive_in_one_gzip_member_or_in_many_blocks_is_read_too(tmp_path):
    data = b"".join(record(body=f"text {n}".encode() * 30, number=n) for n in range(6))
    path = tmp_path / "a.warc.gz"
    for blocks in ([data], [data[n : n + 100] for n in range(0, len(data), 100)]):
        path.write_bytes(b"".join(map(gzip.compress, blocks)))
        assert [r.id for r in read(path)] == [f"urn:uuid:{n}" for n in range(6)]


def test_a_record_without_id_or_address_is_named_by_its_place(tmp_path):
    path = tmp_path / "a.warc"
    head = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n"
    path.write_bytes(head + b"text\r\n\r\n")
    assert read(path) == [Document("a.warc:1", "a", "text", {})]


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_what_is_no_archive_says_so(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"")
    assert read(path) == []
    path.write_bytes(b"this is no archive\n" * 10)
    (found,) = read(path)
    assert isinstance(found, Unreadable)
