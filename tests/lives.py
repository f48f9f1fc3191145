"""The life of an index, each in a process of its own: a crash of FAISS's is an outcome and not an end.

`python -m tests.lives` reads lines of JSON, [key, rows, dimension], and answers each by one line: `ok`,
`refused` with the sentence, or what went wrong.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

_SECONDS = 120


class Lives:
    """A process that lets indexes live; started once, for importing FAISS takes longer than most lives."""

    def __init__(self):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.lives"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def live(self, key, rows, dimension):
        self._process.stdin.write(json.dumps([key, rows, dimension]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _live(text, rows, dimension, root):
    """Train, write, load, search whole and in a view, re-score, measure: as builds and searches do."""
    from datastore.view import View
    from retriever.index.faiss_index import to_bytes, train
    from retriever.index.loading import on_disk
    from retriever.index.probation import train_apart
    from retriever.index.sizing import IndexKey
    from retriever.ranking.measuring import measure
    from retriever.ranking.setting import Setting
    from tests import vectors as drawn

    key = IndexKey.parse(text)
    vectors = drawn.embeddings(rows, 5, dimension)
    make = train_apart if key.foreign else train
    trained = to_bytes(make(key, vectors.astype(np.float32)))
    drawn.trained = lambda *_: trained
    store = drawn.make_store(root, np.arange(rows), vectors, text, per_shard=max(1, rows // 2))
    queries = vectors[:10].astype(np.float32)
    retriever = drawn.make_retriever(store, queries)
    names = [str(n) for n in range(len(queries))]
    for setting in (Setting(retriever.index.nlist, 0), Setting(retriever.index.nlist, rows)):
        whole, part = retriever.search_many(names, [View(), View(0.5)], drawn.dense(5, setting=setting))
    # Re-scored, each vector is its own best; a graph of two neighbours does not lead to all.
    found = [float(one.hits[0].score) > 0.99 for one in whole]
    assert np.mean(found) >= (0.5 if key.is_graph else 1), "the best is not found"
    assert all(len(one.hits) <= 5 for one in part)
    measure(store, retriever.index, queries)
    assert key.bytes(rows, dimension) > 0
    if key.has_lists:
        on_disk(root, store.manifest)


def _outcome(text, rows, dimension):
    from base.errors import RalmError

    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as root:
        try:
            _live(text, rows, dimension, Path(root))
        except RalmError as error:
            return f"refused {error}"
        except BaseException:  # noqa: BLE001 Whatever it is, it is what the test is about.
            return f"wrong {traceback.format_exc(limit=-3)}"
    return "ok"


def _apart(text, rows, dimension):
    ours, theirs = os.pipe()
    process = os.fork()
    if not process:
        signal.alarm(_SECONDS)
        os.write(theirs, _outcome(text, rows, dimension).encode()[:4000])
        os._exit(0)
    os.close(theirs)
    _, status = os.waitpid(process, 0)
    with os.fdopen(ours) as said:
        found = said.read()
    return found if not os.WIFSIGNALED(status) else f"crashed by signal {os.WTERMSIG(status)}"


if __name__ == "__main__":
    # Once, before there are children: it takes longer than most of their lives.
    for module in (
        "retriever.ranking.measuring",
        "retriever.index.loading",
        "retriever.index.probation",
        "tests.vectors",
    ):
        importlib.import_module(module)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_apart(*json.loads(line))) + "\n")
        sys.stdout.flush()
