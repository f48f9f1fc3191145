"""Where a text that comes in pieces ends: at the first stop string. Knows no model."""

from collections.abc import Iterable, Iterator, Sequence


def until_stop(pieces: Iterable[str], stop: Sequence[str]) -> Iterator[str]:
    """Pass pieces on up to where the first stop string begins; it may be spread over several pieces."""
    held, longest = "", max((len(s) for s in stop), default=1) - 1
    for piece in pieces:
        held += piece
        # What lies further back than this can be no part of a stop string still to come.
        ready = len(held) - longest
        begin = _first(held, stop)
        if begin is not None and begin <= ready:
            yield held[:begin]
            return
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    if held:
        yield held[: _first(held, stop)]


def _first(text: str, stop: Sequence[str]) -> int | None:
    return min((at for s in stop if (at := text.find(s)) >= 0), default=None)
