"""What a reader is to continue: a conversation, a plain text, or several of them at once.

Knows no model: each reader writes a conversation as its own chat template does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from base.errors import RalmError


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What an assistant's turn wants a tool to do: the tool's name, and its arguments as JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """A turn of a conversation. `role` is system, user, assistant or tool.

    A tool's turn may say which call it answers. `name` is who speaks, where a role is several people's.
    """

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation up to the reader's turn; or, without one, a text that is taken as it stands.

    With a conversation, `text` is how the reader's turn begins: most often it is empty; and `tools` are what
    the reader may call, as OpenAI's API describes them. `passages` is how many passages it holds: an adapter
    that has learnt to read passages is attached only where there are some. `tokens` are a text that is given
    as the reader's own tokens: nothing is put before them.
    """

    conversation: tuple[Message, ...] = ()
    text: str = ""
    passages: int = 0
    tools: tuple[Mapping[str, Any], ...] = ()
    tokens: tuple[int, ...] = ()

    @classmethod
    def of(cls, conversation: Sequence[Message], passages: int = 0) -> "Prompt":
        """A conversation as a prompt."""
        return cls(tuple(conversation), passages=passages)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Prompts that are continued by one text: each next token is drawn from the mean of their distributions.

    `weights` [prompts] are positive and sum to 1 (REPLUG: Shi et al. 2023, equation 2).
    """

    prompts: tuple[Prompt, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.prompts or len(self.prompts) != len(self.weights):
            raise RalmError("An ensemble needs at least one prompt, and a weight for each.")
        if min(self.weights) <= 0 or abs(sum(self.weights) - 1) > 1e-6:
            raise RalmError("The weights of an ensemble must be positive and sum to 1.")


Asked = Prompt | Ensemble


def prompts_of(asked: Asked) -> tuple[Prompt, ...]:
    """The prompts that a reader must take in for it."""
    return asked.prompts if isinstance(asked, Ensemble) else (asked,)
