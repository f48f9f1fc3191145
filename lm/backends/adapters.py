"""Adapters of PEFT's in folders: whether one fits a model, and attached to it.

Decisions: docs/decisions/reader-and-citations.md, tuning.md.
"""

import json
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import RalmError
from base.foreign import Refused, ask

# What `ralm tune` leaves beside its adapters.
MADE_OF = "made_of.json"
# From this probability of an abstention on, passages support no answer (benchmarks/reading/abstention.py).
UNLESS = 0.12
_SETTINGS, _WEIGHTS, _PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"


def require_adapter(folder: str, allow_pickle: bool = False) -> None:
    """Raise RalmError for a folder that holds no adapter, or only one that is a pickle."""
    for name in (_SETTINGS, _WEIGHTS):
        if (Path(folder) / name).is_file() or (name == _WEIGHTS and _is_pickled(folder) and allow_pickle):
            continue
        if name == _WEIGHTS and _is_pickled(folder):
            raise RalmError(
                f"The weights of the adapter {folder} are a pickle, which may run code: save them as "
                "safetensors, or give --allow-pickle if you trust them."
            )
        beside = "" if Path(folder).is_dir() else " and is no folder"
        raise RalmError(f"{folder} holds no adapter: it has no {name}{beside}.")


def _is_pickled(folder: str) -> bool:
    return not (Path(folder) / _WEIGHTS).exists() and (Path(folder) / _PICKLE).is_file()


def require_base(folder: str, names: Collection[str]) -> None:
    """Raise RalmError for an adapter that was made for a model of none of these names.

    It is asked before the model is loaded, which may take minutes.
    """
    base = _base(folder)
    if base and _last(base) not in {_last(name) for name in names}:
        raise RalmError(
            f"The adapter {folder} was made for {base}, not for {next(iter(names))}: choose that reader, or, "
            f"if both are the same, write this one's name as base_model_name_or_path into its {_SETTINGS}."
        )


def attached(model: Any, folder: str) -> Any:
    """A model with the adapter of a folder attached.

    Raises RalmError if the adapter was made for a model of other layers or sizes.
    """
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What is missing or left over is found below, and refused.
            # Without autocast: it would widen the adapter to float32, and cast what it reads at each layer.
            found = ask(PeftModel.from_pretrained, model, folder, autocast_adapter_dtype=False).eval()
            strange = ask(_strange, found, folder)
    except (Refused, OSError) as error:
        raise RalmError(f"The adapter {folder} does not fit this reader, or is damaged ({error}).") from None
    if strange:
        raise RalmError(
            f"The adapter {folder} was made for a model of other layers: {len(strange)} of its weights or of "
            f"the reader's have no counterpart, such as {strange[0]}."
        )
    return found


def _base(folder: str) -> str:
    path = Path(folder) / _SETTINGS
    try:
        return str(json.loads(path.read_bytes()).get("base_model_name_or_path") or "")
    except (OSError, ValueError, AttributeError):
        raise RalmError(f"{path} is no JSON object: the adapter {folder} is damaged.") from None


def _last(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()


def _strange(model: Any, folder: str) -> list[str]:
    """Weights that the folder has and the attached adapter has not, and the other way round."""
    from peft import get_peft_model_state_dict
    from peft.utils import load_peft_weights

    stored = set(load_peft_weights(folder, device="cpu"))
    wanted = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    left_over = {name for name in stored - wanted if ".lora_" in name}
    return sorted(left_over | (wanted - stored))


@dataclass(frozen=True, slots=True)
class Abstention:
    """What a reader says where passages tell nothing, and how likely that must be for it to say so.

    `unless` is how likely, where it is asked to answer only what passages support.
    """

    text: str
    bound: float = 0.5
    unless: float = UNLESS


def abstention(folder: str) -> Abstention | None:
    """How a reader with this adapter abstains; None if nobody taught it that."""
    try:
        found = json.loads((Path(folder) / MADE_OF).read_bytes())
        text, bound = found.get("abstention"), found.get("abstains_from", 0.5)
        unless = found.get("only_supported_below", UNLESS)
    except (OSError, ValueError, AttributeError):
        return None
    bounds = all(isinstance(one, float) and 0 < one < 1 for one in (bound, unless))
    return Abstention(text, bound, unless) if isinstance(text, str) and text and bounds else None
