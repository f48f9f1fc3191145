"""Tiny random models in folders, as transformers saves them: what a test compares with a plain loop.

Each kind attends otherwise: grouped heads, experts, ALiBi, a sliding window, learned positions.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2MoeConfig,
)

from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader

# The tokens of a context, unless a test asks for another length. Bloom has no such limit.
CONTEXT = 96
# Far shorter than a test's texts, so that the window is felt.
SLIDING = 12

_WIDE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_GROUPED = {**_WIDE, "intermediate_size": 48, "num_key_value_heads": 2}
_TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
# As wide as the blocks of 64 weights that share a scale: for quantizations, not among those compared.
WIDE = "llama-wide"
_CORPUS = [
    "The people of Dunmarrow make blue glass, and sell it in the market on the old bridge.",
    "Who built the old bridge? Ansel Mirn built it, of grey stone, in the year of the flood.",
    "The river runs by the town. What is the capital of France? Paris, on the Seine.",
]


def _mixture(**more: Any) -> PretrainedConfig:
    return Qwen2MoeConfig(
        **_GROUPED, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24,
        shared_expert_intermediate_size=24, **more,
    )  # fmt: skip


# By name: a function from what all configurations share to a configuration.
KINDS: dict[str, Callable[..., PretrainedConfig]] = {
    "llama": lambda **more: LlamaConfig(**_GROUPED, tie_word_embeddings=False, **more),
    "llama-tied": lambda **more: LlamaConfig(**_GROUPED, tie_word_embeddings=True, **more),
    "mixtral": lambda **more: MixtralConfig(**_GROUPED, num_local_experts=4, **more),
    "qwen2-moe": _mixture,
    "mistral-sliding": lambda **more: MistralConfig(**_GROUPED, sliding_window=SLIDING, **more),
    "bloom-alibi": lambda **more: BloomConfig(hidden_size=32, n_layer=2, n_head=4, **more),
    "gpt2-learned": lambda **more: GPT2Config(
        n_embd=32, n_layer=2, n_head=4, n_positions=more["max_position_embeddings"], **more
    ),
}

# Those that read otherwise than by keys and values alone, or change logits behind the output matrix.
OTHER_KINDS: dict[str, Callable[..., PretrainedConfig]] = {
    "mamba-state": lambda **more: MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, **more),
    "gemma2-soft-cap": lambda **more: Gemma2Config(
        **_GROUPED,
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=SLIDING,
        attn_implementation="eager",
        **more,
    ),
}

_QUANTIZABLE: dict[str, Callable[..., PretrainedConfig]] = {
    WIDE: lambda **more: LlamaConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        tie_word_embeddings=False,
        **more,
    ),
}


def tiny_model(folder: Path, kind: str = "llama", context: int = CONTEXT, begins: bool = False) -> Path:
    """Save a random float32 model of a kind with its tokenizer, and return the folder.

    `context` [tokens] is the most that it holds. `begins`: its tokenizer puts <s> before a text, as Llama's
    does. The same arguments give the same weights.
    """
    tokenizer = _tokenizer(begins)
    config = (KINDS | OTHER_KINDS | _QUANTIZABLE)[kind](
        vocab_size=len(tokenizer),
        max_position_embeddings=context,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for parameter in model.parameters():
            # As initialized, every next token is as likely as any other.
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def random_adapter(folder: Path, target: Path, wide_first: bool = False, rank: int = 4) -> Path:
    """Save an adapter of all linear maps whose weights are random: as they begin it would change nothing."""
    from peft import LoraConfig, get_peft_model

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    kind = LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM", fan_in_fan_out=wide_first)
    adapted = get_peft_model(model, kind)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    adapted.save_pretrained(target)
    return target


def tiny_reader(folder: Path, adapter: Path | None = None) -> TransformersReader:
    """The model of a folder as a reader, in float32 whatever the machine multiplies best."""
    found = TransformersReader(ReaderChoice(str(folder), "none", str(adapter) if adapter else None))
    found._model.float()
    return found


def _tokenizer(begins: bool) -> PreTrainedTokenizerFast:
    """A byte-level BPE of a few sentences: it knows every text, and spaces go with words as in GPT-2."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        _CORPUS,
        trainers.BpeTrainer(
            vocab_size=384,
            special_tokens=["<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if begins:
        inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    found = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    found.chat_template = _TEMPLATE
    return found
