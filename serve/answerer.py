"""One question to one cited answer: search, pack, read, cite.

Where retriever and reader meet; the server, the command line and the demo ask through it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from lm.citations import cite, cite_stream, cited
from lm.conditioning import DEFAULT_BUDGET, DEFAULT_PASSAGES, Source, conversation, pack
from lm.prompts import Message, Prompt
from lm.reader import Completion, Reader, Sampling, TextStream
from retriever.refusals import require_text
from retriever.request import Search
from retriever.results import Hit, Ranking
from retriever.retriever import Retriever

# A small model that has answered goes on to another paragraph, about nothing.
ONE_PARAGRAPH = Sampling(stop=("\n\n",))


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that was put before the reader under a number; `cited` if the answer cites it."""

    number: int
    cited: bool
    hit: Hit


@dataclass(frozen=True)
class Prepared:
    """A question with its passages found and its prompt written: what is left is to read."""

    prompt: Prompt
    packed: tuple[str, ...]
    hits: tuple[Hit, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    missing: tuple[int, ...] = ()


@dataclass(frozen=True)
class Answer:
    """An answer with its markers, the passages the reader saw, what it took, and shards that gave none."""

    text: str
    citations: tuple[Citation, ...]
    completion: Completion
    seconds: dict[str, float]
    missing: tuple[int, ...] = ()


class Answerer:
    """A retriever (none: the LM alone) and a reader."""

    def __init__(self, retriever: Retriever | None, reader: Reader) -> None:
        self.retriever = retriever
        self.reader = reader
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

    def prepare(
        self,
        question: str,
        passages: int = DEFAULT_PASSAGES,
        budget: int = DEFAULT_BUDGET,
        history: Sequence[Message] = (),
    ) -> Prepared:
        """Find passages for a question and write the prompt. `passages` 0 leaves the LM alone.

        Raises RalmError for a question of white space alone.
        """
        require_text([question])
        started = time.perf_counter()
        found = Ranking((), False)
        retriever = self.retriever  # Once: a new generation may come between two uses of it.
        if retriever is not None and passages > 0:
            (found,) = retriever.search([question], Search(passages))
        seconds = {"search": time.perf_counter() - started}
        # Half of what a small reader holds is left for the question, the template and the answer.
        budget = min(budget, self.reader.context_tokens // 2)
        packed = pack([source_of(hit) for hit in found.hits], self.reader.count_tokens, budget)
        prompt = conversation(question, packed, history)
        return Prepared(prompt, tuple(packed), found.hits[: len(packed)], seconds, found.missing)

    def ask(
        self,
        question: str,
        passages: int = DEFAULT_PASSAGES,
        budget: int = DEFAULT_BUDGET,
        sampling: Sampling = ONE_PARAGRAPH,
        history: Sequence[Message] = (),
    ) -> Answer:
        """Answer a question, with markers behind the sentences that a passage supports."""
        prepared = self.prepare(question, passages, budget, history)
        started = time.perf_counter()
        (completion,) = self.reader.generate([prepared.prompt], sampling)
        seconds = prepared.seconds | {"generate": time.perf_counter() - started}
        text = cite(completion.text, prepared.packed)
        return Answer(text, self.citations(prepared, text), completion, seconds, prepared.missing)

    def stream(self, prepared: Prepared, sampling: Sampling) -> TextStream:
        """The cited answer to a prepared question, in pieces. A prompt that is too long fails here."""
        stream = self.reader.stream(prepared.prompt, sampling)
        stream.pieces = cite_stream(stream.pieces, prepared.packed)
        return stream

    def citations(self, prepared: Prepared, text: str) -> tuple[Citation, ...]:
        """The numbered passages behind an answer, and which of them it cites."""
        used = set(cited(text)) if prepared.hits else set()
        return tuple(Citation(number, number in used, hit) for number, hit in enumerate(prepared.hits, 1))


def source_of(hit: Hit) -> Source:
    """A hit as the reader sees it: the document's title, if its metadata has one, and the text."""
    title = hit.passage.metadata.get("title")
    return Source(title if isinstance(title, str) else "", hit.passage.text)
