"""What the commands print: tables and passages for people, JSON for programs."""

from pipelines.show.answers import answer, hits, loading, serving
from pipelines.show.builds import built, dry_run
from pipelines.show.changes import added, compacted, deleted, discarded, swept, would_delete
from pipelines.show.measurements import card, curve
from pipelines.show.state import status, verified
from pipelines.show.terminal import console, print_json

__all__ = [
    "added",
    "answer",
    "built",
    "card",
    "compacted",
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
    "verified",
    "would_delete",
]
