"""The rules that FineWeb adds to Gopher's and C4's (Penedo et al. 2024, "The FineWeb Datasets", 3.6)."""

from functools import lru_cache
from typing import ClassVar, Literal

import regex

from pipelines.filters.rule import Rejected, Rule, Verdict
from pipelines.filters.text import Text, duplicates


@lru_cache(maxsize=1)
def terminal_marks() -> frozenset[str]:
    """What ends a sentence in any script: Unicode's Sentence_Terminal, and Khmer's marks, as in FineWeb."""
    pattern = regex.compile(r"\p{Sentence_Terminal}")
    return frozenset(c for c in map(chr, range(0x20000)) if pattern.match(c)) | set("៖៙៚")


class FineWeb(Rule):
    """Documents whose lines are sentences: punctuated, not short, not repeated."""

    name: Literal["fineweb"] = "fineweb"
    source: ClassVar[str] = "Penedo et al. 2024, 3.6"
    counts_words: ClassVar[bool] = True
    min_punctuated_lines: float = 0.12
    max_short_lines: float = 0.67
    short_line: int = 30
    max_repeated_characters: float = 0.01
    max_lines_per_word: float = 0.3

    def judge(self, text: Text) -> Verdict:
        return self._of_lines(text) or text

    def _of_lines(self, text: Text) -> Rejected | None:
        lines = [line for line in text.body.split("\n") if line.strip()]
        if not lines:
            return Rejected("empty", "no line holds anything")
        marks = terminal_marks()
        share = sum(line[-1] in marks for line in lines) / len(lines)
        if share < self.min_punctuated_lines:
            return Rejected(
                "punctuation",
                f"{share:.0%} of lines end a sentence, at least {self.min_punctuated_lines:.0%}",
            )
        share = sum(len(line) <= self.short_line for line in lines) / len(lines)
        if share > self.max_short_lines:
            return Rejected(
                "short_lines",
                f"{share:.0%} of lines have at most {self.short_line} characters, "
                f"at most {self.max_short_lines:.0%} may",
            )
        feeds = text.body.count("\n")
        share = duplicates(lines)[1] / (len(text.body) - feeds)
        if share > self.max_repeated_characters:
            return Rejected(
                "repeated_lines",
                f"repeated lines hold {share:.1%} of the characters, "
                f"at most {self.max_repeated_characters:.0%}",
            )
        share = feeds / len(text.words)
        if share > self.max_lines_per_word:
            return Rejected("lists", f"{share:.2f} line feeds a word, at most {self.max_lines_per_word}")
        return None
