"""The readers of a study: each in every quantization, and what it is known by in tables and caches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import xxhash

from base.errors import RalmError
from lm.backends.quantizations import DEFAULT_QUANTIZATION, STORED, quantization
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import require_memory
from lm.backends.remote.address import is_address
from lm.reader import Reader
from pipelines.evaluate.study.settings import ReaderSettings, Study
from pipelines.evaluate.tables import Basis, Cell

_REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Variant:
    """A reader in one quantization, which has its name."""

    settings: ReaderSettings
    quantization: str

    @property
    def choice(self) -> ReaderChoice:
        """How it is loaded."""
        one, stored = self.settings, self.quantization.startswith((STORED, _REMOTE))
        asked = None if stored else self.quantization
        return ReaderChoice(one.name, asked, one.adapter, one.device, one.allow_pickle)

    @property
    def adapter(self) -> str:
        """Its adapter's name in tables; empty without one."""
        return Path(self.settings.adapter).name if self.settings.adapter else ""

    def of(self, cell: Cell, conditioning: str) -> Cell:
        """A cell of what is found as one of what this reader makes of it."""
        return replace(
            cell,
            reader=self.settings.called,
            quantization=self.quantization,
            adapter=self.adapter,
            conditioning=conditioning,
        )

    @property
    def id(self) -> str:
        """A hash that names it among all readers: files and folders by what they hold."""
        one = self.settings
        parts = [one.name, self.quantization, *map(_held, (one.name, one.adapter or ""))]
        return xxhash.xxh3_64_hexdigest(orjson.dumps(parts))


def _held(path: str) -> str:
    """A hash of a file, or of all in a folder but what is hidden; nothing of what is neither."""
    root = Path(path)
    if not path or not root.exists():
        return ""
    each = [(one, one.relative_to(root)) for one in sorted(root.rglob("*")) if one.is_file()]
    shown = [(one, name) for one, name in each if not any(part.startswith(".") for part in name.parts)]
    files = shown if root.is_dir() else [(root, Path())]
    return xxhash.xxh3_128_hexdigest(
        orjson.dumps([(str(name), _hash(one, *_stamp(one))) for one, name in files])
    )


def _stamp(file: Path) -> tuple[int, int]:
    """What changes with a file: its size, and when it was written."""
    found = file.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=1024)
def _hash(file: Path, *_: int) -> str:
    """A hash of a file, read once while its stamp is the same: weights are many bytes."""
    found = xxhash.xxh3_128()
    with open(file, "rb") as handle:
        while block := handle.read(1 << 22):
            found.update(block)
    return found.hexdigest()


def variants_of(study: Study) -> Iterator[Variant]:
    """Every reader in every quantization.

    Raises RalmError for one that there is not, for two that tables could not tell apart, and for one whose
    weights are more than the memory that is at hand.
    """
    seen: dict[tuple[str, str, str], Variant] = {}
    for one in study.readers:
        for asked in study.quantizations:
            found = Variant(one, _settled(one, asked))
            key = (one.called, found.adapter, found.quantization)
            if key not in seen:
                require_memory(found.choice)
                yield found
            elif (other := seen[key].settings) != one:
                what = " ".join(part for part in (one.called, found.adapter, found.quantization) if part)
                raise RalmError(
                    f"Two readers would be one in tables, {what}: {other.name} and {one.name}; give each a "
                    "`label` of its own."
                )
            seen[key] = found


def _settled(settings: ReaderSettings, asked: str | None) -> str:
    """The quantization that a reader is loaded in. Raises RalmError for what is no reader."""
    choice = ReaderChoice(settings.name, asked, settings.adapter, settings.device, settings.allow_pickle)
    choice.require()
    if is_address(settings.name):
        return _REMOTE
    from lm.backends.loading import stored_method
    from lm.backends.weights import Weights

    stored = stored_method(Weights.find(settings.name, settings.allow_pickle))
    return f"{STORED}:{stored}" if stored else asked or DEFAULT_QUANTIZATION


def card_of(reader: Reader, variant: Variant) -> dict[str, Any]:
    """What is written of a reader beside its answers: its name, bytes, parameters, bits of a weight."""
    name, method = variant.quantization, variant.choice.quantization
    return {
        "reader": reader.name,
        "quantization": name,
        "adapter": variant.settings.adapter and Path(variant.settings.adapter).name,
        "bytes": reader.measured_bytes,
        "parameters": None if name == _REMOTE else parameters_of(variant.settings),
        "bits": quantization(method).bits if method else None,
    }


def parameters_of(settings: ReaderSettings) -> int:
    """The parameters of a reader, counted in a model of its shape that holds no weights."""
    return _parameters(settings.name, settings.allow_pickle)


@lru_cache(maxsize=64)
def _parameters(name: str, allow_pickle: bool) -> int:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from lm.backends.weights import Weights

    config = AutoConfig.from_pretrained(Weights.find(name, allow_pickle).path)
    config.quantization_config = None
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return int(sum({id(one): one.numel() for one in model.parameters()}.values()))


def with_reader(basis: Basis, card: dict[str, Any], settings: ReaderSettings) -> Basis:
    """What figures of answers rest on, beside what those of retrieval do."""
    return replace(
        basis,
        reader_bytes=card.get("bytes"),
        reader_parameters=card.get("parameters"),
        reader_bits=card.get("bits"),
        reader_training_tokens=settings.training_tokens,
    )
