"""How a caller opens what it wants to search: one store or several, in this process or in a cluster."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from base.errors import RalmError
from datastore.objects.origin import address_of, locate, name_of
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.retriever import Retriever

if TYPE_CHECKING:
    from retriever.cluster.actors import Searchers


def open_retriever(
    *stores: Path | str, how: Opening = Opening(), searchers: "Searchers | None" = None
) -> Retriever:
    """A retriever of one store, or of several under their folders' names (or whole paths, if alike).

    `searchers`, if given, hold the shards of each store; else this process does. Raises RalmError naming what
    is missing or damaged.
    """
    paths = [locate(store) for store in stores]
    if len(paths) == 1:
        return _open(paths[0], how, searchers)
    from retriever.several import SeveralRetriever

    # One encoder for all: each store's own is not loaded.
    lazily = replace(how, words_only=True)
    named = zip(names_of(paths), paths, strict=True)
    together = SeveralRetriever({name: _open(path, lazily, searchers) for name, path in named})
    return together if how.words_only else together.loaded()


def names_of(paths: Sequence[Path]) -> list[str]:
    """What several stores are called: their folders' names, or whole paths if these are alike."""
    names = [name_of(path) for path in paths]
    if len(set(names)) < len(names):
        names = [address_of(path) for path in paths]
    if len(set(names)) < len(names):
        twice = next(name for n, name in enumerate(names) if name in names[:n])
        raise RalmError(f"The store {twice} is given twice: name it once.")
    return names


def _open(path: Path, how: Opening, searchers: "Searchers | None") -> Retriever:
    if searchers is None:
        return LocalRetriever.open(path, how)
    from retriever.cluster.retriever import ClusterRetriever

    return ClusterRetriever.open(path, searchers, how)
