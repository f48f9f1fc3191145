"""One question to one cited answer: search, pack, read, cite.

Where retriever and reader meet; the server, the command line and the demo ask through it.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock

from datastore.view import View
from lm.citations import Citer, cited
from lm.conditioning import Chunk, Conditioned, Conditioning, Request, Source, condition
from lm.conditioning.fitting import require_room
from lm.conditioning.wording import write
from lm.prompts import Asked
from lm.reader import Completion, Reader, Sampling, TextStream
from lm.support import Support, Write, support_of
from retriever.refusals import require_text
from retriever.results import Hit, Ranking
from retriever.retriever import Retriever
from serve.answering.finding import Find, Query, find
from serve.answering.inquiry import ONE_PARAGRAPH, Inquiry


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that was put before the reader under a number; `cited` if the answer cites it.

    `read` is what the reader saw of it, where that is more or less than its text: it was widened, or cut.
    `support`, where it was measured, is how far it supports each sentence of the answer.
    """

    number: int
    cited: bool
    hit: Hit
    read: str | None = None
    support: tuple[Support, ...] | None = None


@dataclass(frozen=True)
class Prepared:
    """A question with its passages found and its prompt written: what is left is to read.

    `write` writes the prompt of the same question and other passages.
    """

    conditioned: Conditioned
    hits: tuple[Hit, ...]
    write: Write
    sampling: Sampling = ONE_PARAGRAPH
    seconds: dict[str, float] = field(default_factory=dict)
    missing: tuple[int, ...] = ()

    @property
    def asked(self) -> Asked:
        """What the reader is asked."""
        return self.conditioned.asked

    @property
    def packed(self) -> tuple[str, ...]:
        """The passages that it sees, numbered from 1; `hits` are those that they stand for."""
        return self.conditioned.packed


@dataclass(frozen=True)
class Answer:
    """An answer with its markers, the passages the reader saw, what it took, and shards that gave none.

    `trimmed` of the passages that were found are cut or left out, as they had no room.
    """

    text: str
    citations: tuple[Citation, ...]
    completion: Completion
    seconds: dict[str, float]
    missing: tuple[int, ...] = ()
    trimmed: int = 0


class CitedStream:
    """A cited answer in pieces as they come; `citer` knows its sentences so far. Else as a TextStream."""

    def __init__(self, stream: TextStream, citer: Citer) -> None:
        self._stream, self.citer = stream, citer
        # Set by whoever wants no more of it.
        self.closed = False

    def __iter__(self) -> Iterator[str]:
        return self.citer.stream(self._stream)

    @property
    def finished(self) -> bool:
        return self._stream.finished

    def close(self) -> None:
        """Let the reader stop."""
        self.closed = True
        self._stream.close()


