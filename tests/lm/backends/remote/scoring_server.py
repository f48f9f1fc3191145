"""A server of completions, tokens and templates around a reader of this process, as vLLM answers."""

from typing import Any

import torch

from lm.backends.transformers_reader import TransformersReader
from tests.lm.backends.remote.servers import FakeServer, Handler, reply, status


class ScoringServer(FakeServer):
    """Repeats prompts with log-probabilities. `least` is the least of `max_tokens` that it takes.

    Of its own routes it has those of vLLM, unless it is `bare`. It takes token ids, unless it is `bare`, too.
    """

    def __init__(self, reader: TransformersReader, least: int = 0, bare: bool = False) -> None:
        super().__init__()
        self._reader, self._least, self._bare = reader, least, bare
        self._tokenizer, self._model = reader._tokenizer, reader._model
        self.usual = self._completed
        entry = {"id": "scored", "max_model_len": reader.context_tokens}
        self.routes["/v1/models"] = reply({"data": [entry]})
        if not bare:
            self.routes |= {"/tokenize": self._tokenized, "/detokenize": self._detokenized}

    def _ids(self, text: str, special: bool) -> list[int]:
        return self._tokenizer(text, add_special_tokens=special)["input_ids"]

    def _tokenized(self, handler: Handler) -> None:
        body = handler.body
        if "messages" in body:
            ids = self._tokenizer.apply_chat_template(
                body["messages"], add_generation_prompt=body["add_generation_prompt"], return_dict=False
            )
        else:
            ids = self._ids(body["prompt"], body["add_special_tokens"])
        reply({"count": len(ids), "tokens": list(ids)})(handler)

    def _detokenized(self, handler: Handler) -> None:
        reply({"prompt": self._tokenizer.decode(handler.body["tokens"])})(handler)

    def _completed(self, handler: Handler) -> None:
        body = handler.body
        prompt, more = body["prompt"], body["max_tokens"]
        if more < self._least or (self._bare and not isinstance(prompt, str)):
            return status(400, {"error": {"message": "a wrong request"}})(handler)
        ids = prompt if isinstance(prompt, list) else self._ids(prompt, body.get("add_special_tokens", True))
        if len(ids) + more > self._reader.context_tokens:
            return status(400, {"error": {"message": "the maximum context length is exceeded"}})(handler)
        prompt_tokens = len(ids)
        logs = self._logs(ids)
        for _ in range(more):
            ids = [*ids, int(logs[-1].argmax())]
            logs = self._logs(ids)
        written = prompt if isinstance(prompt, str) else self._tokenizer.decode(prompt)
        text = written + self._tokenizer.decode(ids[prompt_tokens:])
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": more}
        choice = {"text": text, "finish_reason": "length", "logprobs": self._listed(ids, logs)}
        return reply({"choices": [choice], "usage": usage})(handler)

    def _logs(self, ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return self._model(torch.tensor([ids])).logits[0].float().log_softmax(dim=-1)

    def _listed(self, ids: list[int], logs: torch.Tensor) -> dict[str, list[Any]]:
        tokens = [self._tokenizer.decode([one]) for one in ids]
        found: dict[str, list[Any]] = {"tokens": tokens, "token_logprobs": [None], "top_logprobs": [None]}
        for at, one in enumerate(ids[1:]):
            best = int(logs[at].argmax())
            found["token_logprobs"].append(float(logs[at, one]))
            both = {
                tokens[at + 1]: float(logs[at, one]),
                self._tokenizer.decode([best]): float(logs[at, best]),
            }
            found["top_logprobs"].append(both)
        offsets, at = [], 0
        for one in tokens:
            offsets.append(at)
            at += len(one)
        return found | {"text_offset": offsets}
