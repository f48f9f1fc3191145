"""What the service counts, as Prometheus reads it. Names are vLLM's where it has the same, behind `ralm:`.

Each application counts for itself. Knows no route, no model and no queue.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds: a search takes milliseconds, an answer on a CPU a minute.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Lookups(Protocol):
    """What a cache counts."""

    hits: int
    misses: int


class Metrics(Collector):
    """Counters, gauges and histograms of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._caches: dict[str, Lookups] = {}
        self.registry.register(self)
        self._http = Counter(
            "ralm:http_requests",
            "Requests answered, by route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._latency = self._histogram(
            "ralm:e2e_request_latency_seconds", "From a request's coming to its reply's end.", "route"
        )
        self._first = self._histogram(
            "ralm:time_to_first_byte_seconds", "From a request's coming to its reply's beginning.", "route"
        )
        self._stages = self._histogram("ralm:stage_seconds", "What the stages of requests took.", "stage")
        self._batches = Histogram(
            "ralm:batch_size",
            "Requests that were carried out together.",
            ["queue"],
            buckets=_SIZES,
            registry=self.registry,
        )
        self._prompt = Counter("ralm:prompt_tokens", "Tokens of prompts read.", registry=self.registry)
        self._generated = Counter("ralm:generation_tokens", "Tokens generated.", registry=self.registry)
        self._running = Gauge(
            "ralm:num_requests_running", "Requests that are being answered.", registry=self.registry
        )
        self._waiting = Gauge(
            "ralm:num_requests_waiting", "Requests that wait in a queue.", ["queue"], registry=self.registry
        )
        self._lost = Counter(
            "ralm:log_lines_lost", "Lines that the request log could not take.", registry=self.registry
        )

    def _histogram(self, name: str, said: str, label: str) -> Histogram:
        return Histogram(name, said, [label], buckets=_SECONDS, registry=self.registry)

    def began(self) -> None:
        """A request has come."""
        self._running.inc()

    def ended(self, method: str, route: str, status: int, seconds: float, first: float) -> None:
        """Its reply is over: it took so many `seconds`, and began after `first`."""
        self._running.dec()
        self._http.labels(method, route, str(status)).inc()
        self._latency.labels(route).observe(seconds)
        self._first.labels(route).observe(first)

    def stages(self, seconds: Mapping[str, float]) -> None:
        """What stages of a request took."""
        for name, took in seconds.items():
            self._stages.labels(name).observe(took)

    def batch(self, queue: str, size: int) -> None:
        """So many requests of a queue were carried out together."""
        self._batches.labels(queue).observe(size)

    def cached(self, cache: str, lookups: Lookups) -> None:
        """How often something is found in a cache, whenever the metrics are read."""
        self._caches[cache] = lookups

    def collect(self) -> Iterator[Metric]:
        """What others count, for the registry."""
        found = CounterMetricFamily("ralm:cache_queries", "Look-ups in a cache.", labels=["cache", "hit"])
        for name, lookups in self._caches.items():
            found.add_metric([name, "yes"], lookups.hits)
            found.add_metric([name, "no"], lookups.misses)
        yield found

    def tokens(self, prompt: int, generated: int) -> None:
        """A reader has read and written so many tokens."""
        self._prompt.inc(prompt)
        self._generated.inc(generated)

    def waiting(self, queue: str, length: Callable[[], float]) -> None:
        """Who is asked how many wait in a queue, whenever the metrics are read."""
        self._waiting.labels(queue).set_function(length)

    def line_lost(self) -> None:
        """A line could not be logged."""
        self._lost.inc()

    def shown(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
