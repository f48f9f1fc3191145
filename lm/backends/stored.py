"""Checkpoints whose weights are quantized already: in which format, and what that needs to be loaded.

Decisions: docs/decisions/reader-and-citations.md.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from base.errors import RalmError
from base.foreign import ask
from lm.backends.quantizations import STORED


@dataclass(frozen=True, slots=True)
class Format:
    """A format as config.json calls it; `packages` that load it, each with what pip calls it."""

    name: str
    packages: tuple[tuple[str, str], ...] = ()
    gpu_only: bool = False


# What transformers loads beside these is tried; its own error then says what it lacks.
_FORMATS = {
    one.name: one
    for one in (
        Format("gptq", (("optimum", "optimum"), ("gptqmodel", "gptqmodel"))),
        Format("awq", (("gptqmodel", "gptqmodel"),)),
        Format("compressed-tensors", (("compressed_tensors", "compressed-tensors"),)),
        # Without a GPU that multiplies them its weights are widened to 16 bits.
        Format("fp8"),
        Format("fbgemm_fp8", (("fbgemm_gpu", "fbgemm-gpu-genai"),), gpu_only=True),
        Format("bitsandbytes", (("bitsandbytes", "bitsandbytes"),)),
        Format("torchao", (("torchao", "torchao"),)),
        Format("spqr", (("spqr_quant", "spqr_quant[gpu]"),), gpu_only=True),
    )
}


def stored_format(path: str) -> str | None:
    """What format the weights of a folder, or of a model of the hub, are quantized in; None if they are not.

    Raises Refused where its config.json is none.
    """
    from transformers import PretrainedConfig

    found, _ = ask(PretrainedConfig.get_config_dict, path)
    # Multimodal models keep the text model's settings apart.
    for config in (found, found.get("text_config") or {}):
        for key in ("quantization_config", "compression_config"):
            if config.get(key):
                return _method(config[key])
    return None


def _method(config: dict[str, Any]) -> str:
    # Early checkpoints of bitsandbytes and of compressed-tensors do not name their own.
    if config.get("load_in_8bit") or config.get("load_in_4bit"):
        return "bitsandbytes"
    return str(config.get("quant_method") or "compressed-tensors")


def require_loadable(name: str, method: str, quantization: str | None, cpu: bool) -> None:
    """Raise RalmError if stored weights are to be quantized anew, or lack what their format needs."""
    if quantization not in (None, STORED):
        raise RalmError(
            f"The weights of {name} are quantized already ({method}): leave --quantization out, or choose "
            f"{STORED}."
        )
    form = _FORMATS.get(method, Format(method))
    if missing := [pip for package, pip in form.packages if find_spec(package) is None]:
        needs = " ".join(missing)
        raise RalmError(
            f"The weights of {name} are stored as {method}: run `pip install {needs}` to load them."
        )
    if form.gpu_only and cpu:
        raise RalmError(f"The weights of {name} are stored as {method}, which has kernels on GPUs alone.")
