import pytest

from base.errors import RalmError
from lm.backends.weights import (
    DEFAULT_READER,
    Weights,
    _packaged_file,
    dequantized,
    to_convert,
    unknown_reader,
)


def test_a_gguf_is_dequantized_once(monkeypatch):
    first = Weights.find(DEFAULT_READER)

    def fail(*_: object) -> None:
        raise AssertionError("dequantized twice")

    monkeypatch.setattr("lm.backends.weights._dequantize", fail)
    assert Weights.find(DEFAULT_READER) == first


def test_a_stopped_conversion_leaves_no_half_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def half(file, target):
        target.mkdir(parents=True)
        (target / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr("lm.backends.weights._dequantize", half)
    with pytest.raises(KeyboardInterrupt):
        dequantized(_packaged_file(DEFAULT_READER))
    assert not list((tmp_path / "ralm" / "readers").iterdir())


def test_a_cache_that_cannot_be_written_is_a_sentence_before_anything_is_converted(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        "transformers.AutoModelForCausalLM.from_pretrained", lambda *_, **__: pytest.fail("converted")
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(RalmError, match="cannot be converted into"):
        dequantized(_packaged_file(DEFAULT_READER))


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(RalmError, match=r"no GGUF file .*x\.gguf"):
        Weights.find(str(tmp_path / "x.gguf"))
    with pytest.raises(RalmError, match=r"no config\.json"):
        Weights.find(str(tmp_path))
    with pytest.raises(RalmError, match="begins so: http://localhost:8000/v1"):
        Weights.find("localhost:8000/v1")


def test_a_name_that_is_none_says_where_it_was_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE=0 the hub is asked" in str(unknown_reader("no/such", "LocalEntryNotFound"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert "the hub or its local cache gives (no such model)" in str(
        unknown_reader("no/such", "no such model")
    )
    # A folder is none of the hub's.
    assert str(unknown_reader(str(tmp_path), "no JSON.")).endswith("is none of a language model (no JSON).")


def test_whether_a_reader_is_converted_first_is_known(monkeypatch, tmp_path):
    Weights.find(DEFAULT_READER)
    assert not to_convert(DEFAULT_READER)
    assert not any(map(to_convert, (str(tmp_path), "org/name", str(tmp_path / "none.gguf"))))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert to_convert(DEFAULT_READER)
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert to_convert(str(tmp_path / "x.gguf"))
