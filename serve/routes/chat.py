"""`POST /v1/chat/completions`, as OpenAI's clients ask it."""

import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from sse_starlette.sse import EventSourceResponse

from lm.prompts import Message
from lm.reader import Sampling, card
from serve.answering.answerer import Answerer, Citation, CitedStream, Prepared
from serve.answering.inquiry import Inquiry
from serve.routes.asked import answerer_of, reading_of
from serve.routes.events import Event, streamed
from serve.schemas.chat import ChatRequest
from serve.schemas.hits import CitationModel

router = APIRouter()


@router.post("/v1/chat/completions", response_model=None)
async def chat(body: ChatRequest, request: Request) -> dict[str, Any] | EventSourceResponse:
    """Answer the last message from the passages found for it; `citations` says which were read."""
    answerer = answerer_of(request)
    reading = reading_of(request)
    if body.model not in ("ralm", answerer.reader.name):
        detail = f"There is no model {body.model!r} here: ask for ralm or {answerer.reader.name}."
        raise HTTPException(404, detail)
    question = body.messages[-1].text
    history = [Message(_role(m.role), m.text) for m in body.messages[:-1]]
    inquiry = Inquiry(question, body.retrieval.to_conditioning(), sampling(body), history)
    prepared = await run_in_threadpool(answerer.prepare, inquiry)
    if body.stream:
        stream = await reading.run(answerer.stream, prepared)
        return streamed(map(Event, _events(answerer, prepared, stream, body)), reading, stream.close)
    answer = await reading.run(answerer.answer, prepared, body.retrieval.support)
    completion = answer.completion
    return _envelope("chat.completion", body.model) | {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": "stop" if completion.finished else "length",
            }
        ],
        "usage": {
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.tokens,
            "total_tokens": completion.prompt_tokens + completion.tokens,
        },
        "citations": _citations_json(answer.citations),
        "trimmed": answer.trimmed,
        "missing": list(answer.missing),
        "reader": card(answerer.reader),
        "seconds": answer.seconds,
    }


def _role(role: str) -> str:
    # OpenAI renamed "system" to "developer"; chat templates know the older name.
    return "system" if role == "developer" else role


def sampling(body: ChatRequest) -> Sampling:
    """The request's sampling parameters; greedy unless it gives a temperature."""
    default = Sampling()
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return Sampling(
        max_tokens=body.max_completion_tokens or body.max_tokens or default.max_tokens,
        temperature=body.temperature or 0.0,
        top_p=body.top_p or 1.0,
        stop=tuple(stops),
        seed=body.seed,
    )


def _envelope(kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def _events(
    answerer: Answerer, prepared: Prepared, stream: CitedStream, body: ChatRequest
) -> Iterator[dict[str, Any]]:
    """The chunks of a streamed answer; the last but `[DONE]` carries the citations.

    Their support is measured behind the last chunk of text, which does not wait for it.
    """
    envelope = _envelope("chat.completion.chunk", body.model)
    yield envelope | _delta({"role": "assistant", "content": ""}, None)
    for piece in stream:
        yield envelope | _delta({"content": piece}, None)
    if stream.closed:
        return  # The client has gone: nothing is measured for nobody.
    citations = _citations_json(answerer.citations(prepared, stream.citer, body.retrieval.support))
    yield (
        envelope
        | _delta({}, "stop" if stream.finished else "length")
        | {
            "citations": citations,
            "trimmed": prepared.conditioned.trimmed,
            "missing": list(prepared.missing),
            "reader": card(answerer.reader),
        }
    )


def _delta(delta: dict[str, str], finish: str | None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _citations_json(citations: Iterable[Citation]) -> list[dict[str, Any]]:
    return [CitationModel.of_citation(citation).model_dump() for citation in citations]
