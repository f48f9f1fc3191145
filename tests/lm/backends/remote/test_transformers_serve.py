"""A real server: `transformers serve` with the packaged reader. It takes half a minute to start."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.remote.remote_reader import RemoteReader
from lm.backends.transformers_reader import TransformersReader
from lm.backends.weights import DEFAULT_READER, Weights
from lm.prompts import Message, Prompt
from lm.reader import Continuation, Sampling

pytestmark = pytest.mark.long

PROMPTS = [
    Prompt.of([Message("user", "What is the capital of France?")]),
    Prompt.of([Message("system", "Answer in one word."), Message("user", "Who wrote Hamlet?")]),
    Prompt.of([Message("user", "Count to twenty.")]),
    Prompt(text="The capital of France is"),
]


@pytest.fixture(scope="module")
def remote(tmp_path_factory) -> Iterator[RemoteReader]:
    folder = Weights.find(DEFAULT_READER).path
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [Path(sys.executable).parent / "transformers", "serve", folder, "--host", "127.0.0.1"]
    more = ["--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with log.open("w") as out:
        process = subprocess.Popen([*command, *more], stdout=out, stderr=out, env=os.environ)
    try:
        answers(f"http://127.0.0.1:{port}/health", process, log)
        yield RemoteReader(f"http://127.0.0.1:{port}/v1#{folder}")
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str, process: subprocess.Popen, log: Path) -> None:
    """Wait until a server answers."""
    for _ in range(1200):
        assert process.poll() is None, log.read_text()
        try:
            urlopen(url).close()
        except URLError:
            Event().wait(0.2)
        else:
            return
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def local() -> TransformersReader:
    found = TransformersReader(ReaderChoice(DEFAULT_READER, "none", device="cpu"))
    found._model.float()
    return found


def test_its_greedy_texts_are_those_of_the_reader_in_this_process(remote, local):
    sampling = Sampling(24)
    wanted = local.generate(PROMPTS, sampling)
    found = remote.generate(PROMPTS, sampling)
    assert [one.text for one in found] == [one.text for one in wanted]
    assert [one.finished for one in found] == [one.finished for one in wanted]
    assert [one.prompt_tokens for one in found] == [one.prompt_tokens for one in wanted]


def test_what_it_streams_is_what_it_generates(remote):
    for prompt in PROMPTS[:2]:
        (whole,) = remote.generate([prompt], Sampling(24))
        stream = remote.stream(prompt, Sampling(24))
        assert "".join(stream).strip() == whole.text
        assert stream.finished == whole.finished


def test_it_cannot_score_and_is_refused_with_a_sentence(remote):
    with pytest.raises(RalmError, match=r"cannot score|does not answer"):
        remote.loglikelihood([Continuation(PROMPTS[-1], " Paris")])


def test_a_model_that_it_does_not_have_is_refused_in_its_words(remote):
    url = remote._exchange.address.urls[0]
    with pytest.raises(RalmError, match="nobody/nothing"):
        RemoteReader(f"{url}#nobody/nothing").generate([PROMPTS[0]], Sampling(2))
