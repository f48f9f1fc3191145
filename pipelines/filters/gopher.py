"""The rules of Gopher (Rae et al. 2021, "Scaling Language Models", appendix A.1.1 and table A1)."""

from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.filters.rule import Rejected, Rule, Verdict
from pipelines.filters.text import Text, duplicates
from pipelines.filters.words import TOP_GRAMS, Words, longer

_ELLIPSES = ("...", "…")
_BULLETS = ("•", "-")


class GopherQuality(Rule):
    """Documents of a sound number of sound words, not of symbols, bullets or cut-off lines."""

    name: Literal["gopher_quality"] = "gopher_quality"
    source: ClassVar[str] = "Rae et al. 2021, A.1.1"
    counts_words: ClassVar[bool] = True
    min_words: int = 50
    max_words: int = 100_000
    min_mean_length: float = 3
    max_mean_length: float = 10
    max_symbols_per_word: float = 0.1
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_words_with_letter: float = 0.8
    min_stop_words: int = 2

    def judge(self, text: Text) -> Verdict:
        reason = self._of_words(text) or self._of_symbols(text) or self._of_lines(text)
        return reason or self._of_language(text) or text

    def _of_words(self, text: Text) -> Rejected | None:
        count = len(text.words) - text.words.tally.symbols
        if count < max(1, self.min_words):
            return Rejected("short_doc", f"{count} words, at least {self.min_words}")
        if count > self.max_words:
            return Rejected("long_doc", f"{count} words, at most {self.max_words}")
        mean = text.words.tally.characters / count
        if mean < self.min_mean_length:
            return Rejected("short_words", f"words of {mean:.2f} characters, at least {self.min_mean_length}")
        if mean > self.max_mean_length:
            return Rejected("long_words", f"words of {mean:.2f} characters, at most {self.max_mean_length}")
        return None

    def _of_symbols(self, text: Text) -> Rejected | None:
        for name, symbols in (("hashes", ("#",)), ("ellipses", _ELLIPSES)):
            share = sum(map(text.body.count, symbols)) / len(text.words)
            if share > self.max_symbols_per_word:
                return Rejected(name, f"{share:.2f} {name} a word, at most {self.max_symbols_per_word}")
        return None

    def _of_lines(self, text: Text) -> Rejected | None:
        for name, what, marks, most, marked in (
            ("bullets", "begin with a bullet", _BULLETS, self.max_bullet_lines, _beginning_with),
            ("cut_lines", "end in an ellipsis", _ELLIPSES, self.max_ellipsis_lines, _ending_in),
        ):
            # Most texts have fewer marks in all than lines that may have one.
            if sum(map(text.body.count, marks)) <= most * len(text.lines):
                continue
            share = marked(text.lines, marks) / len(text.lines)
            if share > most:
                return Rejected(name, f"{share:.0%} of lines {what}, at most {most:.0%}")
        return None

    def _of_language(self, text: Text) -> Rejected | None:
        share = text.words.tally.lettered / len(text.words)
        if share < self.min_words_with_letter:
            return Rejected(
                "letters", f"{share:.0%} of words have a letter, at least {self.min_words_with_letter:.0%}"
            )
        found = text.words.tally.stop_words
        if found < self.min_stop_words:
            return Rejected("stop_words", f"{found} stop words, at least {self.min_stop_words}")
        return None


