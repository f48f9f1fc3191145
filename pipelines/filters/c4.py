"""The rules of C4 (Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified
Text-to-Text Transformer", 2.2, and the authors' code): lines first, then what is left of the page.

Without C4's list of bad words, which is no part of the paper.
"""

import re
from typing import ClassVar, Literal

from pipelines.filters.rule import Rejected, Rule, Verdict
from pipelines.filters.text import Text

_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_ENDS = (".", "?", "!", '"', "'")
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)")
POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


def sentences(line: str) -> int:
    """How many sentences a line has, at least one."""
    return max(1, len(_SENTENCE_END.findall(line)))


class C4(Rule):
    """Keeps lines that are sentences, and pages that have five of them and are neither code nor filler."""

    name: Literal["c4"] = "c4"
    source: ClassVar[str] = "Raffel et al. 2020, 2.2"
    min_sentences: int = 5
    min_words_per_line: int = 3
    max_word_characters: int = 1000
    punctuation: bool = True
    curly_brackets: bool = True

    def judge(self, text: Text) -> Verdict:
        kept: list[str] = []
        for raw in text.lines:
            line = self._sentence(raw.strip())
            if line is None:
                continue
            lower = line.lower()
            if "lorem ipsum" in lower:
                return Rejected("lorem_ipsum", "a line holds 'lorem ipsum'")
            if "javascript" in lower:
                continue
            if self.curly_brackets and "{" in line:
                return Rejected("curly_bracket", "a line holds a curly bracket")
            if not any(policy in lower for policy in POLICIES):
                kept.append(line)
        # A line is a sentence at least: where there are enough lines, they need not be counted.
        if len(kept) < self.min_sentences and (found := sum(map(sentences, kept))) < self.min_sentences:
            return Rejected("sentences", f"{found} sentences, at least {self.min_sentences}")
        return text.with_body("\n".join(kept).strip(), len(text.lines) - len(kept))

    def _sentence(self, line: str) -> str | None:
        """A line without citation marks, if it ends as a sentence does and is as long as one."""
        ends = line.endswith(_ENDS) and not line.endswith("...")
        # Most lines that go end here; a citation mark behind the full stop is taken away first.
        if self.punctuation and not ends and "[" not in line:
            return None
        words = line.split()
        if len(words) < self.min_words_per_line or max(map(len, words)) > self.max_word_characters:
            return None
        if "[" not in line:
            return line
        line = _CITATION.sub("", line)
        ends = line.endswith(_ENDS) and not line.endswith("...")
        return line if ends or not self.punctuation else None


class BoilerplateLines(Rule):
    """Drops lines about cookies, terms of use and JavaScript, and nothing else, as C4 does."""

    name: Literal["boilerplate_lines"] = "boilerplate_lines"
    source: ClassVar[str] = "Raffel et al. 2020, 2.2"
    phrases: tuple[str, ...] = ("javascript", *POLICIES)

    def judge(self, text: Text) -> Verdict:
        lower = text.body.lower()
        if not any(phrase in lower for phrase in self.phrases):
            return text
        lines = text.body.split("\n")
        kept = [line for line in lines if not self._matches(line.lower())]
        if not any(line.strip() for line in kept):
            return Rejected("nothing_left", "every line is boilerplate")
        return text.with_body("\n".join(kept), len(lines) - len(kept))

    def _matches(self, lower: str) -> bool:
        return any(phrase in lower for phrase in self.phrases)
