"""`ralm serve`: search and answers over HTTP; `ralm key`: a key for it; `ralm mcp`: an assistant's tool."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from base.amounts import parse_bytes
from base.errors import RalmError
from base.threads import cores
from lm.backends.registry import open_reader
from lm.backends.weights import DEFAULT_READER
from pipelines.commands.options import (
    Also,
    IndexIn,
    Loading,
    QueryEncoding,
    ReaderName,
    SearchDevice,
    Store,
)
from pipelines.commands.stopping import end
from pipelines.commands.stores import open_stores, require_cpu, whole_path

if TYPE_CHECKING:
    from serve.scaled.front import Served
    from serve.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may ask a service, and how much."""

    api_key: Annotated[
        list[str] | None,
        typer.Option(envvar="RALM_API_KEY", help="let in only who sends it (repeatable)", show_default=False),
    ] = None
    keys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="let in only whose key is in it: see ralm key")
    ] = None
    rate: Annotated[
        int | None, typer.Option(min=1, help="requests a minute, for each key; without keys, each address")
    ] = None
    max_body: Annotated[str, typer.Option(metavar="SIZE", help="of a request's body")] = "2MiB"
    max_seconds: Annotated[float, typer.Option(help="that a request may take")] = 600.0
    max_k: Annotated[int | None, typer.Option(min=1, help="most passages that a query may ask for")] = None
    max_queries: Annotated[int | None, typer.Option(min=1, help="most queries of a request")] = None
    max_tokens: Annotated[int | None, typer.Option(min=1, help="most tokens that an answer may ask for")] = (
        None
    )
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="pages that browsers may ask from: an origin, or * (repeatable)")
    ] = None
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="of requests; default: standard error")] = (
        None
    )
    log_prompts: Annotated[bool, typer.Option("--log-prompts", help="log what was asked, too")] = False

    def settings(self) -> "ServiceSettings":
        """What a service is run with. Raises RalmError for what none can be."""
        from serve.admission.keys import asked_for
        from serve.answering.limits import Limits
        from serve.settings import ServiceSettings

        return ServiceSettings(
            keys=asked_for(self.api_key or [], self.keys, "RALM_API_KEY" in os.environ),
            per_minute=self.rate,
            body=parse_bytes(self.max_body),
            seconds=self.max_seconds,
            origins=tuple(self.cors_origin or ()),
            log=self.log and self.log.absolute(),
            prompts=self.log_prompts,
            limits=Limits(self.max_k, self.max_queries, self.max_tokens),
        )


def serve(  # noqa: PLR0913
    store: Store,
    port: Annotated[int, typer.Option(help="TCP port")] = 8000,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    reader: ReaderName = DEFAULT_READER,
    loading: Loading = Loading(),
    device: SearchDevice = "cpu",
    index_in: IndexIn = "auto",
    encoding: QueryEncoding = QueryEncoding(),
    also: Also = None,
    searchers: Annotated[int, typer.Option(min=0, help="Ray searchers for each store; 0: none")] = 0,
    partial: Annotated[bool, typer.Option("--partial", help="answer without a lost searcher")] = False,
    ray: Annotated[bool, typer.Option("--ray", help="on Ray Serve: parts that scale apart")] = False,
    admission: Admission = Admission(),
) -> None:
    """Serve a page and an API over HTTP: search, cited answers, vector stores, tools (see /docs)."""
    choice = loading.choice(reader)
    if partial and not searchers:
        raise RalmError("--partial is for lost searchers: give --searchers too, or leave it out.")
    settings = admission.settings()
    if ray:
        require_cpu(device, index_in)
        from serve.scaled.front import Served

        served = Served(
            tuple(whole_path(one) for one in [store, *(also or [])]),
            replace(choice, name=whole_path(reader), adapter=choice.adapter and whole_path(choice.adapter)),
            settings,
            encoding.encoder and whole_path(encoding.encoder),
            encoding.query_encoder and whole_path(encoding.query_encoder),
            max(1, searchers),
            partial,
        )
        _on_ray(served, host, port)
        end(0)
    from lm.batching import together
    from pipelines.show import answers
    from serve.answering.answerer import Answerer
    from serve.app import create_app
    from serve.listening import listen
    from serve.server import Server

    with listen(host, port) as listener:

        def load() -> Answerer:
            opening = encoding.opening(device, index_in)
            retriever = open_stores([store, *(also or [])], opening, searchers, partial)
            answers.loading(reader)
            found = Answerer(retriever, together(open_reader(choice)))
            answers.serving(host, listener.getsockname()[1])
            return found

        # It listens before the models load: /health answers, and a port in use is worth knowing at once.
        app = create_app(load, settings=settings)
        Server(app).run(sockets=[listener])
        if app.state.failure is not None:
            raise app.state.failure
    end(0)


def _on_ray(served: "Served", host: str, port: int) -> None:
    """Serve until a signal. Raises RalmError for what cannot be served."""
    try:
        import ray
        from ray import serve as _  # noqa: F401
    except ImportError as error:
        raise RalmError(f"--ray needs Ray Serve ({error}): pip install 'ralm[scale]'.") from None
    from pipelines.execution.executor import start_ray
    from pipelines.show import answers
    from serve.listening import listen
    from serve.scaled.application import built
    from serve.scaled.running import run

    answers.loading(served.choice.name)
    application = built(served, None if os.environ.get("RAY_ADDRESS") else _sharing())
    with listen(host, port) as listener:  # It is free, or said not to be before minutes of loading.
        port = listener.getsockname()[1]
    start_ray()
    try:
        run(application, host, port, lambda: answers.serving(host, port))
    finally:
        ray.shutdown()


def _sharing() -> dict[str, object]:
    """Options of actors on one machine: they share its cores, which Ray would give to one of them each."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(cores())
    return {"num_cpus": 0.01, "runtime_env": {"env_vars": {"OMP_NUM_THREADS": threads}}}


def mcp(  # noqa: PLR0913
    store: Store,
    url: Annotated[str, typer.Option(help="address of a `ralm serve` whose pages show passages")] = "",
    device: SearchDevice = "cpu",
    index_in: IndexIn = "auto",
    encoding: QueryEncoding = QueryEncoding(),
    also: Also = None,
) -> None:
    """Offer a store to an assistant: the Model Context Protocol over stdin and stdout."""
    if url and not url.startswith(("http://", "https://")):
        raise RalmError(f"--url {url} is no address of a service: write it as http://127.0.0.1:8000.")
    from serve.routes.mcp.stdio import run

    # Without a service a passage has no page: `ralm:` names it all the same.
    run(open_stores([store, *(also or [])], encoding.opening(device, index_in)), url.rstrip("/") or "ralm:")
    end(0)


def key(
    name: Annotated[str, typer.Argument(help="whose key it is: the log names it so")],
    file: Annotated[Path, typer.Argument(help="file of keys, which ralm serve --keys reads")],
    per_minute: Annotated[int | None, typer.Option(min=1, help="requests that it may make")] = None,
) -> None:
    """Make a key for a service: print it, once, and add its hash to a file."""
    from pipelines.show.terminal import console
    from serve.admission.keys import add_key

    console.print(add_key(file, name, per_minute), soft_wrap=True)
