"""What a study has measured: points, each with all that it depends on, and the tables of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from base.amounts import amount
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.intervals import Score
from pipelines.evaluate.metrics import Metric

# Of fewer questions a bootstrap interval is too narrow: of four that all succeed it is [100, 100].
_FEW = 30


@dataclass(frozen=True, slots=True)
class StoreShare:
    """A share of the store: so many samples of one fraction, of so many passages on average.

    Fraction 0 is the LM alone.
    """

    fraction: float
    seeds: int
    passages: int


@dataclass(frozen=True, slots=True)
class Basis:
    """What figures rest on: manifest, encoder and method of search; what reads, and how passages reach it."""

    manifest: str
    encoder: str
    method: str
    reader: str = ""
    quantization: str = ""
    adapter: str = ""
    reader_bytes: int | None = 0
    conditioning: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One figure of the curve and all that it depends on.

    `k` is the depth of a retrieval metric, or the passages a reader saw. `short` counts the (question, seed)
    pairs whose search found fewer than k passages.
    """

    metric: Metric
    k: int
    share: StoreShare
    score: Score
    short: int
    basis: Basis

    @property
    def heading(self) -> str:
        """Its column in a table."""
        return self.metric.heading(self.k)

    def to_row(self) -> dict[str, object]:
        """Its row in a table file: names and values."""
        return {
            "metric": self.metric.name,
            "k": self.k,
            **asdict(self.share),
            **asdict(self.score),
            "short": self.short,
            **asdict(self.basis),
        }


@dataclass(frozen=True)
class Curve:
    """All points of a study, and how many questions were `asked`; `notes` say which were not.

    `short` counts the rankings that hold fewer passages than the deepest metric looks at.
    """

    study: Study
    points: tuple[Point, ...]
    asked: int
    notes: tuple[str, ...] = ()
    short: int = 0

    def columns(self) -> list[str]:
        """Headings for people: fraction, passages, then one a metric."""
        return ["fraction", "passages", *dict.fromkeys(p.heading for p in self.points)]

    def questions(self) -> str:
        """How many questions there are, and how many of them each metric is taken over."""
        each = {
            p.metric.family: f"{p.score.n:,} with {p.metric.field} for {p.metric.family}" for p in self.points
        }
        return f"{amount(self.asked, 'questions')}: {', '.join(each.values())}"

    def few(self) -> str | None:
        """Says which metrics have so few questions that their intervals mean little; None if none has."""
        of = dict.fromkeys(point.metric.family for point in self.points if point.score.n < _FEW)
        if not of:
            return None
        return f"few questions: n below {_FEW} for {', '.join(of)}, whose intervals look surer than they are"

    def rows_for_people(self) -> list[list[str]]:
        """A row for each fraction, values in per cent with their interval."""
        names = self.columns()[2:]
        rows = []
        for fraction in sorted({p.share.fraction for p in self.points}):
            mine = {p.heading: p for p in self.points if p.share.fraction == fraction}
            passages = max(p.share.passages for p in mine.values())
            cells = [_cell(mine[name].score) if name in mine else "" for name in names]
            rows.append([f"{fraction:g}" if fraction else "LM alone", f"{passages:,}", *cells])
        return rows


def _cell(score: Score) -> str:
    return f"{100 * score.value:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"


def as_columns(points: Sequence[Point]) -> dict[str, list[object]]:
    """Points as columns, for a table file."""
    rows = [point.to_row() for point in points]
    return {name: [row[name] for row in rows] for name in rows[0]}
