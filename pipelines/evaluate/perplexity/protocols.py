"""How running text is scored: what stands before what is scored, and where passages find room.

Decisions: docs/decisions/scoring.md.
"""

from dataclasses import dataclass, replace

from base.errors import RalmError
from base.names import did_you_mean
from lm.reader import Windows
from pipelines.evaluate.perplexity.strides import Pace
from retriever.refinement import Decontamination

WINDOW = 1024


@dataclass(frozen=True, slots=True)
class Protocol:
    """So many `passages` before each `stride` of a `window`, found by the `query` before it: all in tokens.

    A window of None is 1,024, or what the reader holds.

    `adds`: passages stand before the window, not in the place of its oldest text, and the first stride, which
    has no text before it, is not scored. `decontaminate` names the rules by which passages with the text are
    left out, among the first `depth` that are found (None: among all).
    """

    name: str
    passages: int
    window: int | None
    stride: int
    query: int
    adds: bool = False
    decontaminate: tuple[str, ...] = ("overlap",)
    depth: int | None = None

    def __post_init__(self) -> None:
        if self.passages < 1:
            raise RalmError(f"-k, the passages in front of a text, must be at least 1, not {self.passages}.")

    @property
    def rules(self) -> tuple[Decontamination, ...]:
        """What of passages is left out. Raises RalmError for an unknown name."""
        # MassiveDS asks after 13-grams by either measure, and after 32 words in a row.
        return tuple(
            Decontamination.by(one, 13 if one == "containment" else None) for one in self.decontaminate
        )

    def pace(self, longest: int) -> Pace:
        """Its windows and strides in a reader that holds so many tokens. Raises RalmError if it does not."""
        wanted = min(WINDOW, longest) if self.window is None else self.window
        window, stride = Windows(wanted, self.stride).within(longest)
        if self.adds and longest - window < 2:
            raise RalmError(
                f"Passages before a window of {window:,} tokens have no room in the {longest:,} that the "
                "reader holds: give a shorter --window, or take --protocol fixed."
            )
        return Pace(window, stride, self.query, longest - window - 1 if self.adds else 0)


# Passages take the place of the oldest text: both arms read as many tokens.
FIXED = Protocol("fixed", 1, None, 64, 32)
# As Shao et al. 2024 measure: passages are added, and the first half of a window finds them.
MASSIVEDS = Protocol("massiveds", 3, WINDOW, 512, 512, True, ("overlap", "jaccard", "containment"), 1000)
PROTOCOLS = {one.name: one for one in (FIXED, MASSIVEDS)}


def protocol(name: str, **changed: object) -> Protocol:
    """A protocol by its name, with what is not None of it changed. Raises RalmError for an unknown one."""
    if name not in PROTOCOLS:
        near = did_you_mean(name, PROTOCOLS)
        raise RalmError(f"There is no protocol {name!r}: valid are {', '.join(PROTOCOLS)}{near}")
    given = {field: value for field, value in changed.items() if value is not None}
    return replace(PROTOCOLS[name], **given)  # type: ignore[arg-type]
