"""What embedding costs an encoder: parameters, layers and width, read without loading its weights."""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from base.errors import RalmError
from datastore.files.json import read_json
from retriever.encoding.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """An encoder as a plan knows it.

    `parameters` are those outside embedding tables, `layers_width` is the number of layers times their width,
    `max_tokens` counts special tokens too.
    """

    name: str
    dimension: int
    parameters: int
    layers_width: int
    max_tokens: int

    def flops(self, length: float) -> float:
        """Floating point operations for one token in a passage of `length`.

        2 for each parameter that a token is multiplied with, and 4 for each layer, position and component of
        attention's two products (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", 2.1: there 2,
        as a position sees only those before it).
        """
        return 2 * self.parameters + 4 * self.layers_width * length

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "EncoderShape":
        """Read it from an encoder's folder. Raises RalmError if that does not say enough."""
        config = _json(checkpoint.folder / "config.json")
        try:
            layers, width = int(config["num_hidden_layers"]), int(config["hidden_size"])
        except (KeyError, TypeError, ValueError):
            raise RalmError(
                f"{checkpoint.folder} does not say how many layers the encoder has, and how wide: give "
                "--dimension and --encoder-parameters."
            ) from None
        inner = int(config.get("intermediate_size") or 4 * width)
        counted = _stored_parameters(checkpoint.folder) or layers * (4 * width**2 + 2 * width * inner)
        dimension = checkpoint.dimension or width
        return cls(checkpoint.name, dimension, counted, layers * width, checkpoint.max_tokens)

    @classmethod
    def given(cls, name: str, dimension: int, parameters: int, max_tokens: int) -> "EncoderShape":
        """One of which only this is known: vectors as wide as the layers, 12 width² parameters in each."""
        return cls(name, dimension, parameters, math.ceil(parameters / (12 * dimension)), max_tokens)


# The packaged encoder, which the rates were measured with.
MINILM = EncoderShape("all-MiniLM-L6-v2", 384, 10_646_784, 6 * 384, 256)


def _json(path: Path) -> dict[str, Any]:
    found = read_json(path) if path.exists() else {}
    return found if isinstance(found, dict) else {}


def _stored_parameters(folder: Path) -> int:
    """Numbers in the weight files but for embedding tables, from their headers; 0 for other formats."""
    return sum(
        math.prod(tensor["shape"])
        for path in sorted(folder.glob("*.safetensors"))
        for name, tensor in _header(path).items()
        # Pooling takes the layers' outputs: what a checkpoint calls its pooler is of another task.
        if name.endswith((".weight", ".bias")) and "embed" not in name and "pooler" not in name
    )


def _header(path: Path) -> dict[str, Any]:
    """The JSON in front of a safetensors file: 8 bytes of its length, then itself."""
    try:
        with open(path, "rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            found: dict[str, Any] = orjson.loads(handle.read(length))
    except (OSError, struct.error, orjson.JSONDecodeError):
        raise RalmError(f"{path} is not a safetensors file: fetch the encoder again.") from None
    return found
