"""How an encoder is used: the text in front of inputs, the pooling of its tokens' vectors, what is compared.

What is given counts first, then what the checkpoint says itself. Some published models leave it to the page
that describes them: those are known here by their full names on the hub. A copy in a folder has no such
name: there it is given.

Decisions: docs/decisions/encoders.md.
"""

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datastore.generations.manifest import Pooling

DEFAULT_ENCODER = "all-MiniLM-L6-v2"

Similarity = Literal["cosine", "dot"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Ways to use an encoder; None where nothing is said.

    `pooling` is for plain transformers checkpoints. `similarity` "cosine" scales vectors to length 1, "dot"
    leaves them as they are: an index compares inner products in either case.
    """

    query_prompt: str | None = None
    passage_prompt: str | None = None
    pooling: "Pooling | None" = None
    similarity: Similarity | None = None

    def to_json(self) -> dict[str, str | None]:
        return asdict(self)


AS_STATED = Usage()

_E5 = Usage("query: ", "passage: ")
_BGE_EN = Usage("Represent this sentence for searching relevant passages: ")
_BGE_ZH = Usage("为这个句子生成表示以用于检索相关文章：")
_CONTRIEVER = Usage(pooling="mean", similarity="dot")
_DRAGON = Usage(pooling="cls", similarity="dot")

# By the models' own pages on the hub. Their sentence-transformers configurations hold no prompts (E5, BGE),
# or there is none (Contriever, DRAGON). GTE takes no prompts, Qwen3-Embedding's configuration says it all.
_KNOWN = (
    (r"intfloat/(multilingual-)?e5-(small|base|large)(-v2|-unsupervised)?", _E5),
    (r"BAAI/bge-(small|base|large)-en(-v1\.5)?", _BGE_EN),
    (r"BAAI/bge-(small|base|large)-zh(-v1\.5)?", _BGE_ZH),
    (r"facebook/m?contriever(-msmarco)?", _CONTRIEVER),
    (r"facebook/dragon-(plus|roberta)-(query|context)-encoder", _DRAGON),
)


def known(name: str) -> Usage:
    """What is known of a model by its name on the hub; nothing of most."""
    return next((usage for pattern, usage in _KNOWN if re.fullmatch(pattern, name)), AS_STATED)
