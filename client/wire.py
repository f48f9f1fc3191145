"""Requests to one service: its address and key, what is tried again and when, its sentences as errors.

Knows no route. All that is asked of a service reads and changes nothing, so it may be asked twice.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from base.errors import Busy, RalmError, Unavailable
from base.numbers import loads
from lm.backends.remote.failures import Rejected, message, retry_after

T = TypeVar("T")
# Seconds before the second try, doubled for each further one, up to the longest.
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
# Seconds: to connect; for an answer, or for the next piece of a streamed one.
CONNECT, TIMEOUT = 10.0, 600.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is tried, and the most seconds that a service may ask to be left for.

    `wait` takes seconds, `chance` gives numbers from 0 to 1.
    """

    tries: int = 4
    patience: float = 60.0
    wait: Callable[[float], object] = time.sleep
    chance: Callable[[], float] = random.random

    def delay(self, tried: int, asked: float) -> float:
        """Seconds to wait after so many tries: as long as the service asks, or longer.

        Half of it is chance, so that clients that were turned away together do not come back together.
        """
        usual = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (tried - 1))
        return max(asked, usual * (0.5 + self.chance() / 2))


class _Passing(Exception):
    """What may be otherwise if it is tried again. `after`: the seconds that the service asks to wait."""

    def __init__(self, error: RalmError, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.after = error, after


class Wire:
    """Posts JSON to a service. For many threads at once."""

    def __init__(self, address: str, key: str, retries: Retries, http: httpx.Client | None) -> None:
        """Raises RalmError for what is no address and no key."""
        self.address = _require_address(address)
        if not (key.isascii() and key.isprintable()):
            raise RalmError("The service's key holds characters that no key has: set it anew.")
        self._headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {key}"} if key else {}
        )
        self._retries = retries
        self._http = http or httpx.Client(timeout=httpx.Timeout(TIMEOUT, connect=CONNECT))

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def ask(self, route: str, body: Mapping[str, Any]) -> Any:
        """The JSON of an answer. Raises RalmError with the service's sentence for one that is none."""

        def whole(response: httpx.Response) -> Any:
            try:
                return loads(response.read().decode())
            except ValueError:
                raise self.odd() from None
            finally:
                response.close()

        return self._tried(route, body, whole)

    def stream(self, route: str, body: Mapping[str, Any]) -> httpx.Response:
        """An answer that has begun, to be read and closed. Raises RalmError as `ask` does."""
        return self._tried(route, body, lambda response: response)

    def odd(self) -> RalmError:
        """The error for an answer that is none of ralm's."""
        return RalmError(f"{self.address} does not answer as ralm does: see whether `ralm serve` runs there.")

    def _tried(
        self, route: str, body: Mapping[str, Any], taken: Callable[[httpx.Response], T], tried: int = 1
    ) -> T:
        while True:
            try:
                return self._once(route, body, taken)
            except _Passing as passing:
                if tried >= self._retries.tries or passing.after > self._retries.patience:
                    raise passing.error from None
                self._retries.wait(self._retries.delay(tried, passing.after))
            tried += 1

    def _once(self, route: str, body: Mapping[str, Any], taken: Callable[[httpx.Response], T]) -> T:
        # Escaped, so that half a character comes to the service, which says what is wrong with it.
        content = json.dumps(body).encode()
        request = self._http.build_request(
            "POST", self.address + route, content=content, headers=self._headers
        )
        try:
            response = self._http.send(request, stream=True)
            if not response.is_success:
                try:
                    self._refuse(response, response.read())
                finally:
                    response.close()
            return taken(response)
        except httpx.ConnectTimeout:
            raise _Passing(self._lost("no connection in time")) from None
        except httpx.TimeoutException:
            # It is at work on it: to ask again would only make it more.
            raise self._lost("nothing in time") from None
        except httpx.TransportError as error:
            raise _Passing(self._lost(" ".join(str(error).split()) or type(error).__name__)) from None

    def _lost(self, came: str) -> Unavailable:
        return Unavailable(f"{self.address} does not answer ({came}): see whether `ralm serve` runs there.")

    def _refuse(self, response: httpx.Response, body: bytes) -> None:
        status, after = response.status_code, retry_after(response.headers.get("retry-after", ""))
        said = self._sentence(response, body)
        if status == 429:
            raise _Passing(Busy(said, round(after)), after)
        if status == 503:
            raise _Passing(Unavailable(said), after)
        raise Rejected(said, status)

    def _sentence(self, response: httpx.Response, body: bytes) -> str:
        try:
            return str(json.loads(body)["error"]["message"])
        except (ValueError, KeyError, TypeError, RecursionError):
            said = message(body, response.headers.get("content-type", ""))
        came = f"HTTP {response.status_code}" + (f": {said}" if said else "")
        if place := response.headers.get("location"):
            return f"{self.address} sends to another address ({place}): give that one."
        return f"{self.address} does not answer as ralm does ({came}): see whether `ralm serve` runs there."


def _require_address(address: str) -> str:
    """Where routes begin: an OpenAI client's `base_url` ends with /v1, which is left out."""
    mend = "write it like http://127.0.0.1:8000"
    try:
        url = httpx.URL(address.strip())
    except httpx.InvalidURL as error:
        raise RalmError(f"{address!r} is no address of a service ({error}): {mend}.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise RalmError(f"{address!r} is no address of a service: {mend}.")
    if url.userinfo or url.query or url.fragment:
        raise RalmError(
            f"The address of {url.host} holds more than a place: {mend}, and put a key into the variable "
            "RALM_API_KEY."
        )
    return str(url).rstrip("/").removesuffix("/v1")
