"""`POST /v1/completions`: texts that are gone on with, as OpenAI's older clients and lm-eval ask it."""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from sse_starlette.sse import EventSourceResponse

from base.errors import RalmError
from lm.citations import Citer
from lm.prompts import prompts_of
from lm.reader import Completion, EchoReader, Position, card
from serve.answering.answerer import Answerer
from serve.answering.answers import CitedStream, Prepared, close_all
from serve.answering.places import Addresses
from serve.answering.timings import read as seconds_of
from serve.routes.asked import addresses_of, answerer_of, reading_of, require_model, retriever_of
from serve.routes.events import Event, streamed
from serve.schemas.completions import CompletionRequest
from serve.schemas.generation.choices import completion_logprobs, finish_reason, usage
from serve.schemas.hits import CitationModel
from serve.schemas.searching import ViewModel

router = APIRouter()


@dataclass(frozen=True, slots=True)
class _Read:
    """A prompt, its tokens if they are to be repeated, and the texts behind it."""

    prepared: Prepared
    echoed: tuple[Position, ...] = ()
    texts: Sequence[Completion] = ()

    @property
    def said(self) -> str:
        """The prompt's text, as it was given; of tokens, what they say."""
        (prompt,) = prompts_of(self.prepared.asked)
        return prompt.text or b"".join(one.token.data for one in self.echoed).decode(errors="replace")


@router.post("/v1/completions", response_model=None)
async def completions(body: CompletionRequest, request: Request) -> dict[str, Any] | EventSourceResponse:
    """Go on with each prompt. Passages stand in front of it only if `retrieval` is given."""
    answerer, reading = answerer_of(request), reading_of(request)
    require_model(body.model, answerer.reader)
    some = await reading.run(lambda: [answerer.prepare(one) for one in body.to_inquiries()])
    read = await reading.run(_echoed, answerer, body, some)
    beside = _Beside(answerer, body, some, addresses_of(request, retriever_of(request)))
    if body.stream:
        streams = await reading.run(_begun, answerer, body, some)
        events = _Streamed(body, read, streams, beside).chunks()
        return streamed(map(Event, events), reading, partial(close_all, streams))
    texts = await reading.run(_written, answerer, body, some)
    read = [replace(one, texts=mine) for one, mine in zip(read, texts, strict=True)]
    choices = [_choice(body, one, text) for one in read for text in one.texts]
    return (
        _envelope(body)
        | {
            "choices": [one | {"index": at} for at, one in enumerate(choices)],
            "usage": _usage([one.texts for one in read]),
        }
        | beside.told([text for one in read for text in one.texts])
    )


@dataclass
class _Beside:
    """What OpenAI's reply has no word for: what was read, what it took, what was searched."""

    answerer: Answerer
    body: CompletionRequest
    some: Sequence[Prepared]
    addresses: Addresses

    def __post_init__(self) -> None:
        self._began = time.perf_counter()

    def told(self, texts: Sequence[Completion]) -> dict[str, Any]:
        """It, now that all texts have been written."""
        stages = {stage for one in self.some for stage in one.seconds}
        before = {stage: sum(one.seconds.get(stage, 0.0) for one in self.some) for stage in stages}
        searched = self.some[0].searched
        return {
            "reader": card(self.answerer.reader),
            "citations": [self._citations(one) for one in self.some] if self.body.retrieval else [],
            "missing": sorted({shard for one in self.some for shard in one.missing}),
            "manifest": searched and searched.manifest,
            "view": searched and ViewModel.of(searched.search.view).model_dump(),
            "seconds": seconds_of(before, texts, time.perf_counter() - self._began),
        }

    def _citations(self, prepared: Prepared) -> list[dict[str, Any]]:
        """The passages in front of a prompt: none is cited, for a text is no answer."""
        read = self.answerer.citations(prepared, Citer(prepared.packed))
        return [CitationModel.of_citation(one, self.addresses).model_dump() for one in read]


