"""The service under load, on loopback: searches beside a one-lock server and the bare encoder and index.

    python benchmarks/serve.py STORE [--clients 1,8,32,128] [--seconds 5] [--chats 1,4,16] [--ray]

Three servers of the same store take turns: `ralm serve`; the same encoder and index behind one lock in
Flask's own server, as services of this field run; and, in one process without HTTP, queries in batches of 32:
encoded alone, searched alone by their vectors, and both. No two queries are the same, but for the last row,
where all are. Clients are a process of their own that asks again as soon as it is answered.

CPU seconds count beside wall time: the load generator takes its share of the same cores, and so may others on
the machine. `of bare`: the CPU time that a query takes the slower of bare encoder and bare index, by what it
takes the server. `of bare, wall`: the same by queries a second, those of the server as if it had had the
load generator's share of the cores too.

With --ray a fourth one takes turns: `ralm serve --ray`, with one replica of each part on the same cores.

Chats are streamed, of --tokens tokens behind three passages: time to the first text, tokens a second.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

_WORDS = [
    *(
        "bridge",
        "river",
        "school",
        "language",
        "music",
        "island",
        "war",
        "queen",
        "church",
        "film",
        "station",
    ),
    *("market", "engine", "computer", "law", "planet", "forest", "painter", "novel", "battle", "harbour"),
    *(
        "museum",
        "railway",
        "disease",
        "metal",
        "poet",
        "empire",
        "flower",
        "army",
        "disk",
        "network",
        "village",
    ),
]
# A script's folder comes first: there this file stands for the package of its name.
sys.path.remove(str(Path(__file__).resolve().parent))
_LOAD = Path(__file__).parent / "service" / "load.py"
CORES = len(os.sched_getaffinity(0))
K, BATCH = 5, 32


def questions(seed: int) -> list[str]:
    """Questions no two of which are the same."""
    drawn, found = random.Random(seed), dict[str, None]()
    while len(found) < 20_000:
        one, other, third = drawn.sample(_WORDS, 3)
        found[
            f"what is known of the {one} by the {other} since the {third} of {drawn.randint(1000, 2020)}"
        ] = None
    return list(found)


def one_lock(store: Path) -> None:
    """Serve a store as the services of this field do: Flask's own server, one lock around all."""
    import logging
    from threading import Lock

    from flask import Flask, jsonify, request

    from retriever.local import LocalRetriever
    from retriever.request import Search
    from serve.listening import listen

    app, lock, retriever = Flask("one-lock"), Lock(), LocalRetriever.open(store)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    @app.post("/search")
    def search() -> Any:
        body = request.get_json()
        with lock:
            (ranking,) = retriever.search([body["query"]], retriever.settled(Search(body["k"])))
        hits = [{"text": hit.passage.text, "score": hit.score} for hit in ranking.hits]
        return jsonify({"results": hits})

    @app.get("/health")
    def health() -> Any:
        return jsonify({"status": "ok"})

    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    app.run("127.0.0.1", port, threaded=True)


def bare(store: Path) -> None:
    """Search without HTTP as standard input asks: a line `seconds`, a line of JSON back."""
    from retriever.local import LocalRetriever
    from retriever.request import Search
    from serve.queues.vectors import QueryVectors

    retriever = LocalRetriever.open(store)
    search = retriever.settled(Search(K))
    retriever.search(questions(999)[:BATCH], search)  # Kernels are prepared.
    print("ready", flush=True)
    for number, line in enumerate(sys.stdin):
        texts, found = questions(1000 + number), {}
        batches = iter([texts[at : at + BATCH] for at in range(0, len(texts), BATCH)] * 10)
        for name in ("encode", "index", "both"):
            made, queries = QueryVectors(0), 0
            began, used = time.perf_counter(), time.process_time()
            spent, spent_cpu = 0.0, 0.0
            while time.perf_counter() < began + spent + float(line):
                batch = next(batches)
                queries += BATCH
                if name == "encode":
                    retriever.encoder.encode_queries(batch)
                elif name == "both":
                    retriever.search(batch, search)
                else:
                    before, before_cpu = time.perf_counter(), time.process_time()
                    encoded = made.of(retriever.encoder, batch)
                    spent += time.perf_counter() - before
                    spent_cpu += time.process_time() - before_cpu
                    retriever.search(batch, search, None, None, encoded)
            seconds = time.perf_counter() - began - spent
            found[name] = {
                "rate": queries / seconds,
                "cpu": (time.process_time() - used - spent_cpu) / queries,
            }
        print(json.dumps(found), flush=True)


