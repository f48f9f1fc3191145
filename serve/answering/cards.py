"""What people want to know of an opened store before they ask it: from its manifest, card and measured files.

Knows no HTTP.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from base.errors import RalmError
from datastore.files.json import read_json
from retriever.opened import OpenedStore
from retriever.ranking.card import Rung


@dataclass(frozen=True, slots=True)
class Taken:
    """What the jobs of a store took, added up: seconds of work and joules; None where nobody measured."""

    seconds: float | None
    joules: float | None
    energy_sources: Sequence[str]


def taken(opened: OpenedStore) -> Taken:
    """From the files beside a store's manifests. They are in no checksum: one that is lost is not missed."""
    folder = opened.store.layout.measured_manifest(0).parent
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.measured.json")):
        with suppress(RalmError, OSError):
            found.append(read_json(path))
    sources = sorted({source for one in found for source in one.get("energy_sources", [])})
    joules = sum(one.get("joules", 0.0) for one in found) or None
    return Taken(sum(one.get("seconds", 0.0) for one in found) or None, joules if sources else None, sources)


def usual_rung(opened: OpenedStore) -> Rung | None:
    """What a search of the build's recall takes, as the index's card measured it; None without one.

    No index is loaded to say it.
    """
    if opened.card is None:
        return None
    recall = opened.store.manifest.index.recall
    able = [one for one in opened.card.rungs if one.recall_10 >= recall]
    return min(able, key=_pace, default=None) or max(opened.card.rungs, key=lambda one: one.recall_10)


def _pace(rung: Rung) -> float:
    return rung.milliseconds
