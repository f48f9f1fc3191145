"""What `study.yaml` says of a study, as far as a report prints it or reckons with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from base.errors import RalmError
from pipelines.evaluate.analysis.footprint import Factors

FILE = "study.yaml"
_QUERIES = (1e3, 1e6, 1e9)
# Printed with the protocol.
_WORDS = ("machine", "date")


@dataclass(frozen=True)
class About:
    """A study's own words and numbers; whatever is not given is empty.

    `training_tokens` are those that each reader was trained on, `queries` for how many questions work is
    summed, `text` is the file itself.
    """

    title: str = "Scaling study"
    command: str = ""
    protocol: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    training_tokens: Mapping[str, float] = field(default_factory=dict)
    encoder_parameters: float | None = None
    queries: tuple[float, ...] = _QUERIES
    factors: Factors = field(default_factory=Factors)
    text: str = ""

    @classmethod
    def read(cls, folder: Path) -> "About":
        """What the folder's file says, if there is one. Raises RalmError for one that cannot be read."""
        path = folder / FILE
        if not path.exists():
            return cls()
        try:
            text = path.read_text(encoding="utf-8")
            found = yaml.safe_load(text) or {}
            return cls.of(found, text)
        except (OSError, yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise RalmError(
                f"{path} cannot be read as a study ({reason}): correct it, or remove it."
            ) from None

    @classmethod
    def of(cls, found: Mapping[str, Any], text: str = "") -> "About":
        """From a file's content."""
        encoder = found.get("encoder_parameters")
        said = dict(found.get("protocol") or {}) | {name: found[name] for name in _WORDS if name in found}
        return cls(
            title=str(found.get("title") or cls.title),
            command=str(found.get("command") or ""),
            protocol={str(name): _words(value) for name, value in said.items()},
            notes=tuple(str(one) for one in found.get("notes") or ()),
            training_tokens={
                str(name): float(value) for name, value in (found.get("training_tokens") or {}).items()
            },
            encoder_parameters=None if encoder is None else float(encoder),
            queries=tuple(float(one) for one in found.get("queries") or _QUERIES),
            factors=_factors(found.get("factors") or {}),
            text=text,
        )


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items())
    return ", ".join(map(_words, value)) if isinstance(value, list | tuple) else str(value)


def _factors(given: Mapping[str, Any]) -> Factors:
    usual = Factors()
    changed = {name: getattr(usual, name).given(float(value), "study.yaml") for name, value in given.items()}
    return replace(usual, **changed)
