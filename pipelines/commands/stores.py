"""The stores that a command searches: one or several, in this process or in a cluster of searchers."""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from base.errors import RalmError
from datastore.generations.manifest import Device
from datastore.objects.origin import address_of

if TYPE_CHECKING:
    from retriever.index.loading import Place
    from retriever.local import Retriever


@dataclass(frozen=True, slots=True)
class Opening:
    """How stores are opened: on which device, with the index where, by how many searchers (0: none).

    `encoder` and `query_encoder` are where the stores' own lie, if they have moved.
    `partial`: a cluster answers without the shards of a lost searcher, and says so. `words_only`: for BM25
    alone; encoder and index, which take seconds to load, are left until they are needed.
    """

    device: Device = "cpu"
    place: "Place" = "auto"
    encoder: str | None = None
    query_encoder: str | None = None
    searchers: int = 0
    partial: bool = False
    words_only: bool = False


def open_stores(paths: Sequence[Path], how: Opening) -> "Retriever":
    """A retriever of one store, or of several under their folders' names (or whole paths, if alike)."""
    if len(paths) == 1:
        found = _open(paths[0], how)
        return found if how.words_only else found.loaded()
    from retriever.several import SeveralRetriever

    names = [Path(address_of(path.absolute()).partition("?")[0]).name for path in paths]
    if len(set(names)) < len(names):
        names = [address_of(path) for path in paths]
    if len(set(names)) < len(names):
        twice = next(name for n, name in enumerate(names) if name in names[:n])
        raise RalmError(f"The store {twice} is given twice: name it once.")
    together = SeveralRetriever({name: _open(path, how) for name, path in zip(names, paths, strict=True)})
    return together if how.words_only else together.loaded()


def _open(path: Path, how: Opening) -> "Retriever":
    """A retriever of one store, without encoder and index as yet."""
    from retriever.local import Retriever

    if not how.searchers:
        return Retriever.open(path, how.encoder, how.device, how.place, how.query_encoder, words_only=True)
    if how.device != "cpu" or how.place != "auto":
        raise RalmError("Searchers of a cluster take no --device and no --index-in: leave them out.")
    import ray

    from pipelines.execution.executor import start_ray
    from retriever.cluster import ClusterRetriever

    if not ray.is_initialized():
        start_ray()
        atexit.register(ray.shutdown)
    # On one machine searchers share its CPUs; on a cluster each has one of its own.
    cpus = 1.0 if os.environ.get("RAY_ADDRESS") else 0.01
    return ClusterRetriever(
        path,
        how.searchers,
        how.partial,
        cpus=cpus,
        encoder=how.encoder,
        query_encoder=how.query_encoder,
    )
