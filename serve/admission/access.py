"""Who may ask, and how often: 401 without a key, 429 with Retry-After for too many requests."""

import math

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.admission.keys import Key, Keys
from serve.admission.rates import Rates
from serve.routes.errors import error_reply

# What anybody may ask: whether the service is up, and its page, which asks for a key itself.
_OPEN = frozenset({"/", "/health", "/ready", "/favicon.ico"})
_PAGE = "/page/"
_MISSING = "This service asks for a key: send the header Authorization: Bearer KEY."
_WRONG = "This service does not know that key: ask for one whoever runs it."


class Access:
    """Lets in who has a key; without keys, everybody. `per_minute`: for keys that name no rate, and for each
    address where there are no keys."""

    def __init__(self, app: ASGIApp, keys: Keys, per_minute: int | None) -> None:
        self._app, self._keys, self._per_minute, self._rates = app, keys, per_minute, Rates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        key = None
        if self._keys:
            sent = _bearer(Headers(scope=scope).get("authorization"))
            key = None if sent is None else self._keys.find(sent)
            if key is None:
                headers = {"WWW-Authenticate": "Bearer"}
                reply = error_reply(401, _MISSING if sent is None else _WRONG, headers)
                await reply(scope, receive, send)
                return
            scope.setdefault("state", {})["key"] = key.name
        if wait := self._wait(key, scope):
            seconds = math.ceil(wait)
            message = f"Too many requests in this minute: ask again in {seconds} s."
            await error_reply(429, message, {"Retry-After": str(seconds)})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _wait(self, key: Key | None, scope: Scope) -> float:
        rate = self._per_minute if key is None or key.per_minute is None else key.per_minute
        if rate is None:
            return 0.0
        address = (scope.get("client") or ("",))[0]
        return self._rates.wait(address if key is None else key.name, rate)


def is_open(path: str) -> bool:
    """Whether a path is answered without a key."""
    return path in _OPEN or path.startswith(_PAGE)


def _bearer(header: str | None) -> str | None:
    """The key of an Authorization header; None if there is none."""
    kind, _, key = (header or "").partition(" ")
    return key.strip() if kind.lower() == "bearer" and key.strip() else None
