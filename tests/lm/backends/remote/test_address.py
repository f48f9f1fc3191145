import pytest

from base.errors import RalmError
from lm.backends.remote.address import Address, is_address, root


def test_a_name_holds_replicas_settings_and_a_model():
    found = Address.of(
        "http://a:8000/v1, https://b/v1/,http://a:8000/v1?context=8192&start=%3Cs%3E&timeout=30#org/lm"
    )
    assert found.urls == ("http://a:8000/v1", "https://b/v1")
    assert (found.model, found.context, found.start, found.timeout) == ("org/lm", 8192, "<s>", 30)
    plain = Address.of("http://localhost:8000")
    assert plain == Address(("http://localhost:8000/v1",))


def test_a_start_is_written_as_it_is():
    assert Address.of("http://a/v1?start=<|im_start|>").start == "<|im_start|>"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http://", "no address"),
        ("http://a/v1,", "no address"),
        ("http://a/v1,ftp://b", "no address"),
        ("http://a:port/v1", "no address"),
        ("http://a/v1/chat/completions", "end its address before it"),
        ("http://a/v1?contxt=1", "did you mean context"),
        ("http://a/v1?context=no", "at least 1, not 'no'"),
        ("http://a/v1?timeout=inf", "at least 1, not 'inf'"),
    ],
)
def test_what_is_no_address_is_refused(name, said):
    with pytest.raises(RalmError, match=said):
        Address.of(name)


def test_a_password_is_refused_and_not_repeated():
    with pytest.raises(RalmError, match="RALM_READER_KEY") as error:
        Address.of("http://me:secret@a/v1")
    assert "secret" not in str(error.value)


def test_only_urls_are_addresses():
    assert is_address("https://a/v1")
    assert is_address("HTTP://a/v1")
    assert not is_address("SmolLM2-135M-Instruct")
    assert not is_address("org/http")


def test_own_routes_begin_beside_openais():
    assert root("http://a:8000/v1") == "http://a:8000"
    assert root("http://a/openai") == "http://a/openai"