def _echoed(answerer: Answerer, body: CompletionRequest, some: Sequence[Prepared]) -> list[_Read]:
    """The prompts with their tokens. Raises RalmError for a reader that does not tell them."""
    if not body.echo:
        return [_Read(one) for one in some]
    if not isinstance(answerer.reader, EchoReader):
        raise RalmError(
            f"The reader {answerer.reader.name} does not tell a prompt's tokens: leave echo out, or take a "
            "reader in this process."
        )
    prompts = [prompt for one in some for prompt in prompts_of(one.asked)]
    found = answerer.reader.echo(prompts, body.logprobs)
    return [_Read(one, positions) for one, positions in zip(some, found, strict=True)]


def _written(answerer: Answerer, body: CompletionRequest, some: Sequence[Prepared]) -> list[list[Completion]]:
    if body.max_tokens:
        return answerer.completed(some, body.n)
    read = [answerer.reader.prompt_tokens(prompt) for one in some for prompt in prompts_of(one.asked)]
    return [[Completion("", tokens, 0, False)] * body.n for tokens in read]


def _begun(answerer: Answerer, body: CompletionRequest, some: Sequence[Prepared]) -> list[CitedStream]:
    """A stream of each text, those of one prompt behind each other."""
    if not body.max_tokens:
        raise RalmError(
            "A stream of no tokens has no end: let max_tokens be more than 0, or leave stream out."
        )
    return [stream for one in some for stream in answerer.streams(one, body.n)]


def _envelope(body: CompletionRequest) -> dict[str, Any]:
    return {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": body.model,
    }


def _choice(body: CompletionRequest, read: _Read, text: Completion) -> dict[str, Any]:
    before = read.said if body.echo else ""
    positions = [*read.echoed, *text.positions]
    return {
        "text": before + text.text,
        "finish_reason": finish_reason(text.finished),
        "logprobs": None if body.logprobs is None else completion_logprobs(positions),
    }


def _usage(texts: Sequence[Sequence[Completion]]) -> dict[str, int]:
    return usage(
        sum(one[0].prompt_tokens for one in texts), sum(each.tokens for one in texts for each in one)
    )


@dataclass
class _Streamed:
    """The chunks of streamed texts: all of one, then of the next, which is written meanwhile."""

    body: CompletionRequest
    read: Sequence[_Read]
    streams: Sequence[CitedStream]
    beside: _Beside

    def __post_init__(self) -> None:
        self._envelope = _envelope(self.body)

    def chunks(self) -> Iterator[dict[str, Any]]:
        """The last one of texts says what was read; behind it stands the usage, if that is asked for."""
        texts, n = list[Completion](), self.body.n
        for index, stream in enumerate(self.streams):
            yield from self._text(index, stream)
            if stream.closed:
                return
            texts.append(stream.completion())
            last = self.beside.told(texts) if stream is self.streams[-1] else {}
            yield self._chunk(index, "", [], finish_reason(stream.finished)) | last
        if self.body.tells_usage:
            counted = _usage([texts[at : at + n] for at in range(0, len(texts), n)])
            yield self._envelope | {"choices": [], "usage": counted}

    def _text(self, index: int, stream: CitedStream) -> Iterator[dict[str, Any]]:
        read, told, at = self.read[index // self.body.n], 0, 0
        if self.body.echo:
            yield self._chunk(index, read.said, read.echoed)
            at = sum(len(one.token.text) for one in read.echoed)
        for piece in stream:
            new = stream.positions[told:]
            yield self._chunk(index, piece, new, at=at)
            told, at = told + len(new), at + sum(len(one.token.text) for one in new)
        if left := stream.positions[told:]:
            yield self._chunk(index, "", left, at=at)

    def _chunk(
        self, index: int, text: str, new: Sequence[Position], end: str | None = None, at: int = 0
    ) -> dict[str, Any]:
        logprobs = completion_logprobs(new, at) if new and self.body.logprobs is not None else None
        choice = {"index": index, "text": text, "finish_reason": end, "logprobs": logprobs}
        usage = {"usage": None} if self.body.tells_usage else {}
        return self._envelope | {"choices": [choice]} | usage
