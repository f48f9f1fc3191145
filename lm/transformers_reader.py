"""The reader in this process: a prompt to text by a transformers model, in one of several precisions.

Knows models and tokens; knows no passages.

Decisions: docs/decisions/reader-and-citations.md.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock, Thread
from typing import Any

import torch
from jinja2 import TemplateError

from base.errors import RalmError
from lm.conditioning import Message
from lm.reader import Completion, ReaderStopped, Sampling, TextStream
from lm.threads import paced
from lm.weights import (
    DEFAULT_QUANTIZATION,
    Weights,
    require_quantization,
    unknown_reader,
)


class TransformersReader:
    """A causal language model of transformers, held in this process. One request at a time."""

    def __init__(self, name: str, quantization: str = DEFAULT_QUANTIZATION) -> None:
        require_quantization(quantization)
        quiet_imports()
        weights = Weights.find(name)
        self.name = weights.name
        self.quantization = quantization
        self._tokenizer, self._model = _load(weights, quantization)
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self.bytes = measured_bytes(self._model)
        # Models without a fixed length of context do not say one.
        self.context_tokens = int(getattr(self._model.config, "max_position_embeddings", None) or 2**31)
        end = self._model.generation_config.eos_token_id
        self._ends = set(end) if isinstance(end, list) else {end}
        # Generation is one user's at a time: two at once would share the same cores, and seeds.
        self._busy = Lock()
        self._end = _End()

    def stop(self) -> None:
        """Let what is being generated end after its next token, and whoever asks for more be refused.

        Those get a ReaderStopped. For a process that is to end: in a thread that computes it would crash.
        """
        self._end.come()

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without special ones."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompt(self, conversation: Sequence[Message]) -> str:
        """A conversation as this model's own chat template writes it, up to the model's turn."""
        try:
            found: str = self._tokenizer.apply_chat_template(
                list(conversation), tokenize=False, add_generation_prompt=True
            )
        except (ValueError, TemplateError) as error:
            raise RalmError(
                f"The chat template of {self.name} does not take this conversation ({error}): choose an "
                "instruction-tuned reader, or other roles."
            ) from None
        return found

    def complete(self, prompts: Sequence[str], sampling: Sampling) -> list[Completion]:
        """Continue several prompts as one batch."""
        inputs = self._inputs(prompts, sampling)
        width = inputs["input_ids"].shape[1]
        with self._busy:
            out = self._generate(inputs, sampling)
        self._end.check()
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [
            self._completion(row[width:].tolist(), int(length), sampling)
            for row, length in zip(out, lengths, strict=True)
        ]

    def stream(self, prompt: str, sampling: Sampling) -> TextStream:
        """Continue one prompt, in pieces as they come. A prompt that is too long fails here."""
        from transformers import TextIteratorStreamer

        inputs = self._inputs([prompt], sampling)
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        watch = _Watch(inputs["input_ids"].shape[1] + sampling.max_tokens, self._ends)
        failures: list[BaseException] = []

        def work() -> None:
            # The model is taken and given back by this thread, which always ends: a generator may
            # be left standing between two pieces for ever, by a client that went away.
            try:
                with self._busy:
                    self._generate(inputs, sampling, watch, streamer=streamer)
            except BaseException as error:  # noqa: BLE001  (raised again by whoever reads)
                failures.append(error)
                streamer.end()

        def pieces() -> Iterator[str]:
            thread = Thread(target=work, daemon=True)
            thread.start()
            try:
                yield from _until_stop(streamer, sampling.stop)
            finally:
                watch.trip()
            thread.join()
            self._end.check()
            stream.finished = not watch.cut_off
            if failures:
                raise failures[0]

        stream = TextStream(pieces(), watch.trip)
        return stream

    def _inputs(self, prompts: Sequence[str], sampling: Sampling) -> Any:
        # The chat template has written the special tokens: the tokenizer must not add its own.
        inputs = self._tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=False)
        longest = inputs["input_ids"].shape[1]
        if longest + sampling.max_tokens > self.context_tokens:
            raise RalmError(
                f"The prompt has {longest} tokens and the answer may take {sampling.max_tokens}, but "
                f"{self.name} holds {self.context_tokens}: shorten the prompt or lower max_tokens."
            )
        return inputs

    def _generate(
        self, inputs: Any, sampling: Sampling, watch: "_Watch | None" = None, **extra: Any
    ) -> torch.Tensor:
        self._end.check()
        if sampling.seed is not None:
            torch.manual_seed(sampling.seed)
        if sampling.temperature > 0:
            extra |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        if sampling.stop:
            extra |= {"stop_strings": list(sampling.stop), "tokenizer": self._tokenizer}
        with torch.inference_mode(), paced(self.bytes) as pace:
            found: torch.Tensor = self._model.generate(
                **inputs,
                max_new_tokens=sampling.max_tokens,
                do_sample=sampling.temperature > 0,
                pad_token_id=self._tokenizer.pad_token_id,
                stopping_criteria=[*(one for one in (watch, self._end) if one), *pace],
                **extra,
            )
        return found

    def _completion(self, ids: list[int], prompt_tokens: int, sampling: Sampling) -> Completion:
        length = next((i for i, token in enumerate(ids) if token in self._ends), len(ids))
        text = self._tokenizer.decode(ids[:length], skip_special_tokens=True)
        cut = "".join(_until_stop([text], sampling.stop))
        finished = length < sampling.max_tokens or cut != text
        return Completion(cut.strip(), prompt_tokens, length, finished)


class _End:
    """A stopping criterion that holds for all that a reader generates, once it has come."""

    def __init__(self) -> None:
        self._come = False

    def come(self) -> None:
        self._come = True

    def check(self) -> None:
        """Raise ReaderStopped if it has come."""
        if self._come:
            raise ReaderStopped("The reader is being stopped: ask again when it runs.")

    def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        return torch.full((ids.shape[0],), self._come, dtype=torch.bool, device=ids.device)


class _Watch:
    """A stopping criterion that another thread can trip, and that sees whether the text was cut off."""

    def __init__(self, longest: int, ends: set[int]) -> None:
        self.cut_off = False
        self._unwanted = False
        self._longest, self._ends = longest, ends

    def trip(self) -> None:
        """Let the model stop after the token it is at."""
        self._unwanted = True

    def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.cut_off = ids.shape[1] >= self._longest and int(ids[0, -1]) not in self._ends
        return torch.full((ids.shape[0],), self._unwanted, dtype=torch.bool, device=ids.device)


def _until_stop(pieces: Iterable[str], stop: Sequence[str]) -> Iterator[str]:
    """Pass pieces on up to where the first stop string begins; it may be spread over several pieces."""
    held, longest = "", max((len(s) for s in stop), default=1) - 1
    for piece in pieces:
        held += piece
        # What lies further back than this can be no part of a stop string still to come.
        ready = len(held) - longest
        begin = _first(held, stop)
        if begin is not None and begin <= ready:
            yield held[:begin]
            return
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    if held:
        yield held[: _first(held, stop)]


def _first(text: str, stop: Sequence[str]) -> int | None:
    return min((at for s in stop if (at := text.find(s)) >= 0), default=None)


def _load(weights: Weights, quantization: str) -> tuple[Any, Any]:
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
    return tokenizer, model


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


def measured_bytes(model: torch.nn.Module) -> int:
    """Bytes that a model's weights take in memory, whatever form they are quantized to.

    `get_memory_footprint()` counts torchao's tensors by the type they pretend to have. Counted here
    are the tensors really held, each storage once.
    """
    storages: dict[int, int] = {}
    held: list[Any] = [*model.parameters(), *model.buffers()]
    # bitsandbytes keeps LLM.int8's scales on the module's weight, outside the parameters.
    for parameter in model.parameters():
        held += [t for n in ("CB", "SCB") if (t := getattr(parameter, n, None)) is not None]
        if (state := getattr(parameter, "quant_state", None)) is not None:
            held += [t for t in vars(state).values() if isinstance(t, torch.Tensor)]
    for tensor in held:
        for plain in _plain_tensors(tensor):
            storage = plain.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _plain_tensors(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    inner = tensor.data if isinstance(tensor, torch.nn.Parameter) else tensor
    if not hasattr(inner, "__tensor_flatten__"):
        yield inner
        return
    for name in inner.__tensor_flatten__()[0]:
        yield from _plain_tensors(getattr(inner, name))


def quiet_imports() -> None:
    """Keep notes on kernels that cannot be loaded here, and loading bars, off the user's terminal."""
    for name in ("torchao", "torch.utils._pytree", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
