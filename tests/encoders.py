"""Small encoders of random weights, laid out on the disk as the published families are."""

import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from tests.corpus import documents

WIDTH = 32
QWEN_PROMPT = "Instruct: Given a question, retrieve passages that answer it\nQuery:"
_BERT = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
_WORDS = [d["text"] for d in documents()] + ["query: passage: Represent this sentence", QWEN_PROMPT]


def bert(folder: Path, seed: int = 0, scale: float = 1.0) -> Path:
    """A plain BERT, as Contriever and each of DRAGON's towers are published."""
    torch.manual_seed(seed)
    tokenizer = _wordpiece()
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.5,  # Or all texts look alike.
    )
    model = BertModel(config)
    # Of unlike components, or the last layer's norm gives all vectors one length.
    model.encoder.layer[-1].output.LayerNorm.weight.data *= 2 * scale * torch.rand(WIDTH)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **_BERT).save_pretrained(folder)
    return folder


def with_modules(folder: Path, pooling: str, normalize: bool = True, **config: object) -> Path:
    """Make a sentence-transformers model of a plain one, as E5 and GTE (mean), BGE (cls) and Qwen3 are."""
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    modules = [
        {
            "idx": n,
            "name": str(n),
            "path": f"{n}_{kind}" if n else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for n, kind in enumerate(kinds)
    ]
    modes = {"mean": "mean_tokens", "cls": "cls_token", "last": "lasttoken"}
    stated = {f"pooling_mode_{name}": kind == pooling for kind, name in modes.items()}
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 128, "do_lower_case": False})
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, **stated})
    if normalize:
        (folder / "2_Normalize").mkdir()
    _write(folder / "config_sentence_transformers.json", config)
    return folder


def xlm_roberta(folder: Path) -> Path:
    """A multilingual E5: its tokenizer marks where words begin, so that a space is part of the next one."""
    torch.manual_seed(5)
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(_WORDS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=514,
        initializer_range=0.5,
    )
    XLMRobertaModel(config).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512, pad_token="<pad>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)
    return with_modules(folder, "mean")


def modern_bert(folder: Path) -> Path:
    """A GTE of the newer kind, with rotary positions and local attention."""
    torch.manual_seed(6)
    tokenizer = _wordpiece()
    config = ModernBertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.5,
        pad_token_id=0,
        bos_token_id=2,
        cls_token_id=2,
        eos_token_id=3,
        sep_token_id=3,
    )
    ModernBertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **_BERT).save_pretrained(folder)
    return with_modules(folder, "cls")


def qwen3(folder: Path) -> Path:
    """A decoder whose last token's vector is taken, as Qwen3-Embedding is published."""
    torch.manual_seed(3)
    tokenizer = _byte_level()
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.5,
        architectures=["Qwen3ForCausalLM"],
    )
    Qwen3Model(config).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=128,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
    )
    fast.save_pretrained(folder)
    prompts = {"query": QWEN_PROMPT, "document": ""}
    return with_modules(folder, "last", prompts=prompts, similarity_fn_name="cosine")


def _wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(_WORDS, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def _byte_level() -> Tokenizer:
    """As Qwen's: one mark may begin a word, so that ":what" is one piece, and a text ends in one token."""
    tokenizer = Tokenizer(models.BPE())
    pattern = pre_tokenizers.Split(
        Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"), "isolated"
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pattern, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # A piece that only a prompt and a query make together.
    tokenizer.train_from_iterator([*_WORDS, *[":who :which :what"] * 50], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)]
    )
    return tokenizer


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
