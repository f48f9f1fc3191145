"""How likely a model finds a text: tokens of context and continuation from one tokenization.

A text tokenized apart from its context may get a stray first token, or lose a space, and is scored wrongly.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from lm.prompts import Ensemble
from lm.reader import Continuation, Likelihood

# The tokens of a context, and those behind them that are scored.
Row = tuple[list[int], list[int]]
# Of each scored token: its log-probability, and whether it is the likeliest.
Scored = tuple[torch.Tensor, torch.Tensor]


def parted(tokenizer: Any, context: str, text: str, plain: bool = True) -> Row:
    """One tokenization of both, parted where the context ends.

    Spaces at the context's end belong to the text: tokenizers put a space before its word. An empty context
    is the token that begins a text, or else the one that ends it. `plain`: no chat template wrote the
    context, so that the tokenizer's own special tokens stand before it.
    """
    spaces = len(context) - len(context.rstrip(" "))
    if spaces:
        context, text = context[:-spaces], context[-spaces:] + text
    if not context:
        return [start(tokenizer)], _ids(tokenizer, text)
    head, whole = _ids(tokenizer, context), _ids(tokenizer, context + text)
    before = opening(tokenizer, context) if plain else []
    return before + whole[: len(head)], whole[len(head) :]


def windows(tokenizer: Any, text: str, longest: int) -> Iterator[Row]:
    """A text in disjoint windows, each scored behind the last token of the one before."""
    ids = _ids(tokenizer, text)
    before = start(tokenizer)
    for at in range(0, len(ids), longest - 1):
        part = ids[at : at + longest - 1]
        yield [before], part
        before = part[-1]


def opening(tokenizer: Any, text: str) -> list[int]:
    """The special tokens that a tokenizer puts before a text of its own accord: most often BOS, or none.

    None if the text begins with BOS as it is written.
    """
    if tokenizer.bos_token and text.startswith(tokenizer.bos_token):
        return []
    bare, whole = _ids(tokenizer, "x"), tokenizer("x")["input_ids"]
    return list(whole[: whole.index(bare[0])])


def start(tokenizer: Any) -> int:
    """The token that stands before a text's first."""
    found = tokenizer.bos_token_id
    return int(tokenizer.eos_token_id if found is None else found)


def _ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def score(model: Any, context: list[int], text: list[int]) -> Scored:
    """Log-probability [tokens] of each token behind a context, and whether it is the likeliest."""
    ids = torch.tensor([context + text], device=model.device)
    with torch.no_grad():
        logits = model(ids, logits_to_keep=len(text) + 1).logits[0, :-1].float()
    logs = logits.log_softmax(dim=-1)
    wanted = ids[0, len(context) :]
    return logs.gather(1, wanted[:, None])[:, 0].cpu(), (logs.argmax(dim=-1) == wanted).cpu()


def likelihood(one: Continuation, scored: Sequence[Scored]) -> Likelihood:
    """What its prompts give together: the mean of their distributions at each token, weighted."""
    size = len(one.text.encode())
    if not isinstance(one.asked, Ensemble):
        logs, likeliest = scored[0]
        return Likelihood(tuple(logs.tolist()), bool(likeliest.all()), size)
    weights = torch.tensor(one.asked.weights).log()
    mixed = torch.logsumexp(torch.stack([logs for logs, _ in scored]) + weights[:, None], dim=0)
    return Likelihood(tuple(mixed.tolist()), False, size)


def rolled(text: str, scored: Sequence[Scored]) -> Likelihood:
    """What the windows of a text give together."""
    logs = [one for logs, _ in scored for one in logs.tolist()]
    return Likelihood(tuple(logs), all(bool(likeliest.all()) for _, likeliest in scored), len(text.encode()))
