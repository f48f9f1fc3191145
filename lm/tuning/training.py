"""A LoRA adapter learnt from examples: the loss is that of the answers' tokens alone.

The base stays as it is loaded, in bfloat16 or quantized (QLoRA: Dettmers et al. 2023). A run that is stopped
goes on from its last checkpoint, with the same rows in the same order.

Decisions: docs/decisions/tuning.md.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch

from base.errors import RalmError
from base.foreign import Refused, ask
from lm.tuning.packing import IGNORED, PackedBatch, Text, batches, rows

# Every linear layer but the output matrix, as in QLoRA.
_TARGETS = "all-linear"
_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an adapter is learnt: LoRA (Hu et al. 2021) of a `rank`, by AdamW with warm-up and a cosine.

    `rows` of `width` tokens make a step; `rate` is the highest learning rate; a checkpoint is written every
    `checkpoint_seconds`.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    rate: float = 6e-4
    warmup: float = 0.03
    epochs: float = 1.0
    rows: int = 8
    width: int = 2048
    seed: int = 0
    checkpoint_seconds: float = 120.0

    def __post_init__(self) -> None:
        for name in ("rank", "rows", "width", "rate", "epochs"):
            if getattr(self, name) <= 0:
                raise RalmError(f"{name} of a tuning must be above 0, not {getattr(self, name)}.")


@dataclass(frozen=True, slots=True)
class Step:
    """How far a tuning is: steps done and to do, the loss (nats a token learnt), tokens a second."""

    done: int
    of: int
    loss: float
    tokens_per_second: float


class Training:
    """A model with an adapter, its optimizer, and how far both have come."""

    def __init__(self, model: Any, texts: Sequence[Text], recipe: Recipe, padding: int) -> None:
        """`model` is one of transformers; texts longer than a row are not learnt from (`left_out`)."""
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(recipe.seed)
        config = LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=_TARGETS,
            task_type="CAUSAL_LM",
        )
        model.config.use_cache = False
        with warnings.catch_warnings():
            # PEFT asks transformers by a name that is going away: no matter for whoever tunes.
            warnings.simplefilter("ignore", FutureWarning)
            self.model = get_peft_model(model, config)
        self.recipe, self._texts, self._padding = recipe, texts, padding
        self.left_out = sum(len(text.ids) > recipe.width for text in texts)
        if self.model.device.type == "cuda":
            _compile(self.model)
        self._learnt = [one for one in self.model.parameters() if one.requires_grad]
        self._optimizer = _optimizer(self._learnt, recipe.rate)
        self.done = 0
        self._order = self._all_rows()
        self.steps = max(1, math.ceil(len(self._order) / recipe.rows))

    def _all_rows(self) -> list[list[Text]]:
        """The rows of all epochs; a part of one at the end, where `epochs` is no whole number."""
        found: list[list[Text]] = []
        whole, part = divmod(self.recipe.epochs, 1)
        for epoch in range(math.ceil(self.recipe.epochs)):
            some = rows(self._texts, self.recipe.width, Random(f"{self.recipe.seed} {epoch}"))
            found += some if epoch < whole else some[: math.ceil(part * len(some))]
        if not found:
            raise RalmError(
                f"No lesson fits into {self.recipe.width} tokens: give wider rows, or fewer passages."
            )
        return found

    def run(self, folder: Path, told: Callable[[Step], None] = lambda step: None) -> None:
        """Learn from where a checkpoint in `folder` ends, or from the beginning; write the adapter there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._resume(folder / _CHECKPOINT)
        self.model.train()
        saved = time.monotonic()
        for batch in self.batches():
            started = time.perf_counter()
            loss = self._step(batch)
            self.done += 1
            told(Step(self.done, self.steps, loss, batch.ids.numel() / (time.perf_counter() - started)))
            if time.monotonic() - saved > self.recipe.checkpoint_seconds:
                self._save(folder / _CHECKPOINT)
                saved = time.monotonic()
        self.model.eval()
        _save_halved(self.model, folder)
        (folder / _CHECKPOINT).unlink(missing_ok=True)

    def batches(self) -> Iterator[PackedBatch]:
        """What is still to be learnt from, a step at a time."""
        left = self._order[self.done * self.recipe.rows :]
        return batches(left, self.recipe.rows, self.recipe.width, self._padding)

    def _step(self, batch: PackedBatch) -> float:
        """One step of the optimizer; gives the loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.rate * _schedule(self.done, self.steps, self.recipe.warmup)
        loss = self.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learnt, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def loss(self, batch: PackedBatch) -> torch.Tensor:
        """Mean nats of the learnt tokens. Logits are computed where a token is learnt, and nowhere else."""
        inner, device = self.model.get_base_model(), self.model.device
        labels = batch.labels.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=inner.dtype == torch.bfloat16):
            found = inner.base_model(
                input_ids=batch.ids.to(device), position_ids=batch.positions.to(device), use_cache=False
            )
            where = labels != IGNORED
            logits = inner.get_output_embeddings()(found.last_hidden_state[where])
        return torch.nn.functional.cross_entropy(logits.float(), labels[where])

    def _save(self, path: Path) -> None:
        state = {
            "recipe": asdict(self.recipe),
            "done": self.done,
            "adapter": {n: p.detach().cpu() for n, p in self.model.named_parameters() if p.requires_grad},
            "optimizer": self._optimizer.state_dict(),
        }
        half = path.with_suffix(".tmp")
        torch.save(state, half)
        half.replace(path)

    def _resume(self, path: Path) -> None:
        if not path.exists():
            return
        try:
            state = ask(torch.load, path, map_location="cpu", weights_only=True)
        except Refused as error:
            raise RalmError(f"{path} is damaged ({error}): remove it to learn from the beginning.") from None
        parameters = {name: one for name, one in self.model.named_parameters() if one.requires_grad}
        same = _shapes(parameters) == _shapes(state["adapter"])
        if state["recipe"] != asdict(self.recipe) or not same:
            raise RalmError(
                f"{path.parent} holds a tuning of another recipe or reader: remove it, or name another "
                "folder."
            )
        with torch.no_grad():
            for name, value in state["adapter"].items():
                parameters[name].copy_(value)
        self._optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in tensors.items()}


def _schedule(done: int, steps: int, warmup: float) -> float:
    """The share of the highest rate: up in a line over `warmup` of the steps, down by a cosine to a tenth."""
    first = max(1, round(warmup * steps))
    if done < first:
        return (done + 1) / first
    along = (done - first) / max(1, steps - first)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * along))


def _optimizer(parameters: Sequence[torch.nn.Parameter], rate: float) -> Any:
    """bitsandbytes' paged 8-bit AdamW, whose state leaves a GPU's memory when that is short; or AdamW."""
    if parameters[0].is_cuda:
        try:
            from bitsandbytes.optim import PagedAdamW8bit
        except ImportError:
            pass
        else:
            return PagedAdamW8bit(parameters, lr=rate, weight_decay=0.0)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)


def _compile(model: Any) -> None:
    """Compile each layer of the same code: twice as fast, after half a minute.

    A layer that cannot be compiled is computed as it is.
    """
    torch._dynamo.config.suppress_errors = True
    for layer in _layers(model.get_base_model()):
        layer.compile()


def _layers(model: Any) -> Any:
    """The list of a model's layers: its longest list of modules."""
    lists = [one for one in model.modules() if isinstance(one, torch.nn.ModuleList)]
    return max(lists, key=len, default=())


def _save_halved(model: Any, folder: Path) -> None:
    """Write the adapter in bfloat16: half the bytes, and as exact as the weights that it is added to."""
    from peft import get_peft_model_state_dict

    state = {
        name: value.to(torch.bfloat16)
        for name, value in get_peft_model_state_dict(model, save_embedding_layers=False).items()
    }
    # PEFT would complain of the model card that an earlier run left: it is written anew.
    (folder / "README.md").unlink(missing_ok=True)
    # PEFT would look for the base on a hub, to see whether its vocabulary grew: it has not.
    model.save_pretrained(folder, state_dict=state, save_embedding_layers=False)
