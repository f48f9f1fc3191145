"""What is to be known of a model: how it is called, and what it keeps of the tokens that it has read."""

import inspect
from dataclasses import dataclass
from typing import Any

from transformers.cache_utils import DynamicCache

# Rotary places that depend on the length of the whole text: its beginning has other keys in a longer one.
_BY_LENGTH = {"dynamic", "longrope"}


@dataclass(frozen=True, slots=True)
class Call:
    """What a model takes beside tokens.

    `cache` is the name of the keys and values before them, None if it takes none; `places` says whether it
    takes the positions of tokens, `few_logits` whether it can be asked for the last logits alone.
    """

    cache: str | None
    places: bool
    few_logits: bool

    @classmethod
    def of(cls, model: Any) -> "Call":
        """The call of a model of transformers, with an adapter or without."""
        plain = model.get_base_model() if hasattr(model, "get_base_model") else model
        takes = inspect.signature(plain.forward).parameters
        # Newer versions of transformers call so what was past_key_values before.
        cache = next((name for name in ("cache", "past_key_values") if name in takes), None)
        return cls(cache, "position_ids" in takes, "logits_to_keep" in takes)


def cache_layers(config: Any) -> set[type[Any]]:
    """The kinds of layers in a model's cache."""
    return {type(layer) for layer in DynamicCache(config=config).layers}


def turns_by_length(config: Any) -> bool:
    """Whether positions are turned by more as a text grows, in some layers."""
    told = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    # Some models have several kinds of layers, with rotary places of their own.
    each = [one for one in told.values() if isinstance(one, dict)] or [told]
    return any((one.get("rope_type") or one.get("type")) in _BY_LENGTH for one in each)