class GopherRepetition(Rule):
    """Documents that do not repeat lines, paragraphs or word n-grams."""

    name: Literal["gopher_repetition"] = "gopher_repetition"
    source: ClassVar[str] = "Rae et al. 2021, table A1"
    counts_words: ClassVar[bool] = True
    max_line_share: float = 0.3
    max_paragraph_share: float = 0.3
    max_line_characters: float = 0.2
    max_paragraph_characters: float = 0.2
    max_top: dict[int, float] = Field({2: 0.2, 3: 0.18, 4: 0.16})
    max_repeated: dict[int, float] = Field({5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10})

    def judge(self, text: Text) -> Verdict:
        return self._of_parts(text) or self._of_n_grams(text) or text

    def _of_parts(self, text: Text) -> Rejected | None:
        for name, parts, share, characters in (
            ("paragraphs", text.paragraphs, self.max_paragraph_share, self.max_paragraph_characters),
            ("lines", text.filled_lines, self.max_line_share, self.max_line_characters),
        ):
            count, repeated = duplicates(parts)
            if count / len(parts) > share:
                return Rejected(
                    f"repeated_{name}", f"{count / len(parts):.0%} of {name} repeat an earlier one"
                )
            if repeated / max(1, len(text.body)) > characters:
                found = repeated / len(text.body)
                return Rejected(f"{name}_characters", f"repeated {name} hold {found:.0%} of the characters")
        return None

    def _of_n_grams(self, text: Text) -> Rejected | None:
        grams, size = _NGrams(text.words), max(1, len(text.body))
        return self._of_top(grams, text.words, size) or self._of_repeated(grams, text.words, size)

    def _of_top(self, grams: "_NGrams", words: Words, size: int) -> Rejected | None:
        counted = dict(zip(TOP_GRAMS, words.tally.top_grams, strict=True))
        most_frequent = len(words)
        for n, allowed in sorted(self.max_top.items()):
            # No longer n-gram comes more often; most texts need not be looked at further.
            most_frequent = counted.get(n, most_frequent)
            if most_frequent * (n * (words.tally.longest + 1) - 1) <= allowed * size:
                continue
            if most_frequent * grams.longest(n) <= allowed * size:
                continue
            characters, most_frequent = grams.top(n)
            if characters / size > allowed:
                return Rejected(
                    f"top_{n}_gram", f"one {n}-gram holds {characters / size:.0%} of the characters"
                )
        return None

    def _of_repeated(self, grams: "_NGrams", words: Words, size: int) -> Rejected | None:
        # No longer n-gram repeats what no shorter one does.
        none = min(self.max_repeated, default=5) >= 5 and not words.tally.repeated_fives
        covered = 0 if none else size
        for n, allowed in sorted(self.max_repeated.items()):
            if covered <= allowed * size:
                continue
            covered = grams.covered(n)
            characters = grams.repeated(n) if covered > allowed * size else 0
            if characters / size > allowed:
                return Rejected(
                    f"repeated_{n}_grams",
                    f"repeated {n}-grams hold {characters / size:.0%} of the characters",
                )
        return None


def _beginning_with(lines: list[str], marks: tuple[str, ...]) -> int:
    return sum([line.lstrip().startswith(marks) for line in lines])


def _ending_in(lines: list[str], marks: tuple[str, ...]) -> int:
    return sum([line.rstrip().endswith(marks) for line in lines])


class _NGrams:
    """The n-grams of a text's words. Of a text with fewer than n words there are none."""

    def __init__(self, words: Words) -> None:
        self._lengths = words.lengths
        self._hashes = {1: words.hashes}

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Characters up to each word, and to the end: [words + 1]."""
        return np.concatenate([[0], np.cumsum(self._lengths)])

    def _of(self, n: int) -> NDArray[np.uint64]:
        if n not in self._hashes:
            self._hashes[n] = longer(self._of(n - 1), self._hashes[1], n)
        return self._hashes[n]

    def _characters(self, n: int) -> NDArray[np.int64]:
        """Characters of each n-gram, spaces left out."""
        found: NDArray[np.int64] = self._ends[n:] - self._ends[:-n]
        return found

    def longest(self, n: int) -> int:
        """Characters of the longest n-gram, spaces between its words included."""
        return int(self._characters(n).max(initial=0)) + n - 1

    def top(self, n: int) -> tuple[int, int]:
        """Characters of the most frequent n-gram (the first of equal ones), spaces included, times its
        count; and the count."""
        hashes = self._of(n)
        if not len(hashes):
            return 0, 0
        ordered = np.sort(hashes)
        changes = np.ones(len(ordered) + 1, bool)
        np.not_equal(ordered[1:], ordered[:-1], out=changes[1:-1])
        (edges,) = np.nonzero(changes)
        counts = edges[1:] - edges[:-1]
        count = int(counts.max())
        frequent = ordered[edges[:-1][counts == count]]
        places = np.minimum(np.searchsorted(frequent, hashes), len(frequent) - 1)
        first = 0 if count == 1 else int(np.argmax(frequent[places] == hashes))
        return (int(self._characters(n)[first]) + n - 1) * count, count

    def covered(self, n: int) -> int:
        """Characters of the words that lie in an n-gram which repeats an earlier one."""
        hashes = self._of(n)
        ordered = np.sort(hashes)
        if not (ordered[1:] == ordered[:-1]).any():
            return 0
        order = np.argsort(hashes, kind="stable")
        at = np.sort(order[1:][hashes[order[1:]] == hashes[order[:-1]]])
        inside = np.zeros(len(self._ends), np.int64)
        inside[at] += 1
        inside[at + n] -= 1
        return int(np.diff(self._ends)[np.cumsum(inside)[:-1] > 0].sum())

    def repeated(self, n: int) -> int:
        """Characters of the n-grams that repeat an earlier one, going on behind each that does."""
        hashes, ends = self._of(n).tolist(), self._ends.tolist()
        seen: set[int] = set()
        at = characters = 0
        while at < len(hashes):
            if hashes[at] in seen:
                characters += ends[at + n] - ends[at]
                at += n
            else:
                seen.add(hashes[at])
                at += 1
        return characters
