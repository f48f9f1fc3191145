"""Examples of questions with answers, for readers that continue plain text."""

from dataclasses import dataclass

from lm.conditioning.sources import Source

# How a reader says that the passages do not hold the answer.
DO_NOT_KNOW = "I do not know."


@dataclass(frozen=True, slots=True)
class Shot:
    """A question with its answer, and the passages that this is read from, best first."""

    question: str
    answer: str
    passages: tuple[Source, ...] = ()


_SPIDERS = Source(
    "Spiders",
    "Spiders have eight legs, insects have six. Most spiders spin silk, which is stronger than hair.",
)
_MERCURY = Source(
    "Mercury (metal)",
    "Mercury is the one metal that is liquid at room temperature. It was used in thermometers.",
)
_SLATE = Source(
    "Slate", "Slate splits into thin sheets, so roofs are made of it. It is quarried in the open."
)

SHOTS = (
    Shot(
        "Which metal is liquid at room temperature?",
        "Mercury is liquid at room temperature.",
        (_MERCURY, _SLATE),
    ),
    Shot("Who was the first to quarry slate in the valley of Orl?", DO_NOT_KNOW, (_SLATE,)),
    Shot("How many legs does a spider have?", "A spider has eight legs.", (_SPIDERS,)),
)
