"""Weights to a model of transformers on its device, in one of several precisions.

Decisions: docs/decisions/reader-and-citations.md, docs/decisions/tuning.md.
"""

import contextlib
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch

from base.errors import RalmError
from base.foreign import Refused, ask
from lm.backends.adapters import attached, require_base
from lm.backends.devices import Offload, best_dtype, file_bytes, hold_embeddings, placement, settled
from lm.backends.quantizations import DEFAULT_QUANTIZATION, STORED, Quantization, quantization
from lm.backends.reader_choice import ReaderChoice, on_a_gpu_alone
from lm.backends.stored import require_loadable, stored_format
from lm.backends.weights import Weights, unknown_reader

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


# Formats whose layers have no weights that an adapter could be attached to before the first token.
_WIDENED_FIRST = ("compressed-tensors",)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A tokenizer and a model; `quantization` is how its weights are kept: stored:gptq, if they came so."""

    tokenizer: Any
    model: Any
    quantization: str


def load(weights: Weights, choice: ReaderChoice, to_learn: bool = False) -> Loaded:
    """The tokenizer and the model of a choice. Raises RalmError for what cannot be loaded so.

    A model that is `to_learn` from has seen no token: on a CPU 4-bit weights are packed at the first one, and
    no gradient passes a packed layer.
    """
    if adapter := choice.adapter or weights.adapter:
        require_base(adapter, weights.names)
    device = settled(choice.device)
    method = stored_method(weights)
    wanted = _wanted(weights, choice, method, device)
    dtype = best_dtype(device)
    offload = Offload()
    options = placement(device, file_bytes(weights.path, dtype)) | {
        "dtype": dtype,
        "offload_folder": offload.folder,
        "use_safetensors": None if choice.allow_pickle else True,
    }
    if wanted.config:
        options["quantization_config"] = wanted.config(dtype, wanted.threshold)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = _loaded(weights, AutoTokenizer.from_pretrained, weights.path)
    model = _loaded(weights, AutoModelForCausalLM.from_pretrained, weights.path, **options).eval()
    offload.belongs_to(model)
    hold_embeddings(model)
    if method in _WIDENED_FIRST:
        _loaded(weights, _run_once, model)
    # Before the first token: PEFT reads the state of the weights, which undoes how a CPU packs 4 bits.
    if adapter:
        model = attached(model, adapter)
    if (method or wanted.config) and not to_learn:
        _loaded(weights, _run_once, model)
    return Loaded(tokenizer, model, f"{STORED}:{method}" if method else wanted.name)


def stored_method(weights: Weights) -> str | None:
    """How weights are quantized already; None if they are not. Raises RalmError for what is no model."""
    try:
        return stored_format(weights.path)
    except (Refused, OSError) as error:
        raise unknown_reader(weights.name, _short(error)) from None


def _wanted(weights: Weights, choice: ReaderChoice, method: str | None, device: torch.device) -> Quantization:
    """The quantization to load with: of weights that are quantized already none but theirs."""
    if method:
        require_loadable(weights.name, method, choice.quantization, device.type == "cpu")
        return quantization(STORED)
    if choice.quantization == STORED:
        raise RalmError(
            f"The weights of {weights.name} are not stored quantized: leave --quantization out, or choose "
            f"{DEFAULT_QUANTIZATION}."
        )
    found = quantization(choice.quantization or DEFAULT_QUANTIZATION)
    found.require_package()
    if found.gpu_only and device.type == "cpu":
        raise on_a_gpu_alone(found.name)
    return found


def _loaded(
    weights: Weights, load: Callable[Arguments, Answer], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Answer:
    """What transformers loads of a reader; what it cannot load is a sentence."""
    try:
        # Libraries for quantized weights draw progress bars that no setting turns off.
        with contextlib.redirect_stderr(io.StringIO()):
            return ask(load, *args, **kwargs)
    except (Refused, OSError, ImportError) as error:
        whose = "its folder" if Path(weights.path).is_dir() else "the hub's files"
        raise RalmError(
            f"The reader {weights.name} cannot be loaded from {whose} ({_short(error)}): they are damaged, "
            "not whole, or of a kind that needs another package or more memory."
        ) from None


def _run_once(model: Any) -> None:
    """One token through a model: packages pack or widen their weights for this hardware at the first.

    What weights take is measured behind it, and what a kernel refuses is refused here.
    """
    with torch.no_grad():
        model(torch.zeros(1, 1, dtype=torch.long, device=model.device))


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]


def quiet_imports() -> None:
    """Keep notes on kernels that cannot be loaded here, and loading bars, off the user's terminal."""
    for name in ("torchao", "torch.utils._pytree", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
