"""What a service answers, as values: those of its API, with names of ours where OpenAI's are long.

Fields that a newer service adds change nothing.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Reply(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Hit(_Reply):
    """A retrieved passage. Store (nameless if it is the only one), generation and row name it.

    `id` names it for good, and `url` is where people read it.
    """

    store: str
    row: int
    generation: int
    id: str | None = None
    url: str | None = None
    score: float
    domain: str
    doc_id: str
    chunk: int
    start: int
    metadata: dict[str, Any]
    text: str


class Support(_Reply):
    """How far a passage supports a sentence: the share of its words, and bits a token (None: not known)."""

    sentence: str
    words: float
    gain: float | None


class _Numbered(_Reply):
    """What is said of a citation before its passage: JSON keeps the order."""

    number: int
    cited: bool
    read: str | None
    support: tuple[Support, ...] | None


class Citation(Hit, _Numbered):
    """A passage that was put before the reader under a number, and whether the answer cites it.

    `read`: what the reader saw of it, if it was cut or widened. `support`: of each sentence, if asked for.
    """


class Result(_Reply):
    """The hits of one query, best first; `shortfall` says why there are fewer than were asked for."""

    query: str
    hits: tuple[Hit, ...]
    exhausted: bool
    shortfall: str | None
    missing: tuple[int, ...]


class Setting(_Reply):
    """How hard a search tried: lists probed, vectors re-scored, the recall of that (None: not known)."""

    nprobe: int
    depth: int
    recall: float | None


class SearchReply(_Reply):
    """A result for each query, in order; `seconds` by stage."""

    manifest: str
    results: tuple[Result, ...]
    left_out: tuple[str, ...]
    setting: Setting | None
    seconds: dict[str, float]

    @property
    def hits(self) -> tuple[Hit, ...]:
        """Those of the first query, which is mostly the only one."""
        return self.results[0].hits


class Reader(_Reply):
    """The language model that answered; `bytes` of its weights (None: not known)."""

    name: str
    quantization: str
    adapter: str | None
    bytes: int | None


class Tokens(_Reply):
    """What an answer took."""

    prompt: int
    answer: int


class Answer(_Reply):
    """An answer with its markers, and the passages that it was read from.

    `finished` is false for one that was cut at the most tokens it may have. `abstained`: it says that it does
    not know. `query`, `manifest` and `view`
    say what was searched, and where; None where nothing was. `trimmed` passages were cut or left out.
    """

    text: str
    citations: tuple[Citation, ...]
    reader: Reader
    tokens: Tokens
    finished: bool
    abstained: bool
    trimmed: int
    missing: tuple[int, ...]
    query: str | None
    manifest: str | None
    view: dict[str, Any] | None
    seconds: dict[str, float]

    @classmethod
    def of_chat(cls, reply: Mapping[str, Any]) -> "Answer":
        """The answer in a reply of chat. Raises KeyError, TypeError or ValueError for what is none."""
        choice, usage = reply["choices"][0], reply["usage"]
        told = {name: reply[name] for name in cls.model_fields if name in reply}
        return cls(
            **told,
            text=choice["message"]["content"] or "",  # OpenAI's null is an empty answer.
            finished=choice["finish_reason"] == "stop",
            abstained=choice.get("abstained", False),
            tokens=Tokens(prompt=usage["prompt_tokens"], answer=usage["completion_tokens"]),
        )
