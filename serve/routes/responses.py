"""`POST /v1/responses`: an answer from what the tool `file_search` finds, whole or as a stream of events."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from sse_starlette.sse import EventSourceResponse

from lm.reader import Completion, Reader, card
from retriever.results import Hit
from serve.answering.answerer import Answerer
from serve.answering.answers import CitedStream, Prepared
from serve.answering.timings import read
from serve.routes.asked import answerer_of, base_of, places_of, reading_of, require_model, retriever_of
from serve.routes.errors import message_of, status_of
from serve.routes.events import Ending, Event, streamed
from serve.schemas.generation.choices import chat_logprobs
from serve.schemas.responses.replies import Placed, Reply, ending, failure_code, output_text, usage_of
from serve.schemas.responses.request import ResponsesRequest
from serve.schemas.searching import ViewModel

router = APIRouter()


@router.post("/v1/responses", response_model=None)
async def responses(body: ResponsesRequest, request: Request) -> dict[str, Any] | EventSourceResponse:
    """Answer the question that `input` ends with; annotations of the text cite the passages behind it."""
    answerer, reading = answerer_of(request), reading_of(request)
    require_model(body.model, answerer.reader)
    prepared = await reading.run(answerer.prepare, body.to_inquiry())
    reply = await run_in_threadpool(_reply, body, prepared, request)
    if body.stream:
        stream = await reading.run(answerer.stream, prepared)
        told = _Streamed(answerer, prepared, reply, stream)
        return streamed(told.events(), reading, stream.close, Ending(done=None, broken=told.failed))
    answer = await reading.run(answerer.answer, prepared)
    text = output_text(answer.text, reply.annotations(answer.marks), _logprobs(body, answer.completion))
    beside = _beside(prepared, answerer.reader) | {"seconds": answer.seconds}
    return _whole(reply, text, answer.completion, beside)


def _reply(body: ResponsesRequest, prepared: Prepared, request: Request) -> Reply:
    """The reply to a prepared question, with where its passages stand."""
    places, base, retriever = places_of(request), base_of(request), retriever_of(request)

    def placed(hits: Sequence[Hit]) -> list[Placed]:
        return [Placed(hit, places.of(hit, retriever), base) for hit in hits]

    queries = [prepared.searched.query] if prepared.searched else []
    return Reply(body, queries, placed(prepared.found), placed(prepared.hits))


def _logprobs(body: ResponsesRequest, completion: Completion) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        chat_logprobs(completion.positions)["content"] if body.tells_logprobs else []
    )
    return found


def _output(reply: Reply, message: dict[str, Any]) -> list[dict[str, Any]]:
    return [*([reply.call("completed")] if reply.queries else []), message]


def _whole(
    reply: Reply, text: dict[str, Any], completion: Completion, beside: dict[str, Any]
) -> dict[str, Any]:
    end = ending(completion.finished)
    output = _output(reply, reply.message(end["status"], text))
    return reply.whole(**end, output=output, usage=usage_of(completion), **beside)


def _beside(prepared: Prepared, reader: Reader) -> dict[str, Any]:
    """What OpenAI's reply has no word for."""
    searched = prepared.searched
    return {
        "trimmed": prepared.conditioned.trimmed,
        "missing": list(prepared.missing),
        "manifest": searched and searched.manifest,
        "view": searched and ViewModel.of(searched.search.view).model_dump(),
        "reader": card(reader),
    }


class _Streamed:
    """A reply as events, in OpenAI's order. A citation follows the sentence that it is for."""

    def __init__(self, answerer: Answerer, prepared: Prepared, reply: Reply, stream: CitedStream) -> None:
        self._prepared, self._reply, self._stream = prepared, reply, stream
        self._reader = answerer.reader
        self._began = time.perf_counter()
        self._sequence = -1
        self._at = len(reply.queries)  # Of the message among the items: behind the search, if there is one.

    def _event(self, kind: str, **data: Any) -> Event:
        self._sequence += 1
        return Event({"type": kind, "sequence_number": self._sequence} | data, kind)

    def _of_call(self, kind: str) -> Event:
        return self._event(f"response.file_search_call.{kind}", output_index=0, item_id=self._reply.call_id)

    def _of_text(self, kind: str, **data: Any) -> Event:
        place = {"item_id": self._reply.message_id, "output_index": self._at, "content_index": 0}
        return self._event(f"response.{kind}", **place, **data)

    def _of_item(self, kind: str, at: int, item: dict[str, Any]) -> Event:
        return self._event(f"response.output_item.{kind}", output_index=at, item=item)

    def events(self) -> Iterator[Event]:
        """All of them; of a stream whose client has gone, those until then."""
        reply = self._reply
        yield self._event("response.created", response=reply.whole("in_progress"))
        yield self._event("response.in_progress", response=reply.whole("in_progress"))
        if reply.queries:
            yield from self._search()
        yield self._of_item("added", self._at, reply.message("in_progress"))
        yield self._of_text("content_part.added", part=output_text(""))
        text = ""
        annotations: list[dict[str, Any]] = []
        for piece in self._stream:
            text += piece
            yield self._of_text("output_text.delta", delta=piece, logprobs=[])
            for one in self._new(len(annotations)):
                yield self._cited(one, len(annotations))
                annotations.append(one)
        if self._stream.closed:
            return
        for one in self._new(len(annotations)):
            yield self._cited(one, len(annotations))
            annotations.append(one)
        yield from self._end(text, annotations)

    def _search(self) -> Iterator[Event]:
        yield self._of_item("added", 0, self._reply.call("in_progress"))
        yield self._of_call("in_progress")
        yield self._of_call("searching")
        yield self._of_call("completed")
        yield self._of_item("done", 0, self._reply.call("completed"))

    def _new(self, known: int) -> list[dict[str, Any]]:
        return self._reply.annotations(self._stream.citer.marks[known:])

    def _cited(self, one: dict[str, Any], number: int) -> Event:
        return self._of_text("output_text.annotation.added", annotation=one, annotation_index=number)

    def _end(self, text: str, annotations: Sequence[dict[str, Any]]) -> Iterator[Event]:
        completion = self._stream.completion()
        logprobs = _logprobs(self._reply.body, completion)
        part = output_text(text, annotations, logprobs)
        yield self._of_text("output_text.done", text=text, logprobs=logprobs)
        yield self._of_text("content_part.done", part=part)
        seconds = read(self._prepared.seconds, [completion], time.perf_counter() - self._began)
        beside = _beside(self._prepared, self._reader) | {"seconds": seconds}
        whole = _whole(self._reply, part, completion, beside)
        yield self._of_item("done", self._at, whole["output"][-1])
        yield self._event(f"response.{whole['status']}", response=whole)

    def failed(self, error: BaseException) -> Event:
        """The last event of a reply that breaks off."""
        told = {"code": failure_code(status_of(error)), "message": message_of(error)}
        return self._event("response.failed", response=self._reply.whole("failed", error=told))
