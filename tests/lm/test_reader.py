from base.errors import Unavailable
from lm.reader import ReaderStopped, TextStream


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
