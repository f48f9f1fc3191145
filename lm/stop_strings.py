"""Where a text that comes in pieces begins and ends: at no white space, at a stop string. Knows no model."""

from collections.abc import Iterable, Iterator, Sequence


class Stops:
    """Passes a text on, piece by piece, up to where the first stop string begins.

    A stop string may be spread over several pieces: what may be part of one is held back.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self.found = False
        self._stop, self._held = stop, ""
        self._longest = max((len(s) for s in stop), default=1) - 1

    def passed(self, piece: str) -> str:
        """What of the text up to this piece can be passed on now."""
        if self.found:
            return ""
        self._held += piece
        # What lies further back than this can be no part of a stop string still to come.
        ready = len(self._held) - self._longest
        begin = _first(self._held, self._stop)
        if begin is not None and begin <= ready:
            self.found = True
            return self._held[:begin]
        passed, self._held = self._held[: max(0, ready)], self._held[max(0, ready) :]
        return passed

    def rest(self) -> str:
        """What is left of the text when no more comes."""
        if self.found:
            return ""
        begin = _first(self._held, self._stop)
        self.found = begin is not None
        return self._held[:begin]


class Trim:
    """Passes a text on, piece by piece, without the white space around it."""

    def __init__(self) -> None:
        self._begun, self._held = False, ""

    def passed(self, piece: str) -> str:
        """What of the text up to this piece can be passed on: white space waits for what follows it."""
        text = self._held + piece
        if not self._begun:
            text = text.lstrip()
        end = len(text.rstrip())
        self._begun = self._begun or end > 0
        self._held = text[end:]
        return text[:end]


def trimmed(pieces: Iterable[str]) -> Iterator[str]:
    """Pass pieces on without the white space around them all."""
    trim = Trim()
    for piece in pieces:
        if passed := trim.passed(piece):
            yield passed


def until_stop(pieces: Iterable[str], stop: Sequence[str]) -> Iterator[str]:
    """Pass pieces on up to where the first stop string begins."""
    stops = Stops(stop)
    for piece in pieces:
        if passed := stops.passed(piece):
            yield passed
        if stops.found:
            return
    if rest := stops.rest():
        yield rest


def _first(text: str, stop: Sequence[str]) -> int | None:
    return min((at for s in stop if (at := text.find(s)) >= 0), default=None)
