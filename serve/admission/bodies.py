"""Bodies of requests, before anything parses them: how long they may be and take, and whether they are JSON.

A body is read whole here. JSON is checked once for what the routes' parser takes or stumbles over.

Decisions: docs/decisions/serving.md.
"""

from codecs import BOM_UTF8
from dataclasses import dataclass

import anyio
import orjson
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from base.amounts import amount
from serve.routes.errors import error_reply


@dataclass(frozen=True, slots=True)
class _Refused(Exception):
    status: int
    message: str


class _Gone(Exception):
    """The client left before it had sent all."""


class Bodies:
    """Refuses bodies of more than `most` bytes, and those that take more than `seconds` to come."""

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self._app, self._most, self._seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Headers(scope=scope), receive)
        except _Gone:
            return
        except _Refused as refused:
            # What is still to come is not read: the connection ends.
            reply = error_reply(refused.status, refused.message, {"Connection": "close"})
            await reply(scope, receive, send)
            return
        scope.setdefault("state", {})["body"] = body
        await self._app(scope, _replayed(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise _Refused(
                415, f"The request body is compressed (Content-Encoding: {coding[:40]}): send it as it is."
            )
        told = headers.get("content-length", "")
        if told.isdigit() and int(told) > self._most:
            raise self._too_long()
        with anyio.move_on_after(self._seconds) as scope:
            body = await self._whole(receive)
        if scope.cancelled_caught:
            raise _Refused(
                408, f"The request body did not come within {self._seconds:g} s: send it without pauses."
            )
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and (kind == "application/json" or kind.endswith("+json")):
            _require_json(body)
        return body

    async def _whole(self, receive: Receive) -> bytes:
        parts, length, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part = message.get("body", b"")
            length += len(part)
            if length > self._most:
                raise self._too_long()
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)

    def _too_long(self) -> _Refused:
        most = amount(self._most, "bytes")
        return _Refused(413, f"The request body is longer than {most}: send less at once.")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What receives a body that has been read, and then what comes after it."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _require_json(body: bytes) -> None:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _Refused(422, f"The request body {_fault(body, error)}") from None


def _fault(body: bytes, error: orjson.JSONDecodeError) -> str:
    """What is wrong with a body that is no JSON, in our words for orjson's: the end of a sentence."""
    reason, where = error.msg.partition(":")[0], f"line {error.lineno}, column {error.colno}"
    if body.startswith(BOM_UTF8):
        return "begins with a mark of byte order (BOM): leave that out."
    if "UTF-8" in reason:
        return "is no text in UTF-8: send it so."
    if "depth" in reason:
        return "is nested too deeply: send lists and mappings of fewer levels."
    if "surrogate" in reason:
        return f"is no JSON: half of a character (a lone surrogate) is no text ({where}): send UTF-8."
    text = body.decode()
    if text[max(0, error.pos - 1) :].lstrip(":,[ -").lower().startswith(("nan", "inf")):
        return f"is no JSON: it has no NaN and no Infinity ({where}): send a number, or null."
    return f"is no JSON: {reason} ({where})."
