"""`ralm search --url` and `ralm ask --url`: a service is asked, and what it gives is shown as our own is.

No store, index or model is opened or imported. The key is the first one in the variable RALM_API_KEY.
"""

from collections.abc import Mapping
from typing import Any, cast

from client.client import Client
from client.options import SearchOptions
from lm.conditioning import Conditioning
from pipelines.show import answers


def search_at(url: str, query: str, k: int, options: Mapping[str, Any], as_json: bool) -> None:
    """Print the passages that a service finds. `options` are the fields of its API; None is as left out."""
    given = {name: value for name, value in options.items() if value is not None}
    with Client(url) as service:
        reply = service.search(query, k, **cast(SearchOptions, given))
    answers.found(query, reply, as_json)


def ask_at(url: str, question: str, how: Conditioning, wanted: Mapping[str, bool], as_json: bool) -> None:
    """Print the answer that a service gives from passages so put to its reader.

    `wanted`: `support` and `only_supported`, fields of `retrieval`.
    """
    with Client(url) as service:
        found = service.ask(
            question,
            stop=["\n\n"],  # One paragraph, as an answer is here (`answering/inquiry.py`).
            retrieval={
                "passages": how.passages,
                "budget": how.budget,
                "conditioning": how.kind,
                "neighbours": how.neighbours,
                "replug_temperature": how.replug_temperature,
                "prompt": how.prompt,
                "support": wanted["support"],
                "only_supported": wanted["only_supported"],
            },
        )
    told = answers.Told(
        found.text,
        found.citations,
        found.reader.model_dump(),
        found.tokens.model_dump(),
        found.finished,
        found.trimmed,
        found.seconds,
    )
    answers.tell(question, told, as_json)
