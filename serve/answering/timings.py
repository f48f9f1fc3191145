"""How long an answer took, in seconds by stage: no moment is in two of them.

`queue` is what was waited, for the search and for the reader. The stages of a search are those of
`retriever/searching.py`; `prompt` is what passages took to become one, `prefill` is until the first token,
`decode` is from there to the last; `read` is both, and the waiting, where a server reads.
"""

from collections.abc import Iterable, Mapping, Sequence

from lm.reader import Completion

READING = ("read", "prefill", "decode")


def read(before: Mapping[str, float], texts: Sequence[Completion], seconds: float) -> dict[str, float]:
    """The seconds of an answer whose texts have been read, together, in so many `seconds`."""
    took = [text.took for text in texts if text.took is not None]
    if len(took) < len(texts) or not took:
        return {**before, "read": seconds}
    last = max(took, key=lambda one: one.queue + one.prefill + one.decode)
    waited = before.get("queue", 0.0) + last.queue
    return {**before, "queue": waited, "prefill": last.prefill, "decode": last.decode}


def total(seconds: Mapping[str, float], stages: Iterable[str]) -> float:
    """The seconds of some stages together."""
    return sum(seconds.get(stage, 0.0) for stage in stages)
