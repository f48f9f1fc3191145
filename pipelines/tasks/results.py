"""What a study of tasks gives, and its files: lm-eval's results, and beside them all that they depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from datastore.files.writing import atomic_write
from pipelines.evaluate.intervals import Score, clusters_of, difference

RESULTS = "results.json"


@dataclass(frozen=True)
class Gain:
    """How much more a metric is, with passages than alone, over the same instances."""

    task: str
    metric: str
    score: Score


@dataclass(frozen=True)
class TaskResults:
    """lm-eval's results with passages (or of the reader alone), and alone, if both were asked for.

    `basis` is what they depend on.
    """

    found: Mapping[str, Any]
    basis: Mapping[str, Any]
    alone: Mapping[str, Any] | None = None
    gains: Sequence[Gain] = field(default=())


def gains(found: Mapping[str, Any], alone: Mapping[str, Any]) -> list[Gain]:
    """Differences by task and metric, where a metric is a number of each instance."""
    pairs = []
    for task, samples in found["samples"].items():
        ours, theirs = _by_instance(samples), _by_instance(alone["samples"][task])
        for name in sorted({name for _, name in ours}):
            docs = [doc for doc, of in ours if of == name and (doc, name) in theirs]
            clusters = clusters_of([ours[doc, name][1] for doc in docs])
            values = [np.array([of[doc, name][0] for doc in docs], np.float64) for of in (ours, theirs)]
            pairs.append(Gain(task, name, difference(values[0], values[1], clusters)))
    return pairs


def _by_instance(samples: Sequence[Mapping[str, Any]]) -> dict[tuple[int, str], tuple[float, list[str]]]:
    """Values and gold documents by instance and metric, as lm-eval calls it: `acc,none`."""
    return {
        (one["doc_id"], f"{metric},{one['filter']}"): (
            float(one[metric]),
            list(one["doc"].get("gold_docs") or []),
        )
        for one in samples
        for metric in one["metrics"]
        if isinstance(one[metric], int | float | np.number | np.bool_)
    }


def write(results: TaskResults, folder: Path) -> None:
    """Write results.json, and for each task what was asked and answered."""
    folder.mkdir(parents=True, exist_ok=True)
    _forget(folder)
    sets = [("", results.found), *([("alone-", results.alone)] if results.alone else [])]
    files = []
    for prefix, one in sets:
        for task, samples in one["samples"].items():
            files.append(f"samples-{prefix}{task.replace('/', '_')}.jsonl")
            lines = b"".join(_json(sample) + b"\n" for sample in samples)
            _write(folder / files[-1], lines)
    content = {
        **_without_samples(results.found),
        "ralm": {**results.basis, "gains": [asdict(one) for one in results.gains], "files": files},
    }
    if results.alone:
        content["alone"] = _without_samples(results.alone)
    _write(folder / RESULTS, _json(content, orjson.OPT_INDENT_2))


def _write(path: Path, content: bytes) -> None:
    atomic_write(path, lambda handle: handle.write(content))


def _forget(folder: Path) -> None:
    """Delete what an earlier study wrote: samples of other tasks would pass for this one's."""
    try:
        files = orjson.loads((folder / RESULTS).read_bytes())["ralm"]["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in files:
        (folder / Path(str(name)).name).unlink(missing_ok=True)


def _without_samples(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "samples"}


def _json(content: object, option: int = 0) -> bytes:
    return orjson.dumps(
        content, default=str, option=option | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    )
