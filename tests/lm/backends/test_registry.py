import subprocess
import sys

import pytest

from base.errors import RalmError
from lm.backends.registry import open_reader, require_openable
from lm.backends.weights import DEFAULT_READER


def test_a_reader_is_opened_by_its_name_and_quantization(monkeypatch):
    monkeypatch.setattr("lm.backends.transformers_reader.TransformersReader", lambda *which: which)
    assert open_reader(DEFAULT_READER, "nf4", "an-adapter") == (DEFAULT_READER, "nf4", "an-adapter")


@pytest.mark.parametrize(
    ("name", "quantization"), [("SmolLM2-135M-Instuct", "int8"), (DEFAULT_READER, "int3")]
)
def test_what_is_plainly_no_reader_is_refused_before_one_is_loaded(monkeypatch, name, quantization):
    monkeypatch.setattr(
        "lm.backends.transformers_reader.TransformersReader", lambda *_: pytest.fail("it was loaded")
    )
    for refuse in (require_openable, open_reader):
        with pytest.raises(RalmError, match=r"did you mean|valid are"):
            refuse(name, quantization)


def test_a_command_that_may_open_one_starts_without_what_that_takes():
    heavy = "('torch', 'transformers', 'numpy')"
    code = f"import sys, lm.backends.registry; print([n for n in {heavy} if n in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
