"""Weights to a model of transformers in memory, in one of several precisions.

Decisions: docs/decisions/reader-and-citations.md.
"""

import logging
from typing import Any

import torch

from base.errors import RalmError
from lm.backends.weights import Weights, unknown_reader


def load(weights: Weights, quantization: str, adapter: str | None = None) -> tuple[Any, Any]:
    """The tokenizer and the model of a reader, with an adapter (a folder of PEFT's) where one is given."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = best_dtype()
    options: dict[str, Any] = {"dtype": dtype, "device_map": "cpu"}
    if quantization in ("nf4", "llm-int8"):
        options["quantization_config"] = _bitsandbytes(quantization, dtype)
    try:
        tokenizer = AutoTokenizer.from_pretrained(weights.path)
        model = AutoModelForCausalLM.from_pretrained(weights.path, **options).eval()
    except (OSError, ValueError) as error:
        raise unknown_reader(weights.name, " ".join(str(error).split())[:120]) from None
    if quantization == "int8":
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        quantize_(model, Int8WeightOnlyConfig(), filter_fn=_is_inner_linear)
    return tokenizer, with_adapter(model, adapter) if adapter else model


def with_adapter(model: Any, folder: str) -> Any:
    """A model with the adapter of a folder attached. Raises RalmError if it is none of this model's."""
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, folder).eval()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RalmError(f"The adapter {folder} does not fit this reader ({reason}).") from None


def _is_inner_linear(module: torch.nn.Module, name: str) -> bool:
    # The output matrix is most often the input embedding too: quantized, it would be held twice.
    return isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")


def _bitsandbytes(quantization: str, dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if quantization == "llm-int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def best_dtype() -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively, else float32."""
    found = torch.cpu.get_capabilities()
    native = found.get("avx512_bf16") or found.get("amx_bf16")
    return torch.bfloat16 if native else torch.float32


def quiet_imports() -> None:
    """Keep notes on kernels that cannot be loaded here, and loading bars, off the user's terminal."""
    for name in ("torchao", "torch.utils._pytree", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
