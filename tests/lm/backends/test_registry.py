import subprocess
import sys

import pytest

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.backends.weights import DEFAULT_READER


def test_a_reader_is_opened_by_what_is_chosen(monkeypatch):
    monkeypatch.setattr("lm.backends.transformers_reader.TransformersReader", lambda choice: choice)
    choice = ReaderChoice(DEFAULT_READER, "nf4", device="cpu")
    assert open_reader(choice) is choice


@pytest.mark.parametrize(
    ("name", "quantization"), [("SmolLM2-135M-Instuct", "int8"), (DEFAULT_READER, "int3")]
)
def test_what_is_plainly_no_reader_is_refused_before_one_is_loaded(monkeypatch, name, quantization):
    monkeypatch.setattr(
        "lm.backends.transformers_reader.TransformersReader", lambda *_: pytest.fail("it was loaded")
    )
    for refuse in (ReaderChoice.require, open_reader):
        with pytest.raises(RalmError, match=r"did you mean|valid are"):
            refuse(ReaderChoice(name, quantization))


def test_a_command_that_may_open_one_starts_without_what_that_takes():
    heavy = "('torch', 'transformers', 'numpy')"
    code = f"import sys, lm.backends.registry; print([n for n in {heavy} if n in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_an_address_opens_a_remote_reader(monkeypatch):
    monkeypatch.setattr("lm.backends.remote.remote_reader.RemoteReader", lambda name: name)
    assert open_reader(ReaderChoice("http://a:8000/v1#tiny")) == "http://a:8000/v1#tiny"


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ReaderChoice("http://a/v1", "nf4"), "leave --quantization out"),
        (ReaderChoice("http://a/v1", adapter="x", device="cpu"), "leave --adapter and --reader-device out"),
        (ReaderChoice("http://a/v1", allow_pickle=True), "leave --allow-pickle out"),
        (ReaderChoice("http://a/v1?contxt=5"), "did you mean context"),
    ],
)
def test_what_a_server_decides_itself_is_refused(choice, said):
    with pytest.raises(RalmError, match=said):
        open_reader(choice)
