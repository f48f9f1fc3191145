"""The stores that a command searches: one or several, in this process or in a cluster of searchers."""

import atexit
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from base.errors import RalmError

if TYPE_CHECKING:
    from retriever.opened import Opening
    from retriever.retriever import Retriever


def whole_path(name: Path | str) -> str:
    """What names the same in another process: the whole path of what lies here, any other name as it is."""
    return str(Path(name).absolute()) if Path(name).exists() else str(name)


def require_cpu(device: str, place: str) -> None:
    """Raise RalmError for what searchers of a cluster cannot be told."""
    if device != "cpu" or place != "auto":
        raise RalmError("Searchers of a cluster take no --device and no --index-in: leave them out.")


def open_stores(
    paths: Sequence[Path], how: "Opening", searchers: int = 0, partial: bool = False
) -> "Retriever":
    """A retriever of these stores, with so many searchers for each (0: in this process).

    `partial`: answers come without the shards of a lost searcher, and say so.
    """
    from retriever.opening import open_retriever

    if not searchers:
        return open_retriever(*paths, how=how)
    require_cpu(how.device, how.place)
    import ray

    from pipelines.execution.executor import start_ray
    from retriever.cluster.actors import Searchers

    if not ray.is_initialized():
        start_ray()
        atexit.register(ray.shutdown)
    # On one machine searchers share its CPUs; on a cluster each has one of its own.
    cpus = 1.0 if os.environ.get("RAY_ADDRESS") else 0.01
    return open_retriever(*paths, how=how, searchers=Searchers(searchers, partial, cpus=cpus))
