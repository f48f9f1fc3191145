"""What a response looks like to OpenAI's clients: its items, its citations, what it took.

A passage is cited by an annotation at the place of the text where its marker would stand: `file_citation`,
and beside OpenAI's fields the passage's id and URL.

Decisions: docs/decisions/serving.md.
"""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lm.citations import Mark
from lm.reader import Completion
from retriever.results import Hit
from serve.answering.places import Place, title_of, url_of
from serve.schemas.responses.request import ResponsesRequest
from serve.schemas.stores.vector_stores import attributes_of

# What of a request stands in its reply as it was sent.
_ECHOED = (
    *("instructions", "max_output_tokens", "max_tool_calls", "top_logprobs", "reasoning"),
    *("user", "safety_identifier", "prompt_cache_key", "service_tier"),
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A hit, where it stands, and the address that the service was asked at."""

    hit: Hit
    place: Place
    base: str

    @property
    def _named(self) -> dict[str, Any]:
        return {"file_id": self.place.document, "filename": title_of(self.hit.passage)}

    @property
    def _beside(self) -> dict[str, Any]:
        url = url_of(self.hit.passage, self.place, self.base)
        return {"passage_id": str(self.place), "url": url}

    def annotation(self, at: int) -> dict[str, Any]:
        """It as a citation at a character of the text."""
        return {"type": "file_citation", "index": at} | self._named | self._beside

    @property
    def result(self) -> dict[str, Any]:
        """It as a result of the tool."""
        passage, score = self.hit.passage, round(self.hit.score, 6)
        return (
            self._named
            | {"score": score, "text": passage.text, "attributes": attributes_of(passage)}
            | self._beside
        )


def _id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


@dataclass(frozen=True)
class Reply:
    """A reply to a request: its parts have the same ids from the first event of a stream to the last.

    `queries` are what was searched for; none if nothing was. `results` are all hits, and `read` those that
    the reader saw, in the order of their numbers.
    """

    body: ResponsesRequest
    queries: Sequence[str] = ()
    results: Sequence[Placed] = ()
    read: Sequence[Placed] = ()
    id: str = field(default_factory=lambda: _id("resp"))
    call_id: str = field(default_factory=lambda: _id("fs"))
    message_id: str = field(default_factory=lambda: _id("msg"))
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, status: str, output: Iterable[Mapping[str, Any]] = (), **more: Any) -> dict[str, Any]:
        """The reply with what is known of it. `more` are fields that are null till they are known."""
        body = self.body
        given = body.model_dump(exclude_none=True, by_alias=True)
        kept = {name: given.get(name) for name in _ECHOED}
        return (
            {"id": self.id, "object": "response", "created_at": self.created, "status": status, "error": None}
            | {"incomplete_details": None, "model": body.model, "output": list(output), "usage": None}
            | kept
            | {
                "metadata": given.get("metadata", {}),
                "text": given.get("text") or {"format": {"type": "text"}},
            }
            | {"tools": given.get("tools", []), "tool_choice": given["tool_choice"]}
            | {"temperature": body.temperature or 0.0, "top_p": body.top_p or 1.0}
            | {"parallel_tool_calls": body.parallel_tool_calls is not False, "truncation": "disabled"}
            | {"background": False, "store": False, "previous_response_id": None}
            | more
        )

    def call(self, status: str) -> dict[str, Any]:
        """The search as an item. What it found is told if that is asked for, once it is over."""
        tells = self.body.tells_results and status == "completed"
        return {
            "id": self.call_id,
            "type": "file_search_call",
            "status": status,
            "queries": list(self.queries),
            "results": [one.result for one in self.results] if tells else None,
        }

    def message(self, status: str, *content: Mapping[str, Any]) -> dict[str, Any]:
        """The answer as an item."""
        return {
            "id": self.message_id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": list(content),
        }

    def annotations(self, marks: Iterable[Mark]) -> list[dict[str, Any]]:
        """The citations at some places of the text."""
        return [self.read[one.passage - 1].annotation(one.at) for one in marks]


def output_text(
    text: str, annotations: Sequence[Mapping[str, Any]] = (), logprobs: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """A text as the content of a message."""
    return {
        "type": "output_text",
        "text": text,
        "annotations": list(annotations),
        "logprobs": list(logprobs),
    }


def ending(finished: bool) -> dict[str, Any]:
    """How a reply ended: by itself, or at the most tokens that it may have."""
    if finished:
        return {"status": "completed"}
    return {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


def failure_code(status: int) -> str:
    """What OpenAI's API calls why a response failed, by the HTTP status that it would have had."""
    if status == 429:
        return "rate_limit_exceeded"
    return "server_error" if status >= 500 else "invalid_prompt"


def usage_of(completion: Completion) -> dict[str, Any]:
    """The tokens that were read and written. What of a prompt was kept from before is not told."""
    return {
        "input_tokens": completion.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": completion.tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": completion.prompt_tokens + completion.tokens,
    }
