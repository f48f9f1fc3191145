"""Each request's id, its line in the log, its place in the metrics; and what becomes of a defect of ours.

Decisions: docs/decisions/serving.md.
"""

import logging
import time
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.admission.journal import Journal
from serve.metrics import Metrics
from serve.routes import identity
from serve.routes.errors import failed

# Asked every few seconds by whoever watches: logged when they fail.
_PROBES = frozenset({"/health", "/ready", "/metrics"})
_log = logging.getLogger("uvicorn.error")


@dataclass(slots=True)
class _Reply:
    """What is known of a reply; `status` 499 if the client left before it began, as nginx logs it."""

    began: float = field(default_factory=time.perf_counter)
    status: int = 499
    first: float = 0.0
    size: int = 0


class Requests:
    """The outermost: whatever answers a request, its reply carries its id, and a line is logged."""

    def __init__(self, app: ASGIApp, metrics: Metrics, journal: Journal, prompts: bool = False) -> None:
        """`prompts`: the log shows the bodies of requests."""
        self._app, self._metrics, self._journal, self._prompts = app, metrics, journal, prompts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        its_id, reply = identity.identified(Headers(scope=scope).get("x-request-id")), _Reply()

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                reply.status, reply.first = message["status"], time.perf_counter() - reply.began
                MutableHeaders(scope=message)["x-request-id"] = its_id
            else:
                reply.size += len(message.get("body", b""))
            await send(message)

        before = identity.current.set(its_id)
        self._metrics.began()
        try:
            await self._app(scope, receive, marked)
        except Exception as error:
            _log.exception("Request %s failed.", its_id)
            if reply.first:
                raise  # The server cuts off what has begun.
            await failed(error)(scope, receive, marked)
        finally:
            identity.current.reset(before)
            self._note(its_id, scope, reply)

    def _note(self, its_id: str, scope: Scope, reply: _Reply) -> None:
        seconds = time.perf_counter() - reply.began
        # Paths of no route are as many as there are clients: they count as one.
        route = getattr(scope.get("route"), "path", "")
        self._metrics.ended(scope["method"], route, reply.status, seconds, reply.first or seconds)
        if scope["path"] in _PROBES and reply.status < 400:
            return
        state = scope.get("state", {})
        body: bytes | None = state.get("body")
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "id": its_id,
            "key": state.get("key"),
            "client": (scope.get("client") or (None,))[0],
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": reply.status,
            "seconds": round(seconds, 6),
            "first": round(reply.first, 6),
            "took": None if body is None else len(body),
            "gave": reply.size,
        }
        shown = {"body": body.decode(errors="replace")} if self._prompts and body is not None else {}
        self._journal.write(entry | shown)
