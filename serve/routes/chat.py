"""`POST /v1/chat/completions`, as OpenAI's clients ask it."""

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from sse_starlette.sse import EventSourceResponse

from lm.abstention import abstains
from lm.reader import Completion, Reader, card
from serve.answering.answerer import Answerer
from serve.answering.answers import Answer, Citation, CitedStream, Prepared, close_all
from serve.answering.places import Addresses
from serve.answering.timings import read
from serve.routes.asked import addresses_of, answerer_of, reading_of, require_model, retriever_of
from serve.routes.events import Event, streamed
from serve.schemas.chat import ChatRequest
from serve.schemas.generation.choices import called, chat_logprobs, finish_reason, usage_of
from serve.schemas.hits import CitationModel
from serve.schemas.searching import ViewModel

router = APIRouter()


@router.post("/v1/chat/completions", response_model=None)
async def chat(body: ChatRequest, request: Request) -> dict[str, Any] | EventSourceResponse:
    """Answer the last question from the passages found for it; `citations` says which were read."""
    answerer, reading = answerer_of(request), reading_of(request)
    require_model(body.model, answerer.reader)
    prepared = await reading.run(answerer.prepare, body.to_inquiry())
    addresses = addresses_of(request, retriever_of(request))
    if body.stream:
        streams = await reading.run(answerer.streams, prepared, body.n)
        told = _Streamed(answerer, prepared, body, addresses)
        return streamed(map(Event, told.chunks(streams)), reading, partial(close_all, streams))
    answers = await reading.run(answerer.answers, prepared, body.n, body.retrieval.support)
    return (
        _envelope("chat.completion", body.model)
        | {
            "choices": [_choice(at, one, body.logprobs) for at, one in enumerate(answers)],
            "usage": usage_of([one.completion for one in answers]),
        }
        | _beside(prepared, _merged([one.citations for one in answers]), answerer.reader, addresses)
        | {"seconds": answers[0].seconds}
    )


def _envelope(kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def _choice(index: int, answer: Answer, logprobs: bool) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text or None, "refusal": None}
    return {
        "index": index,
        "message": message | called(answer.calls),
        "finish_reason": "tool_calls" if answer.calls else finish_reason(answer.completion.finished),
        "logprobs": chat_logprobs(answer.completion.positions) if logprobs else None,
        "cited": _cited(answer.citations),
        "abstained": abstains(answer.completion.text),
    }


def _cited(citations: Iterable[Citation]) -> list[int]:
    return [one.number for one in citations if one.cited]


def _merged(each: Sequence[Sequence[Citation]]) -> list[Citation]:
    """The passages that all choices were read from; `cited`, if one of them cites it."""
    return [replace(some[0], cited=any(one.cited for one in some)) for some in zip(*each, strict=True)]


def _beside(
    prepared: Prepared, citations: Iterable[Citation], reader: Reader, addresses: Addresses
) -> dict[str, Any]:
    """What OpenAI's reply has no word for."""
    searched = prepared.searched
    return {
        "citations": [CitationModel.of_citation(one, addresses).model_dump() for one in citations],
        "trimmed": prepared.conditioned.trimmed,
        "missing": list(prepared.missing),
        "query": searched and searched.query,
        "manifest": searched and searched.manifest,
        "view": searched and ViewModel.of(searched.search.view).model_dump(),
        "reader": card(reader),
    }


@dataclass
class _Streamed:
    """The chunks of streamed answers: all of a choice, then of the next one, which is written meanwhile."""

    answerer: Answerer
    prepared: Prepared
    body: ChatRequest
    addresses: Addresses

    def __post_init__(self) -> None:
        self._envelope = _envelope("chat.completion.chunk", self.body.model)
        self._began = time.perf_counter()

    def chunks(self, streams: Sequence[CitedStream]) -> Iterator[dict[str, Any]]:
        """The last one of choices says what was read; behind it stands the usage, if that is asked for.

        Support is measured behind the last chunk of text, which does not wait for it.
        """
        each, texts = [], list[Completion]()
        for index, stream in enumerate(streams):
            yield from self._text(index, stream)
            if stream.closed:
                return  # The client has gone: nothing is measured for nobody.
            generated = time.perf_counter() - self._began
            texts.append(stream.completion())
            each.append(self._citations(stream))
            end = {
                "delta": {},
                "finish_reason": "tool_calls" if stream.calls else finish_reason(stream.finished),
                "cited": _cited(each[-1]),
                "abstained": abstains(texts[-1].text),
            }
            seconds = read(self.prepared.seconds, texts, generated)
            last = self._end(each, seconds, generated) if stream is streams[-1] else {}
            yield self._chunk(index, end) | last
        if self.body.tells_usage:
            usage = usage_of(texts)
            yield self._envelope | {"choices": [], "usage": usage}

    def _text(self, index: int, stream: CitedStream) -> Iterator[dict[str, Any]]:
        yield self._chunk(index, {"delta": {"role": "assistant", "content": ""}})
        told = 0
        for piece in stream:
            more: dict[str, Any] = {"delta": {"content": piece}}
            if self.body.logprobs:
                new = stream.positions[told:]
                told += len(new)
                more["logprobs"] = chat_logprobs(new)
            yield self._chunk(index, more)
        if left := stream.positions[told:]:
            yield self._chunk(index, {"delta": {}, "logprobs": chat_logprobs(left)})
        if stream.calls:
            yield self._chunk(index, {"delta": called(stream.calls)})

    def _chunk(self, index: int, more: dict[str, Any]) -> dict[str, Any]:
        usage = {"usage": None} if self.body.tells_usage else {}
        choice = {"index": index, "finish_reason": None, "logprobs": None} | more
        return self._envelope | {"choices": [choice]} | usage

    def _citations(self, stream: CitedStream) -> tuple[Citation, ...]:
        return self.answerer.citations(self.prepared, stream.citer, self.body.retrieval.support)

    def _end(
        self, each: Sequence[Sequence[Citation]], seconds: dict[str, float], generated: float
    ) -> dict[str, Any]:
        if self.body.retrieval.support:
            seconds["support"] = time.perf_counter() - self._began - generated
        return _beside(self.prepared, _merged(each), self.answerer.reader, self.addresses) | {
            "seconds": seconds
        }
