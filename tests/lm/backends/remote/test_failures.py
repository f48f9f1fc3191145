from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from base.errors import RalmError
from lm.backends.remote.failures import Broken, Rejected, is_html, message, require_ok, retry_after

URL = "http://a/v1/completions"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "too  long", "code": 400}}', "too long"),
        (b'{"object": "error", "message": "no model"}', "no model"),
        (b'{"detail": [{"msg": "field required"}, {"msg": "no int"}]}', "field required; no int"),
        (b'{"error": "short"}', "short"),
        (b"{}", ""),
        (b"plain\nwords", "plain words"),
        (b"<html><p>x", "HTML"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 100_000, "[" * 300 + " …"),
    ],
)
def test_a_servers_words_are_found_wherever_it_keeps_them(body, said):
    assert message(body) == said


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_passes_may_be_tried_again(code):
    with pytest.raises(Broken) as broken:
        require_ok(URL, code, {"retry-after": "7"}, b'{"error": "busy"}')
    assert (broken.value.came, broken.value.after) == (f"HTTP {code}: busy", 7)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (400, r"a/v1/completions refuses the request \(HTTP 400: no\)"),
        (401, "RALM_READER_KEY"),
        (404, r"HTTP 404"),
        (501, r"HTTP 501"),
        (307, "another address .*http://b"),
    ],
)
def test_what_does_not_pass_is_refused_in_the_servers_words(code, said):
    with pytest.raises(Rejected, match=said) as rejected:
        require_ok(URL, code, {"location": "http://b"}, b'{"error": "no"}')
    assert rejected.value.status == code
    assert isinstance(rejected.value, RalmError)


def test_a_right_answer_is_none_of_these():
    require_ok(URL, 200, {}, b"")


def test_a_server_says_seconds_or_a_date():
    assert retry_after("3") == 3
    assert retry_after("") == retry_after("soon") == retry_after("-5") == 0
    soon = datetime.now(UTC) + timedelta(seconds=50)
    assert 40 < retry_after(format_datetime(soon, usegmt=True)) <= 50
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_pages_are_known_by_their_kind_or_their_beginning():
    assert is_html(b"", "text/html")
    assert is_html(b"\n <!DOCTYPE HTML>")
    assert not is_html(b'{"text": "<html>"}', "application/json")
