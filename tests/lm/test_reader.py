import math

import pytest

from base.errors import Unavailable
from lm.reader import Likelihood, ReaderStopped, TextStream, bits_per_byte, perplexity


def test_a_stream_gives_its_pieces_once_and_is_finished_unless_it_is_said_otherwise():
    stream = TextStream(iter(["Blue ", "glass."]), lambda: None)
    assert stream.finished
    assert "".join(stream) == "Blue glass."
    assert list(stream) == []


def test_a_stream_that_is_closed_stops_its_model_and_no_other():
    stopped = []
    streams = [TextStream(iter(["a", "b"]), lambda n=n: stopped.append(n)) for n in range(2)]
    next(iter(streams[1]))
    streams[1].close()
    assert stopped == [1]


def test_a_reader_that_stops_is_asked_again_later():
    assert issubclass(ReaderStopped, Unavailable)


def test_perplexity_is_weighted_by_tokens_and_bits_by_bytes():
    scored = [Likelihood((-1.0, -2.0, -3.0), False, 12), Likelihood((-4.0,), True, 2)]
    assert perplexity(scored) == pytest.approx(math.exp(10 / 4))
    assert bits_per_byte(scored) == pytest.approx(10 / math.log(2) / 14)
    assert math.isnan(perplexity([]))
    assert math.isnan(bits_per_byte([]))
