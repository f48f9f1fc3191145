import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers.web.http import NoResponse, Response

PAGE = b"<html><p>The old stone bridge was built in 1787.</p></html>"


def chunked(body, size=7, end=b"\r\n", last=b"0\r\n\r\n", extension=b""):
    parts = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x%b\r\n%b%b" % (len(part), extension, part, end) for part in parts) + last


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/1.0 404 Not Found", 404),
        (b"HTTP/2 200", 200),
        (b"HTTP/2 200 ", 200),
        (b"HTTP/2.0 200 OK", 200),
        (b"HTTP/3 200", 200),
        (b"http/1.1 301", 301),
        (b"HTTP/1.1  200  OK", 200),
        (b"HTTP 200 OK", 200),
        (b"HTTP/1.1 200OK", 200),
    ],
)
def test_the_status_of_any_version_with_or_without_a_reason(line, status):
    for end in (b"\r\n", b"\n"):
        response = Response.parse(end.join((line, b"Content-Type: text/html", b"", PAGE)))
        assert (response.status, response.content_type, response.body) == (status, "text/html", PAGE)


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"<html>", b"HTTP/1.1 OK", b"HTTP/1.1 2000", b"GET / HTTP/1.1"]
)
def test_what_is_no_response_says_so(data):
    with pytest.raises(NoResponse):
        Response.parse(data)


def test_fields_are_found_however_they_are_written():
    head = b"CONTENT-type : text/html;\r\n\tcharset=gbk\r\nno colon\r\nX: a\r\nx: b\xe9\r\n \t\r\n"
    response = Response.parse(b"HTTP/1.1 200\r\n" + head + PAGE)
    assert response.content_type == "text/html; charset=gbk"
    assert response.fields["x"] == ["a", "b\xe9"]
    assert response.body == PAGE
    assert Response.parse(b"HTTP/1.1 200 OK").content_type == ""


def content(body, **fields):
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return Response.parse(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body).content(1 << 20)


@given(st.binary(max_size=200).map(lambda data: PAGE + data), st.integers(1, 100))
def test_chunks_are_joined_and_what_is_none_stays(page, size):
    for coded in (
        chunked(page, size),
        chunked(page, size, extension=b" ;x=y"),
        chunked(page, size, last=b""),
    ):
        assert content(coded, Transfer_Encoding="chunked") == page
    assert content(page, Transfer_Encoding="chunked") == page
    assert content(chunked(page, size, last=b"0\r\nTrailer: x\r\n\r\n"), Transfer_Encoding="Chunked") == page


def test_what_lies_behind_bad_chunks_is_not_lost():
    assert content(b"5\r\n<html\r\nxyz" + PAGE, Transfer_Encoding="chunked") == b"<htmlxyz" + PAGE
    assert content(b"ffff\r\n" + PAGE, Transfer_Encoding="chunked") == PAGE


def test_codings_of_transfer_and_content_are_undone_in_their_order():
    packed = gzip.compress(PAGE)
    assert content(chunked(packed), Transfer_Encoding="gzip, chunked") == PAGE
    assert (
        content(chunked(gzip.compress(packed)), Transfer_Encoding="gzip, chunked", Content_Encoding="gzip")
        == PAGE
    )
    assert content(packed, Transfer_Encoding="chunked", Content_Encoding="GZIP") == PAGE
    assert content(PAGE, Transfer_Encoding="chunked", Content_Encoding="br") == PAGE
