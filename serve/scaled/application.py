"""What is served as an application of Ray Serve: its deployments, and what binds them together.

Decisions: docs/decisions/scaling-out.md.
"""

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve import Application

from base.errors import RalmError
from datastore.store import Datastore
from lm.backends.remote.address import is_address
from lm.backends.weights import Weights
from retriever.cluster.retriever import require_parts
from retriever.opened import Opening
from serve.scaled.arguments import Arguments
from serve.scaled.calls import PATIENCE
from serve.scaled.encoder import EncoderReplica
from serve.scaled.front import Front, Served
from serve.scaled.reader import ReaderReplica
from serve.scaled.searchers import SearcherReplica

# Requests that a replica has at once. Those that wait are turned away by the application's own lines, which
# say so: these numbers are above what those let through.
_FRONT, _READER, _OTHERS = 4096, 512, 16


def application(arguments: Arguments) -> Application:
    """The application that `serve deploy` and `serve run` start: `import_path` of a config names this."""
    return built(arguments.served())


def built(served: Served, actors: Mapping[str, Any] | None = None, replicas: int = 1) -> Application:
    """The application of what is served.

    `actors` are options of all deployments' actors in Ray. There are so many `replicas` of each but the
    front. Raises RalmError for what cannot be served.
    """
    card = _require(served)

    def deployed(kind: Any, name: str, requests: int, count: int = replicas) -> Any:
        # Ray Serve's own defaults are 5 requests, and another name.
        options = dict(actors or {})
        return serve.deployment(
            kind,
            name=name,
            num_replicas=count,
            max_ongoing_requests=requests,
            ray_actor_options=options,
            # Whoever is to end, since fewer are needed or others come, ends what it has begun.
            graceful_shutdown_timeout_s=PATIENCE,
            # The application logs requests itself.
            logging_config={"enable_access_log": False},
        )

    encoder = deployed(EncoderReplica, "encoder", _OTHERS).bind(card)
    searchers = [
        deployed(SearcherReplica, f"searcher-{number}", _OTHERS).bind(served.stores, number, served.groups)
        for number in range(served.groups)
    ]
    reader = None
    if not is_address(served.choice.name):
        reader = deployed(ReaderReplica, "reader", _READER).bind(served.choice)
    front = deployed(serve.ingress()(Front), "front", _FRONT, 1)
    found: Application = front.bind(served, encoder, searchers, reader)
    return found


def _require(served: Served) -> Any:
    """The card of the stores' encoder. Raises RalmError for what cannot be served, before anything starts."""
    served.choice.require()
    if not is_address(served.choice.name):
        # Found, and converted if need be: else each replica would do so at once.
        Weights.find(served.choice.name, served.choice.allow_pickle)
    if served.groups < 1:
        raise RalmError(f"A store needs at least one searcher, not {served.groups}.")
    opening = Opening(encoder=served.encoder, query_encoder=served.query_encoder)
    cards = []
    for path in served.stores:
        store = Datastore.open(path)
        require_parts(store.manifest)
        cards.append(opening.encoders(store))
    return cards[0]
