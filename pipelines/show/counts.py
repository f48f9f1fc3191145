"""What a job counted, as rows: a name and a number."""

from collections.abc import Mapping

from base.amounts import amount
from datastore.files.layout import Layout
from datastore.generations.manifest import DOUBTFUL
from pipelines.jobs.stages import DROPPED
from pipelines.passages.unknown import unknown
from pipelines.show.terminal import console


def dropped(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Rows for doubtful documents, what is left out, why passages are dropped, and each file of questions."""
    return [row for kind in DROPPED for row in kind.rows(counts)]


def known_ids(counts: Mapping[str, int], layout: Layout | None) -> str:
    """What to say of documents whose domain and id came before; empty if there are none.

    `layout` is that of the job that counted; None of one that was given up with its lists.
    """
    number = counts.get("removed.duplicate_id", 0)
    if not number:
        return ""
    listed = f" ({layout.removed('duplicate_id', 0).parent}/ lists them)" if layout else ""
    return (
        f"Left out for a domain and id that came before: {amount(number, 'documents')}{listed}. If these are "
        "different documents that happen to share an id, name their files as sources, each with a domain of "
        "its own."
    )


def unknown_tokens(counts: Mapping[str, int], encoder: str) -> list[tuple[str, str]]:
    """A row for each source of which the encoder does not know some tokens, from a thousandth on."""
    found = unknown(counts, encoder)
    rows = [(f"unknown tokens: {one.source}", one.share) for one in found]
    rows += [(f"passages of unknown tokens: {one.source}", one.share_of_passages) for one in found]
    return [(what, f"{share:.1%}") for what, share in rows if share >= 1e-3]


def warn_of_unknown(counts: Mapping[str, int], encoder: str) -> None:
    """Print what there is to say of sources with many unknown tokens."""
    for one in unknown(counts, encoder):
        if one.warning:
            console.print(one.warning, style="yellow", markup=False)


def doubtful(counts: Mapping[str, int]) -> str:
    """What to say of documents that came out of damaged data."""
    count = amount(counts[DOUBTFUL], "documents")
    return (
        f"Read out of damaged compressed data and maybe altered: {count}. What filters kept of them is "
        "indexed; removed/.../doubtful/ lists them by file and record. Fetch those files anew to be sure."
    )
