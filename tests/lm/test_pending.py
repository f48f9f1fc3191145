from threading import Thread

import pytest

from base.errors import RalmError
from lm.pending import Asker, Pending
from lm.prompts import Prompt
from lm.reader import Completion, ReaderStopped, Sampling, Took

ASKED = Prompt(text="Who?"), Sampling()
DONE = Completion("Ansel Mirn", 2, 2, False)


def test_pieces_reach_whoever_asked_in_their_order():
    pending = Pending(*ASKED)
    stream = pending.stream()

    def read() -> None:
        for piece in ("Ansel", "", " Mirn"):
            pending.put(piece)
        pending.end(DONE)

    reading = Thread(target=read)
    reading.start()
    assert list(stream) == ["Ansel", " Mirn"]
    reading.join()
    assert not stream.finished
    assert pending.begun


def test_what_goes_wrong_is_raised_where_it_is_waited_for():
    pending = Pending(*ASKED)
    pending.end(RalmError("no room"))
    pending.end(DONE)  # The first end counts.
    with pytest.raises(RalmError, match="no room"):
        pending.completion()


def test_a_stream_that_is_left_is_wanted_no_more():
    pending = Pending(*ASKED)
    pending.put("Ansel")
    stream = pending.stream()
    assert next(iter(stream)) == "Ansel"
    assert pending.wanted
    stream.close()
    assert not pending.wanted


def test_a_thread_that_waits_for_a_piece_goes_on_when_the_stream_is_left():
    pending = Pending(*ASKED)
    stream, found = pending.stream(), []
    waiting = Thread(target=lambda: found.append(list(stream)))
    waiting.start()
    stream.close()
    waiting.join(60)
    assert found == [[]]
    assert not stream.finished


def test_the_seconds_of_a_text_are_those_it_waited_was_read_and_was_written(monkeypatch):
    now = [10.0]
    monkeypatch.setattr("lm.pending.time.perf_counter", lambda: now[0])
    pending = Pending(Prompt("Who?"), Sampling())
    now[0] = 12.0
    pending.reading()
    now[0] = 13.0
    pending.reading()  # Once more, alone: the first time was waited for nothing.
    now[0] = 17.0
    pending.writing()
    now[0] = 18.0
    pending.writing()
    now[0] = 25.0
    assert pending.took == Took(3.0, 4.0, 8.0)


def test_a_text_that_nobody_read_has_waited(monkeypatch):
    now = [10.0]
    monkeypatch.setattr("lm.pending.time.perf_counter", lambda: now[0])
    pending = Pending(Prompt("Who?"), Sampling())
    now[0] = 12.0
    assert pending.took == Took(2.0, 0.0, 0.0)


def test_once_whoever_asks_has_gone_nothing_is_wanted_any_more():
    asker = Asker()
    first = asker.ask(Pending, *ASKED)
    other = Pending(*ASKED)
    asker.leave()
    late = asker.ask(Pending, *ASKED)
    assert (first.wanted, other.wanted, late.wanted) == (False, True, False)
    with pytest.raises(ReaderStopped, match="gone"):
        first.completion()
