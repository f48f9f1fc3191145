"""What is asked of the service: one value, made by a dialect and handed on whole.

Knows no HTTP, no store and no model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lm.conditioning import Conditioning
from lm.prompts import Message
from lm.reader import Sampling
from retriever.request import Search

# A small model that has answered goes on to another paragraph, about nothing.
ONE_PARAGRAPH = Sampling(stop=("\n\n",))


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question behind the `history` of its conversation, and how it is to be answered.

    `search` says how passages are found; how many, `how` does, which also puts them to the reader. `query` is
    what is searched for; None: it is made of question and history. `stores` are those of several that are
    searched, by their names or ids; none: all. Hits of a lower score than `least_score` are left out.
    `following` are the turns behind the question, and `tools` those that the reader may call. `bare`: the
    reader gets the turns as they are, without an instruction of ours. `plain`: the question is a text to be
    gone on with; `tokens` are the same as the reader's own, if it was given so. `markers`: they are put
    behind the sentences of the answer.
    """

    question: str
    how: Conditioning = field(default_factory=Conditioning)
    sampling: Sampling = ONE_PARAGRAPH
    history: Sequence[Message] = ()
    search: Search = field(default_factory=Search)
    query: str | None = None
    following: Sequence[Message] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    stores: tuple[str, ...] = ()
    bare: bool = False
    plain: bool = False
    tokens: tuple[int, ...] = ()
    least_score: float | None = None
    markers: bool = True
