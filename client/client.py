"""A service as an object: search it, ask it, hear its answer as it is written."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar, Unpack

import httpx

from base.errors import RalmError, Unavailable
from client.options import AskOptions, SearchOptions, Turn
from client.replies import Answer, SearchReply
from client.wire import Retries, Wire
from lm.backends.remote.events import events
from lm.backends.remote.failures import Rejected, words

T = TypeVar("T")
_CHAT = "/v1/chat/completions"


class Client:
    """A service at an address such as http://127.0.0.1:8000. For many threads at once.

    Its calls raise RalmError with the service's sentence for what it refuses (Rejected, with the status),
    Busy where it still has no room after the last try, and Unavailable where it does not answer.
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        retries: Retries | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        """`key` is by default the first one in the variable RALM_API_KEY; "" sends none.

        `http` sends the requests: one of yours has its own time limits, proxies and certificates.
        """
        known = os.environ.get("RALM_API_KEY", "").split()
        found = (known[0] if known else "") if key is None else key
        self._wire = Wire(address, found, retries or Retries(), http)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of its connections."""
        self._wire.close()

    def search(self, query: str | Sequence[str], k: int = 5, **options: Unpack[SearchOptions]) -> SearchReply:
        """The k passages nearest to a query, or to each of several."""
        queries = query if isinstance(query, str) else list(query)
        found = self._wire.ask("/search", {"query": queries, "k": k, **options})
        return self._as(SearchReply.model_validate, found)

    def ask(self, question: str | Sequence[Turn], **options: Unpack[AskOptions]) -> Answer:
        """An answer to a question, or to the last one of a conversation, from what is found for it."""
        return self._as(Answer.of_chat, self._wire.ask(_CHAT, _asked(question, options)))

    def stream(self, question: str | Sequence[Turn], **options: Unpack[AskOptions]) -> "Stream":
        """The same as it is written. Close it, or leave its `with`, and the service stops writing."""
        beside = {"stream": True, "stream_options": {"include_usage": True}}
        response = self._wire.stream(_CHAT, _asked(question, options) | beside)
        return Stream(response, lambda reply: self._as(Answer.of_chat, reply))

    def _as(self, made: Callable[[Any], T], reply: Any) -> T:
        try:
            return made(reply)
        except (ValueError, KeyError, TypeError, IndexError):  # A ValidationError is a ValueError.
            raise self._wire.odd() from None


class Stream:
    """The pieces of an answer as they come; `answer` is the whole of it, when they all have."""

    def __init__(self, response: httpx.Response, made: Callable[[Mapping[str, Any]], Answer]) -> None:
        self._response, self._made = response, made
        self._text = list[str]()
        self._end: dict[str, Any] = {}
        self._answer: Answer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it early: the service then stops, too."""
        self._response.close()

    @property
    def answer(self) -> Answer:
        """The whole answer. Raises RalmError before its last piece has come."""
        if self._answer is None:
            raise RalmError("The answer is not whole yet: take all pieces of the stream first.")
        return self._answer

    def __iter__(self) -> Iterator[str]:
        """Raises RalmError with the service's sentence if it breaks off."""
        try:
            for data in events(self._response.iter_bytes()):
                if data == "[DONE]":
                    self._answer = self._made(self._whole())
                    return
                if data and (piece := self._piece(json.loads(data))):
                    self._text.append(piece)
                    yield piece
        except httpx.StreamError:
            raise RalmError("The stream is closed, or was read before: ask again.") from None
        except (httpx.TransportError, ValueError) as error:
            raise _broken(str(error)) from None
        finally:
            self.close()
        raise _broken("it has no end")

    def _piece(self, chunk: dict[str, Any]) -> str:
        """The text in a chunk. What the last ones say of the whole answer is kept."""
        if error := chunk.get("error"):
            status = error.get("code") if isinstance(error, dict) else None
            if isinstance(status, int) and status < 500:
                raise Rejected(words(chunk), status)
            raise Unavailable(words(chunk))
        choices = chunk.pop("choices", None) or [{}]
        if reason := choices[0].get("finish_reason"):
            self._end |= {"finish_reason": reason, "abstained": choices[0].get("abstained", False)}
        self._end |= {name: value for name, value in chunk.items() if value is not None}
        return str(choices[0].get("delta", {}).get("content") or "")

    def _whole(self) -> dict[str, Any]:
        """The reply that the same question has without a stream."""
        choice = {
            "message": {"content": "".join(self._text)},
            "finish_reason": self._end.get("finish_reason"),
            "abstained": self._end.pop("abstained", False),
        }
        return dict.fromkeys(("query", "manifest", "view")) | self._end | {"choices": [choice]}


def _asked(question: str | Sequence[Turn], options: Mapping[str, Any]) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}] if isinstance(question, str) else list(question)
    return {"messages": turns, **options}


def _broken(came: str) -> Unavailable:
    return Unavailable(f"The answer broke off ({came}): ask again.")
