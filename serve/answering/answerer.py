"""One question to one cited answer: search, pack, read, cite.

Where retriever and reader meet; the server, the command line and the demo ask through it.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from threading import Lock

from datastore.view import View
from lm.citations import Citer, cited
from lm.conditioning import Chunk, Conditioning, Request, Source, condition
from lm.conditioning.fitting import require_room
from lm.conditioning.wording import write
from lm.reader import Completion, Reader, Sampling, TextStream
from lm.support import Support, support_of
from lm.tool_calls import calls_in
from retriever.refusals import require_text
from retriever.results import Hit, Ranking
from retriever.retriever import Retriever
from serve.answering.answers import (
    UNSUPPORTED,
    Answer,
    Citation,
    CitedStream,
    Prepared,
    Searched,
    close_all,
    unsupported,
)
from serve.answering.finding import Find, Query, find
from serve.answering.inquiry import Inquiry
from serve.answering.limits import Limits
from serve.answering.places import part_of
from serve.answering.queries import query_of
from serve.answering.timings import read


class Answerer:
    """A retriever (none: the LM alone) and a reader."""

    def __init__(self, retriever: Retriever | None, reader: Reader, find: Find = find) -> None:
        """`find` searches: at once, or together with what others ask."""
        self.retriever = retriever
        self.reader = reader
        self.find = find
        # What one request may ask for.
        self.limits = Limits()
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
        self.limits.require_tokens(sampling.max_tokens)
        query = query_of(inquiry.question, inquiry.history) if inquiry.query is None else inquiry.query
        searches = self.retriever is not None and how.reads
        require_text([*([] if inquiry.plain else [inquiry.question]), *([query] if searches else [])])
        request = _request(inquiry)
        require_room(how, request, self.reader)  # Before a search for nothing.
        found, sources, searched, seconds = Ranking((), False), [], None, dict[str, float]()
        # Once: a new generation may come between two uses of it.
        retriever = part_of(self.retriever, inquiry.stores) if inquiry.stores else self.retriever
        if retriever is not None and how.reads:
            search = replace(inquiry.search, k=how.passages)
            searched = Searched(query, retriever.hash, search)
            each = self.find(retriever, [Query(query)], search)
            (found,), seconds = each.rankings, dict(each.seconds)
            found = _above(found, inquiry.least_score)
        started = time.perf_counter()
        if retriever is not None:
            sources = sources_of(found.hits, retriever, how, inquiry.search.view)
        written = condition(how, request, sources, self.reader)
        seconds["prompt"] = time.perf_counter() - started
        hits = tuple(found.hits[block.rank] for block in written.blocks)
        sampling = replace(sampling, stop=(*sampling.stop, *how.stops))
        again = partial(write, how, request)
        prepared = Prepared(written, hits, again, sampling, seconds, found.missing, searched)
        return replace(prepared, found=found.hits, markers=inquiry.markers)

    def ask(self, inquiry: Inquiry, support: bool = False) -> Answer:
        """Answer a question, with markers behind the sentences that a passage supports.

        `support`: how far each passage does is measured.
        """
        return self.answer(self.prepare(inquiry), support)

    def answer(self, prepared: Prepared, support: bool = False) -> Answer:
        """The cited answer to a prepared question."""
        (answer,) = self.answers(prepared, 1, support)
        return answer

    def answers(self, prepared: Prepared, n: int, support: bool = False) -> list[Answer]:
        """So many cited answers to a prepared question, each drawn by a seed of its own."""
        started = time.perf_counter()
        (completions,) = self.completed([prepared], n)
        seconds = read(prepared.seconds, completions, time.perf_counter() - started)
        return [self._cited(prepared, one, support, seconds) for one in completions]

    def completed(self, some: Sequence[Prepared], n: int) -> list[list[Completion]]:
        """So many texts [prepared][n] behind each of several prompts that are continued alike."""
        if all(one.unsupported for one in some):
            return [[UNSUPPORTED] * n for _ in some]
        asked = [one.asked for one in some]
        contexts = [copy_context() for _ in range(n)]  # They say who asks.
        with ThreadPoolExecutor(n) as pool:  # Asked at once, they are read together.
            each = list(
                pool.map(
                    lambda context, sampling: context.run(self.reader.generate, asked, sampling),
                    contexts,
                    _seeded(some[0].sampling, n),
                )
            )
        return [list(texts) for texts in zip(*each, strict=True)]

    def _cited(
        self, prepared: Prepared, completion: Completion, support: bool, seconds: dict[str, float]
    ) -> Answer:
        started = time.perf_counter()
        citer = citer_of(prepared)
        written, calls = calls_in(completion.text) if prepared.calls_tools else (completion.text, ())
        text = citer.cite(written)
        citations, trimmed = self.citations(prepared, citer, support), prepared.conditioned.trimmed
        if support:
            seconds = seconds | {"support": time.perf_counter() - started}
        marks = tuple(citer.marks)
        return Answer(text, citations, completion, seconds, prepared.missing, trimmed, marks, calls)

    def stream(self, prepared: Prepared) -> CitedStream:
        """The cited answer to a prepared question, in pieces."""
        (stream,) = self.streams(prepared, 1)
        return stream

    def streams(self, prepared: Prepared, n: int) -> list[CitedStream]:
        """As `answers`, in pieces: all are begun, whichever is read first."""
        some: list[CitedStream] = []
        try:
            for sampling in _seeded(prepared.sampling, n):
                stream = self._stream(prepared, sampling)
                some.append(CitedStream(stream, citer_of(prepared), prepared.calls_tools))
        except BaseException:
            close_all(some)
            raise
        return some

    def _stream(self, prepared: Prepared, sampling: Sampling) -> TextStream:
        return unsupported() if prepared.unsupported else self.reader.stream(prepared.asked, sampling)

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


def _request(inquiry: Inquiry) -> Request:
    return Request(
        inquiry.question,
        tuple(inquiry.history),
        inquiry.sampling.max_tokens,
        tuple(inquiry.following),
        inquiry.tools,
        inquiry.bare,
        inquiry.plain,
        inquiry.tokens,
    )


def _above(ranking: Ranking, least: float | None) -> Ranking:
    """A ranking without hits of a lower score."""
    if least is None:
        return ranking
    return replace(ranking, hits=tuple(hit for hit in ranking.hits if hit.score >= least))


def _seeded(sampling: Sampling, n: int) -> list[Sampling]:
    """How each of n texts is drawn: by seeds that follow each other, if there is one."""
    if sampling.seed is None:
        return [sampling] * n
    return [replace(sampling, seed=sampling.seed + at) for at in range(n)]


def citer_of(prepared: Prepared) -> Citer:
    """What cites the answer to a prepared question: JSON, and what is to be verbatim, get no marker."""
    sampling = prepared.sampling
    if sampling.schema is not None or sampling.verbatim:
        return Citer(prepared.packed, "untouched")
    return Citer(prepared.packed, "ours" if prepared.markers else "none")


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
