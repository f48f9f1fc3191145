"""What is asked of the service: one value, made by a dialect and handed on whole.

Knows no HTTP, no store and no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    what is searched for; None: the question itself.
    """

    question: str
    how: Conditioning = field(default_factory=Conditioning)
    sampling: Sampling = ONE_PARAGRAPH
    history: Sequence[Message] = ()
    search: Search = field(default_factory=Search)
    query: str | None = None
