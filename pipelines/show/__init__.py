"""What the commands print: tables and passages for people, JSON for programs.

A module of it is imported when something of it is printed: `ralm --help` and errors are to come at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.show.answers import answer, hits, loading, serving
    from pipelines.show.asking import confirmed
    from pipelines.show.builds import built, dry_run
    from pipelines.show.changes import (
        added,
        compacted,
        deleted,
        discarded,
        swept,
        to_delete,
        to_discard,
        would_delete,
    )
    from pipelines.show.measurements import card, curve
    from pipelines.show.state import status, verified
    from pipelines.show.terminal import console, print_json

_NAMES = {
    "answers": ("answer", "hits", "loading", "serving"),
    "asking": ("confirmed",),
    "builds": ("built", "dry_run"),
    "changes": (
        "added",
        "compacted",
        "deleted",
        "discarded",
        "swept",
        "to_delete",
        "to_discard",
        "would_delete",
    ),
    "measurements": ("card", "curve"),
    "state": ("status", "verified"),
    "terminal": ("console", "print_json"),
}

__all__ = [
    "added",
    "answer",
    "built",
    "card",
    "compacted",
    "confirmed",
    "console",
    "curve",
    "deleted",
    "discarded",
    "dry_run",
    "hits",
    "loading",
    "print_json",
    "serving",
    "status",
    "swept",
    "to_delete",
    "to_discard",
    "verified",
    "would_delete",
]


def __getattr__(name: str) -> Any:
    for module, names in _NAMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
