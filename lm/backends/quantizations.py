"""Which quantizations of a reader there are: names, kernels, and what each needs, loaded when asked for.

A quantization is written as its name everywhere: on the command line, in studies and in replies. One that has
a threshold may have it behind a colon (`llm-int8:4.0`).

Decisions: docs/decisions/reader-and-citations.md.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from base.errors import RalmError
from base.names import did_you_mean

# Of weights that are not quantized yet; others stay as they are stored.
DEFAULT_QUANTIZATION = "int8"
# Weights that are quantized already, as they are.
STORED = "stored"


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the weights of linear layers are kept. The output matrix and the embeddings stay as they are.

    `kernel` multiplies by them. `bits` are those of a weight with its constants, before padding. `package` is
    what it needs, by the name that pip knows. `config` makes, of the data type of what is not quantized and
    of the threshold, what transformers loads them by.
    """

    name: str
    kernel: str
    bits: float
    package: str = ""
    gpu_only: bool = False
    threshold: float | None = None
    config: Callable[[Any, float | None], Any] | None = None

    def require_package(self) -> None:
        """Raise RalmError if the package that it needs is not installed."""
        if self.package and find_spec(self.package) is None:
            raise RalmError(
                f"The quantization {self.name} needs {self.package}: run `pip install {self.package}`, "
                "or choose another --quantization."
            )


def quantization(written: str) -> Quantization:
    """The quantization that is written so. Raises RalmError that lists the valid ones."""
    name, colon, threshold = written.partition(":")
    found = _BY_NAME.get(name)
    if found is None:
        valid = ", ".join(QUANTIZATIONS)
        near = did_you_mean(written, QUANTIZATIONS)
        raise RalmError(f"Unknown quantization {written!r}: valid are {valid}{near}")
    if not colon:
        return found
    if found.threshold is None:
        raise RalmError(f"The quantization {name} takes no threshold: write {name}.")
    return replace(found, name=written, threshold=_threshold(written, threshold))


def _threshold(written: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise RalmError(f"The threshold of {written!r} must be a number from 0 on, as in llm-int8:4.0.")
    return found


def _llm_int8(dtype: Any, threshold: float | None) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=threshold)


def _four_bits(kind: str, double: bool) -> Callable[[Any, float | None], Any]:
    def config(dtype: Any, threshold: float | None) -> Any:
        from transformers import BitsAndBytesConfig

        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=kind,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_use_double_quant=double,
        )

    return config


def _int8(dtype: Any, threshold: float | None) -> Any:
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    return TorchAoConfig(Int8WeightOnlyConfig())


def _fp8(dtype: Any, threshold: float | None) -> Any:
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, PerRow
    from transformers import TorchAoConfig

    return TorchAoConfig(Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()))


def _int4(dtype: Any, threshold: float | None) -> Any:
    from torchao.quantization import Int4WeightOnlyConfig
    from transformers import TorchAoConfig

    # The packing that torch itself has a kernel for. Widths of small models are multiples of 64, not of 128.
    return TorchAoConfig(Int4WeightOnlyConfig(group_size=_GROUP, int4_packing_format="tile_packed_to_4d"))


# Weights that share a scale. bitsandbytes: a float32; doubly quantized 8 bits, and a float32 for 256 of those
# (QLoRA: Dettmers et al. 2023, section 3). int4: a scale and a zero point in bfloat16.
_GROUP = 64
_SINGLE, _DOUBLE = 4 + 32 / _GROUP, 4 + 8 / _GROUP + 32 / (_GROUP * 256)

# LLM.int8 (Dettmers et al. 2022): columns of activations beyond the threshold are multiplied in 16 bits.
_ALL = (
    Quantization("none", "torch", 16),
    Quantization("int8", "torchao, weight-only", 8, "torchao", config=_int8),
    Quantization("llm-int8", "bitsandbytes, LLM.int8", 8, "bitsandbytes", threshold=6.0, config=_llm_int8),
    Quantization("nf4", "bitsandbytes", _SINGLE, "bitsandbytes", config=_four_bits("nf4", False)),
    Quantization("nf4-double", "bitsandbytes", _DOUBLE, "bitsandbytes", config=_four_bits("nf4", True)),
    Quantization("fp4", "bitsandbytes", _SINGLE, "bitsandbytes", config=_four_bits("fp4", False)),
    Quantization("fp4-double", "bitsandbytes", _DOUBLE, "bitsandbytes", config=_four_bits("fp4", True)),
    Quantization("fp8", "torchao, scaled_mm by rows", 8, "torchao", gpu_only=True, config=_fp8),
    Quantization("int4", "torchao, tinygemm", 4 + 32 / _GROUP, "torchao", gpu_only=True, config=_int4),
    Quantization(STORED, "of the checkpoint's format", 16),
)
_BY_NAME = {one.name: one for one in _ALL}
QUANTIZATIONS = tuple(_BY_NAME)