class Answerer:
    """A retriever (none: the LM alone) and a reader."""

    def __init__(self, retriever: Retriever | None, reader: Reader, find: Find = find) -> None:
        """`find` searches: at once, or together with what others ask."""
        self.retriever = retriever
        self.reader = reader
        self.find = find
        self._changing = Lock()

    def refresh(self) -> bool:
        """Go over to the store's current generation; whether there is a new one.

        What is being answered goes on with the generation that it began with.
        """
        before = self.retriever
        found = None if before is None else before.refreshed()
        if found is before:
            return False
        assert found is not None  # Of a store comes one.
        with self._changing:
            self.retriever = found
        return True

    def hide(self) -> None:
        """Leave out what has been taken down since, though what hides it cannot be opened, or not yet."""
        before = self.retriever
        found = None if before is None else before.hiding()
        with self._changing:
            if self.retriever is before:
                self.retriever = found

    def prepare(self, inquiry: Inquiry) -> Prepared:
        """Find passages for a question and write what the reader is asked.

        Raises RalmError for a question of white space alone, and for one that the reader cannot hold.
        """
        how, sampling = inquiry.how, inquiry.sampling
        query = inquiry.question if inquiry.query is None else inquiry.query
        require_text([inquiry.question, query])
        request = Request(inquiry.question, tuple(inquiry.history), sampling.max_tokens)
        require_room(how, request, self.reader)  # Before a search for nothing.
        started = time.perf_counter()
        found, sources = Ranking((), False), []
        retriever = self.retriever  # Once: a new generation may come between two uses of it.
        if retriever is not None and how.reads:
            search = replace(inquiry.search, k=how.passages)
            (found,) = self.find(retriever, [Query(query)], search).rankings
            sources = sources_of(found.hits, retriever, how, search.view)
        seconds = {"search": time.perf_counter() - started}
        written = condition(how, request, sources, self.reader)
        hits = tuple(found.hits[block.rank] for block in written.blocks)
        sampling = replace(sampling, stop=(*sampling.stop, *how.stops))
        return Prepared(written, hits, partial(write, how, request), sampling, seconds, found.missing)

    def ask(self, inquiry: Inquiry, support: bool = False) -> Answer:
        """Answer a question, with markers behind the sentences that a passage supports.

        `support`: how far each passage does is measured.
        """
        return self.answer(self.prepare(inquiry), support)

    def answer(self, prepared: Prepared, support: bool = False) -> Answer:
        """The cited answer to a prepared question."""
        started = time.perf_counter()
        (completion,) = self.reader.generate([prepared.asked], prepared.sampling)
        seconds = prepared.seconds | {"generate": time.perf_counter() - started}
        citer = Citer(prepared.packed)
        text = citer.cite(completion.text)
        citations, trimmed = self.citations(prepared, citer, support), prepared.conditioned.trimmed
        if support:
            seconds["support"] = time.perf_counter() - started - seconds["generate"]
        return Answer(text, citations, completion, seconds, prepared.missing, trimmed)

    def stream(self, prepared: Prepared) -> CitedStream:
        """The cited answer to a prepared question, in pieces."""
        return CitedStream(self.reader.stream(prepared.asked, prepared.sampling), Citer(prepared.packed))

    def citations(self, prepared: Prepared, citer: Citer, support: bool = False) -> tuple[Citation, ...]:
        """The numbered passages behind a cited answer, and which of them its sentences cite.

        `support`: how far each supports them is measured, which takes the reader a pass over each.
        """
        used = cited(citer.claims)
        blocks, hits = prepared.conditioned.blocks, prepared.hits
        measured: Sequence[tuple[Support, ...] | None] = [None] * len(hits)
        if support and hits:
            measured = support_of(citer, prepared.packed, prepared.write, self.reader)
        return tuple(
            Citation(block.number, block.number in used, hit, _unlike(block.text, hit), one)
            for block, hit, one in zip(blocks, hits, measured, strict=True)
        )


def _unlike(read: str, hit: Hit) -> str | None:
    return None if read == hit.passage.text else read


def source_of(hit: Hit) -> Source:
    """A hit as the reader sees it: the document's title, if its metadata has one, and the text."""
    title = hit.passage.metadata.get("title")
    return Source(title if isinstance(title, str) else "", hit.passage.text, hit.score)


def sources_of(
    hits: Sequence[Hit], retriever: Retriever, how: Conditioning, view: View = View()
) -> list[Source]:
    """Hits as a conditioning takes them, with the chunks of the view around them if it widens them."""
    return [
        _with_neighbours(hit, retriever, how.neighbours, view) if how.neighbours else source_of(hit)
        for hit in hits
    ]


def _with_neighbours(hit: Hit, retriever: Retriever, reach: int, view: View) -> Source:
    passage = hit.passage
    around = tuple(Chunk(one.chunk, one.start, one.text) for one in retriever.around(hit, reach, view))
    document = (hit.store, passage.domain, passage.doc_id)
    return replace(source_of(hit), document=document, chunk=passage.chunk, around=around)
