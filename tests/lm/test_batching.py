"""A tiny model asked by many threads at once."""

import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from base.errors import Busy, RalmError, Unavailable
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.batches import Room
from lm.batching import BatchingReader, together
from lm.pending import Asker
from lm.prompts import Ensemble, Prompt
from lm.reader import Continuation, ReaderStopped, Sampling
from tests.lm.models import tiny_model

TEXTS = [
    "The old bridge",
    "Who built the old bridge, and of what stone, in the year of the flood?",
    "Blue glass is",
    "The river runs by the market",
]
SAMPLINGS = [
    Sampling(9),
    Sampling(5, temperature=1.2, seed=3),
    Sampling(14, stop=("e",)),
    Sampling(3, verbatim=True),
]
# Every text with every sampling, and some ensembles
ASKED = [(Prompt(text=text), how) for text in TEXTS for how in SAMPLINGS] + [
    (Ensemble((Prompt(text=TEXTS[0]), Prompt(text=text)), (0.4, 0.6)), Sampling(6)) for text in TEXTS[1:]
]


class Watched(TransformersReader):
    """Notes the batches, and waits before each pass for a word to go on."""

    def __init__(self, folder: str) -> None:
        super().__init__(ReaderChoice(folder, "none"))
        self._model.float()
        self.batches: list[int] = []
        self.most = 0
        self.go, self.begun = Event(), Event()
        self.go.set()
        self.fails: str | None = None

    def read(self, drafts, more=lambda reading: []):
        self.batches.append(len(drafts))

        def watched(reading):
            self.begun.set()
            assert self.go.wait(60)
            joining = more(reading)
            self.most = max(self.most, len(reading) + len(joining))
            if self.fails and any(one.pending.asked.text == self.fails for one in [*reading, *joining]):
                raise MemoryError("no room for it")
            return joining

        super().read(drafts, watched)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny_model(tmp_path_factory.mktemp("llama")))


@pytest.fixture
def inner(folder):
    return Watched(folder)


@pytest.fixture
def reader(inner):
    found = BatchingReader(inner)
    yield found
    inner.go.set()
    found.stop()
    found._thread.join()


def held(inner, reader):
    """A stream that is being read, and is held before its second token."""
    inner.go.clear()
    inner.begun.clear()
    stream = reader.stream(Prompt(text="The town"), Sampling(40))
    assert inner.begun.wait(60)
    return stream


def waiting(reader, count):
    """Wait until so many stand in the line."""
    while len(reader._line) < count:
        Event().wait(0.001)


def test_each_of_many_gets_what_it_gets_alone(folder, inner, reader):
    alone = Watched(folder)
    expected = [alone.generate([asked], how)[0] for asked, how in ASKED]
    stream = held(inner, reader)
    with ThreadPoolExecutor(len(ASKED)) as pool:
        found = [pool.submit(reader.generate, [asked], how) for asked, how in ASKED]
        waiting(reader, len(ASKED))
        inner.go.set()
        assert [one.result()[0] for one in found] == expected
    assert "".join(stream).strip() == alone.generate([Prompt(text="The town")], Sampling(40))[0].text
    assert inner.most > 10


def test_streams_of_one_batch_each_get_their_pieces(folder, inner, reader):
    first = held(inner, reader)
    streams = [reader.stream(Prompt(text=text), Sampling(12)) for text in TEXTS]
    inner.go.set()
    found = ["".join(stream).strip() for stream in streams]
    alone = Watched(folder)
    assert found == [alone.generate([Prompt(text=text)], Sampling(12))[0].text for text in TEXTS]
    assert inner.batches == [1]  # All have joined.
    assert not any(stream.finished for stream in streams)
    first.close()


def test_a_stream_that_is_left_frees_its_row(inner, reader):
    left = held(inner, reader)
    other = reader.stream(Prompt(text=TEXTS[0]), Sampling(30))
    left.close()
    inner.go.set()
    assert len(list(other)) > 1
    gone = reader.stream(Prompt(text=TEXTS[0]), Sampling(30))
    gone.close()
    assert reader.generate([Prompt(text=TEXTS[1])], Sampling(3))[0].tokens == 3


def test_a_prompt_that_is_too_long_costs_itself_alone(inner, reader):
    held(inner, reader)
    with pytest.raises(RalmError, match="shorten the prompt"):
        reader.generate([Prompt(text="glass " * 400)], Sampling(8))
    with pytest.raises(RalmError, match="shorten the prompt"):
        reader.stream(Prompt(text="glass " * 400), Sampling(8))
    inner.go.set()
    assert reader.generate([Prompt(text="Glass")], Sampling(8))[0].tokens == 8


