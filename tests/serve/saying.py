"""A reader that says what a test wants said."""

from collections.abc import Callable, Sequence

from lm.prompts import Asked, prompts_of
from lm.reader import Completion, Sampling, TextStream


class Saying:
    """Writes `text`, in pieces of a few characters in a stream; `asked` are the prompts that it was given."""

    name, quantization, adapter, measured_bytes, context_tokens = "saying", "none", None, 0, 100_000
    templated = True

    def __init__(self, text: str = "", finished: bool = True) -> None:
        self.text, self.finished = text, finished
        self.asked: list[Asked] = []
        self.breaks: Callable[[], None] = lambda: None

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def prompt_tokens(self, prompt: Asked) -> int:
        (one,) = prompts_of(prompt)
        return sum(self.count_tokens(turn.content) for turn in one.conversation)

    def generate(self, asked: Sequence[Asked], sampling: Sampling) -> list[Completion]:
        self.asked += asked
        return [self._completion(one) for one in asked]

    def stream(self, asked: Asked, sampling: Sampling) -> TextStream:
        self.asked.append(asked)
        found = TextStream(self._pieces(), lambda: None, lambda: self._completion(asked))
        found.finished = self.finished
        return found

    def _pieces(self):
        for at in range(0, len(self.text), 5):
            yield self.text[at : at + 5]
        self.breaks()

    def _completion(self, asked: Asked) -> Completion:
        read, written = self.prompt_tokens(asked), self.count_tokens(self.text)
        return Completion(self.text, read, written, self.finished)

    def stop(self) -> None: ...
