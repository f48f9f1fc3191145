"""A request to whichever replica answers: tried again with growing waits, then one sentence.

Decisions: docs/decisions/remote-readers.md.
"""

from collections.abc import Callable, Generator, Iterator
from threading import Event
from typing import Any, TypeVar

from base.errors import Unavailable
from lm.backends.remote.address import Address
from lm.backends.remote.failures import PASSING, Broken, Malformed, Rejected, words
from lm.backends.remote.replicas import Replica, Replicas, Timing
from lm.backends.remote.wire import Connection, Json, Wire
from lm.pending import asked
from lm.reader import ReaderStopped

T = TypeVar("T")
# What is left of a stream, and what ends it.
Events = tuple[Generator[Any, None, None], Connection]

# How often a request is tried on each replica.
TRIES = 5
# Seconds that a server may ask to be left for.
LONGEST_DELAY = 120.0
# Statuses that say that a server has no such route, none that takes such a request, or none for everybody.
_NO_ROUTE = (400, 401, 403, 404, 405, 415, 422, 501)


class Exchange:
    """Asks the replicas of one server. For many threads at once."""

    def __init__(self, address: Address, key: str = "", timing: Timing | None = None) -> None:
        self.address = address
        self._timing = timing or Timing()
        self._wire = Wire(address.timeout, key, self._timing.clock)
        self._replicas = Replicas(address.urls, self._timing)
        self._stopped = Event()

    def stop(self) -> None:
        """End what is being asked, and refuse whoever asks for more with a ReaderStopped."""
        self._stopped.set()
        self._wire.end()

    def ask(
        self,
        route: Callable[[str], str],
        body: Json | None,
        taken: Callable[[Any], T],
        tries: int = TRIES,
    ) -> T:
        """What `taken` takes from the JSON of an answer; it raises Malformed for what is none.

        `route` makes the route's URL of a replica's. Raises Rejected, Unavailable or ReaderStopped.
        """

        def attempt(replica: Replica) -> T:
            return taken(self._asked(route(replica.url), body))

        return self._tried(attempt, tries)

    def ask_optional(
        self, route: Callable[[str], str], body: Json | None, taken: Callable[[Any], T]
    ) -> T | None:
        """The same of a route that not every server has: None where it is missing or gives other things."""

        def attempt(replica: Replica) -> T | None:
            try:
                return taken(self._asked(route(replica.url), body))
            except Malformed:
                return None
            except Rejected as rejected:
                if rejected.status in _NO_ROUTE:
                    return None
                raise

        return self._tried(attempt, 2)

    def stream(self, route: Callable[[str], str], body: Json) -> "Stream":
        """A streamed answer, once its first event has come: until then another replica may be tried."""

        def attempt(replica: Replica) -> Stream:
            return Stream(self._held(replica, route(replica.url), body), replica.url)

        return self._tried(attempt, TRIES)

    def _asked(self, url: str, body: Json | None) -> Any:
        """The JSON of an answer, unless whoever asks goes meanwhile."""
        connection = Connection()
        asked(connection)
        require_wanted(connection)
        try:
            return self._wire.ask(url, body, connection)
        except Broken:
            require_wanted(connection)
            raise

    def _held(self, replica: Replica, url: str, body: Json) -> Events:
        connection = Connection()
        asked(connection)

        def run() -> Generator[Any, None, None]:
            # A replica is busy until its stream has ended, however that comes.
            self._replicas.hold(replica)
            try:
                yield from map(require_no_error, self._wire.stream(url, body, connection))
            except Broken:
                self.check()
                if not connection.ended:
                    raise
            finally:
                self._replicas.give_back(replica)

        return run(), connection

    def check(self) -> None:
        """Raise ReaderStopped once it has been stopped."""
        if self._stopped.is_set():
            raise ReaderStopped

    def _tried(self, attempt: Callable[[Replica], T], tries: int) -> T:
        started = self._timing.clock()
        came: dict[str, str] = {}
        for _ in range(tries * len(self._replicas.all)):
            if not self._ready():
                break
            replica = self._replicas.take()
            asked_at = self._timing.clock()
            try:
                found = attempt(replica)
            except Broken as broken:
                came[replica.url] = broken.came
                self._replicas.failed(replica, broken, asked_at)
            else:
                self._replicas.worked(replica)
                return found
            finally:
                self._replicas.give_back(replica)
            self.check()
            if self._timing.clock() - started > 2 * self.address.timeout:
                break
        raise Unavailable(self._sentence(came))

    def _ready(self) -> bool:
        """Wait until a replica may be asked; whether one may be before long."""
        self.check()
        while delay := self._replicas.delay():
            if delay > LONGEST_DELAY:
                return False
            (self._timing.wait or self._stopped.wait)(delay)
            self.check()
        return True

    def _sentence(self, came: dict[str, str]) -> str:
        found = {one.url: one.came for one in self._replicas.all if one.came} | came
        said = "; ".join(f"{url} gave {what}" for url, what in found.items())
        if (delay := self._replicas.delay()) > LONGEST_DELAY:
            return f"The reader's server asks to be left for {delay:.0f} seconds ({said}): ask again then."
        return f"The reader's server does not answer as it should ({said}): see whether it runs, and its log."


class Stream:
    """The events of a streamed answer; the first has come. `close` ends it early, from any thread."""

    def __init__(self, held: Events, url: str) -> None:
        self._events, self._connection = held
        self._url = url
        try:
            require_wanted(self._connection)
            self._first = next(self._events)
        except StopIteration:
            require_wanted(self._connection)
            raise Malformed("a stream without an event") from None

    def __iter__(self) -> Iterator[Any]:
        try:
            yield self._first
            yield from self._events
        except Broken as broken:
            raise self.broken(broken.came) from None
        finally:
            self._events.close()

    @property
    def closed(self) -> bool:
        """Whether nobody wants more of it."""
        return self._connection.ended

    def close(self) -> None:
        """End it: the server then stops too."""
        self._connection.end()

    def broken(self, came: str) -> Unavailable:
        """The error for a stream that did not come to its end."""
        return Unavailable(f"The answer of {self._url} broke off ({came}): ask again.")


def require_wanted(connection: Connection) -> None:
    """Raise ReaderStopped where whoever asked has gone."""
    if connection.ended:
        raise ReaderStopped("Whoever asked for this text has gone.")


def require_no_error(event: Any) -> Any:
    """An event of a stream. Raises Rejected or Broken for one that holds an error, Malformed for none."""
    if not isinstance(event, dict):
        raise Malformed("an event that is no JSON object")
    if not event.get("error"):
        return event
    said = words(event)
    error = event["error"]
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and 400 <= code < 500 and code not in PASSING:
        raise Rejected(f"The server refuses the request (HTTP {code}: {said})", code)
    raise Broken(f"an error: {said}")