@contextmanager
def started(command: Sequence[str], log: IO[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that says a line when it is ready; what it logs goes to a file."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"A server ended: {Path(log.name).read_text()}")
        try:
            yield process, line
        finally:
            process.terminate()


def without_http(process: subprocess.Popen[str], seconds: float) -> dict[str, dict[str, float]]:
    """What bare encoder and index do now: queries a second, CPU seconds each; of each alone, and of both."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{seconds / 3}\n")
    process.stdin.flush()
    found: dict[str, dict[str, float]] = json.loads(process.stdout.readline())
    return found


def loaded(url: str, route: str, bodies: Sequence[dict[str, Any]], clients: int, seconds: float) -> Any:
    """What a load generator measures."""
    command = [sys.executable, str(_LOAD), url, route, "--clients", str(clients), "--seconds", str(seconds)]
    lines = "\n".join(json.dumps(body) for body in bodies)
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def cpu(process: subprocess.Popen[str]) -> float:
    """CPU seconds that a process has taken, and those that it has started: Ray's are many."""
    family = [psutil.Process(process.pid)]
    family += family[0].children(recursive=True)
    taken = 0.0
    for one in family:
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            taken += times.user + times.system
    return taken


def percentile(values: Sequence[float], share: float) -> float:
    """Of sorted values; NaN of none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def searches(args: argparse.Namespace, servers: dict[str, Any], bare_: subprocess.Popen[str]) -> None:
    """Load servers with searches and print a table; before each turn the bare ones are measured."""
    print(
        f"{'':10} {'clients':>7} {'queries/s':>9} {'p50 ms':>7} {'p99 ms':>7} {'errors':>6} "
        f"{'ms CPU/query':>12} {'load':>6} {'of bare':>8} {'of bare, wall':>13}"
    )
    points = [(number, False) for number in args.clients] + [(32, True)]
    for (clients, same), turn in ((point, turn) for point in points for turn in range(args.rounds)):
        found = without_http(bare_, args.seconds)
        for name, one in found.items():
            print(f"{f'bare {name}':10} {'':7} {one['rate']:9.1f} {'':22} {1000 * one['cpu']:12.2f}")
        alone = [found["encode"], found["index"]]
        slower, slowest = max(one["cpu"] for one in alone), min(one["rate"] for one in alone)
        for name, (process, url) in servers.items():
            asked = questions(100 * clients + 10 * turn + len(name) + same)
            bodies = [{"query": text, "k": K} for text in (asked[:1] if same else asked)]
            loaded(url, "/search", bodies[-64:], clients, 1)  # Connections, threads and kernels.
            before = cpu(process)
            found = loaded(url, "/search", bodies, clients, args.seconds)
            used = (cpu(process) - before) / found["requests"]
            rate = found["requests"] / found["seconds"]
            freed = 1 - found["cpu"] / found["seconds"] / CORES
            print(
                f"{name:10} {str(clients) + (' same' if same else ''):>7} {rate:9.1f} "
                f"{percentile(found['last'], 0.5):7.1f} {percentile(found['last'], 0.99):7.1f} "
                f"{found['errors']:6} {1000 * used:12.2f} {1000 * found['cpu'] / found['requests']:6.2f} "
                f"{slower / used:8.0%} {rate / freed / slowest:13.0%}",
                flush=True,
            )


def chats(args: argparse.Namespace, url: str) -> None:
    """Load a server with chats and print a table."""
    print(
        f"\n{'chats':>6} {'answers':>8} {'first text p50 s':>16} {'p99 s':>6} {'tokens/s':>9} {'errors':>6}"
    )
    for clients in args.chats:
        bodies = [
            {
                "messages": [{"role": "user", "content": text}],
                "max_tokens": args.tokens,
                "stream": True,
                "stream_options": {"include_usage": True},
                "retrieval": {"passages": 3},
            }
            for text in questions(clients)[:1000]
        ]
        found = loaded(url, "/v1/chat/completions", bodies, clients, 2 * args.seconds)
        print(
            f"{clients:6} {found['requests']:8} {percentile(found['first'], 0.5) / 1000:16.2f} "
            f"{percentile(found['first'], 0.99) / 1000:6.2f} {found['tokens'] / found['seconds']:9.1f} "
            f"{found['errors']:6}",
            flush=True,
        )


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between."""
    return [int(one) for one in text.split(",") if one]


def main() -> None:
    """Start the servers, load them in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--clients", type=numbers, default=[1, 8, 32, 128])
    parser.add_argument("--chats", type=numbers, default=[1, 4, 16])
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--role", choices=["one-lock", "bare"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        {"one-lock": one_lock, "bare": bare}[args.role](args.store)
        return
    me = [sys.executable, __file__, str(args.store), "--role"]
    serve = [sys.executable, "-m", "pipelines.cli", "serve", str(args.store), "--port", "0"]
    commands = {"ralm": serve, "one lock": [*me, "one-lock"]} | (
        {"ray": [*serve, "--ray"]} if args.ray else {}
    )
    with tempfile.NamedTemporaryFile("w+") as log, ExitStack() as running:
        bare_, _ = running.enter_context(started([*me, "bare"], log))
        servers = {}
        for name, command in commands.items():
            process, line = running.enter_context(started(command, log))
            found = re.search(r"http://\S+:\d+", line)
            assert found
            servers[name] = (process, found[0])
            _wait(f"{found[0]}/{'health' if name == 'one lock' else 'ready'}")
        searches(args, servers, bare_)
        for name in {*servers} - {"one lock"} if args.chats else ():
            print(f"\n{name}")
            chats(args, servers[name][1])


def _wait(address: str) -> None:
    """Until a server answers, and is ready."""
    for _ in range(600):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{address} does not answer.")


if __name__ == "__main__":
    main()