def test_a_request_that_fails_does_not_take_the_others_of_its_batch_with_it(folder, inner, reader):
    inner.fails = TEXTS[2]
    alone = Watched(folder)
    held(inner, reader).close()
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(reader.generate, [Prompt(text=text)], Sampling(9)) for text in TEXTS]
        waiting(reader, len(TEXTS))
        inner.go.set()
        for text, one in zip(TEXTS, found, strict=True):
            if text == inner.fails:
                assert "memory does not suffice" in str(one.exception())
            else:
                assert one.result() == alone.generate([Prompt(text=text)], Sampling(9))


def test_what_a_failed_batch_computed_is_gone_when_its_requests_are_read_alone(inner, reader):
    computed, there, alone = [], [], inner.read

    def read(drafts, more=lambda reading: []):
        if len(drafts) > 1:
            states = Event()
            computed.append(weakref.ref(states))
            raise MemoryError("no room for it")
        there.append(computed[0]() is not None)
        alone(drafts, more)

    inner.read = read
    found = reader.generate([Prompt(text=TEXTS[0]), Prompt(text=TEXTS[2])], Sampling(2))
    assert [one.tokens for one in found] == [2, 2]
    assert there == [False, False]


def test_who_scores_waits_for_the_batch_that_is_read_and_for_no_other(inner, reader):
    score = inner.loglikelihood
    inner.loglikelihood = lambda asked: (score(asked), inner.batches.append(0))[0]
    stream = held(inner, reader)
    with ThreadPoolExecutor(1) as pool:
        scored = pool.submit(reader.loglikelihood, [Continuation(Prompt(text=TEXTS[0]), " is old.")])
        while not reader._scorers:
            Event().wait(0.001)
        later = reader.stream(Prompt(text=TEXTS[1]), Sampling(3))
        inner.go.set()
        assert "".join(later)
        assert len(scored.result()) == 1
    assert "".join(stream)
    # Who came later has not joined the first batch, nor gone before who scores.
    assert inner.batches == [1, 0, 1]


def test_more_than_may_wait_are_refused(inner):
    inner.room = Room(1, 10_000)
    reader = BatchingReader(inner, waiting=2)
    stream = held(inner, reader)
    two = [reader.stream(Prompt(text=text), Sampling(2)) for text in TEXTS[:2]]
    with pytest.raises(Unavailable, match="2 requests wait for the reader already: ask again a little later"):
        reader.stream(Prompt(text=TEXTS[2]), Sampling(2))
    # One who leaves makes room.
    stream.close()
    inner.go.set()
    assert all("".join(one) for one in two)
    assert inner.batches == [1, 1, 1]
    reader.stop()


def test_what_one_asks_for_at_once_does_not_turn_itself_away(inner):
    inner.room = Room(1, 10_000)
    reader, asker = BatchingReader(inner, waiting=2), Asker()
    stream = held(inner, reader)
    mine = [asker.ask(reader.stream, Prompt(text=text), Sampling(2)) for text in (*TEXTS[:2], *TEXTS[:2])]
    with pytest.raises(Busy, match="4 requests wait"):
        Asker().ask(reader.stream, Prompt(text=TEXTS[2]), Sampling(2))
    stream.close()
    inner.go.set()
    assert all("".join(one) for one in mine)
    reader.stop()


def test_stop_ends_what_is_read_what_waits_and_what_comes(inner):
    inner.room = Room(1, 10_000)
    reader = BatchingReader(inner)
    stream = held(inner, reader)
    line = reader.stream(Prompt(text=TEXTS[0]), Sampling(2))
    reader.stop()
    inner.go.set()
    for one in (stream, line):
        with pytest.raises(ReaderStopped):
            list(one)
    with pytest.raises(ReaderStopped):
        reader.generate([Prompt(text=TEXTS[0])], Sampling(2))
    reader._thread.join()


def test_whoever_waits_for_a_reader_that_stops_does_not_wait_for_its_pass(inner):
    inner.room = Room(1, 10_000)
    reader = BatchingReader(inner)
    stream = held(inner, reader)
    line = reader.stream(Prompt(text=TEXTS[0]), Sampling(2))
    reader.stop()
    for one in (stream, line):
        with pytest.raises(ReaderStopped):
            list(one)
    assert not inner.go.is_set()  # The model is in its pass still.
    inner.go.set()
    reader._thread.join()


def test_it_is_the_reader_that_it_holds_in_all_else(inner, reader):
    assert together(inner).name == reader.name == inner.name
    assert together(object()) is not None  # type: ignore[arg-type]
    for one in ("quantization", "adapter", "measured_bytes", "context_tokens"):
        assert getattr(reader, one) == getattr(inner, one)
    prompt = Prompt(text=TEXTS[0])
    assert reader.prompt_tokens(prompt) == inner.prompt_tokens(prompt)
    scored = [Continuation(prompt, " is old.")]
    assert reader.loglikelihood(scored) == inner.loglikelihood(scored)
    assert reader.loglikelihood_rolling(TEXTS) == inner.loglikelihood_rolling(TEXTS)
