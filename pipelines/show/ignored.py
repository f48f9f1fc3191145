"""Which files of a folder are not read, in a sentence: their kinds, and what would read them."""

from collections import Counter
from collections.abc import Sequence

from base.amounts import amount
from datastore.files.layout import Layout
from pipelines.readers.formats import UNPACKED, ending, only_unpacked

_SHOWN_KINDS = 8


def ignored(names: Sequence[str]) -> str:
    """The kinds of files that are not read, the most frequent first; empty for none."""
    if not names:
        return ""
    kinds = Counter(map(ending, names))
    ranked = sorted(kinds, key=lambda kind: (-kinds[kind], kind))
    shown = [f"{kinds[kind]:,} {kind or 'without an ending'}" for kind in ranked[:_SHOWN_KINDS]]
    if others := ranked[_SHOWN_KINDS:]:
        shown.append(f"{sum(kinds[kind] for kind in others):,} of {amount(len(others), 'other kinds')}")
    return (
        f"Ignored {amount(len(names), 'files')} of kinds that ralm does not read: {', '.join(shown)}. "
        f"({_mend(names)}.)"
    )


def _mend(names: Sequence[str]) -> str:
    """What would make ralm read them."""
    packed = sum(map(only_unpacked, names))
    told = "`reader:` of a source in a --config says how its files are read, whatever they are called"
    return "; ".join([told] * (packed < len(names)) + [UNPACKED] * (packed > 0))


def ignored_by(layout: Layout) -> str:
    """The same of a job that has begun."""
    return ignored(layout.read_settings().get("ignored", ()))
