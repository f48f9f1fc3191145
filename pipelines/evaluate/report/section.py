"""What a report is made of: sections with claims, tables and figures. Knows no study and no markup."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

# A number, and maybe its unit or interval behind it.
_FIGURE = re.compile(r"[+−-]?\d[\d,.]*(e[+-]?\d+)?(%|\s.*)?")


@dataclass(frozen=True)
class Table:
    """Rows of text under headings. Columns that hold figures are set to the right.

    One that is `folded` is shown to who asks for it, and not printed: a shorter one stands before it.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False

    @property
    def figures(self) -> tuple[bool, ...]:
        """Which columns hold figures."""
        return tuple(
            all(_is_figure(row[at]) for row in self.rows) if self.rows else False
            for at in range(len(self.columns))
        )


def _is_figure(text: str) -> bool:
    return not text or text == "–" or text.startswith("none") or _FIGURE.fullmatch(text) is not None


@dataclass(frozen=True)
class Figure:
    """A drawing by its file's name, as SVG and PNG; `alt` says what it shows to who cannot see it."""

    name: str
    caption: str
    alt: str
    svg: bytes = field(repr=False)
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class Section:
    """One part of a report. `absent` says why there is nothing to show; `claims` have intervals."""

    name: str
    title: str
    intro: str = ""
    claims: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    absent: str = ""
