"""Names that are nearly right: a misspelt one gets the nearest of those that there are."""

from collections.abc import Iterable


def nearest(name: str, there: Iterable[str]) -> str | None:
    """The name among those that there are that is written most like this one, if any is; case aside."""
    from difflib import get_close_matches

    lowered = {one.lower(): one for one in there}
    found = get_close_matches(name.lower(), lowered, n=1)
    return lowered[found[0]] if found else None


def did_you_mean(name: str, there: Iterable[str]) -> str:
    """What to say of the nearest name, behind the list of all: empty if none is near."""
    found = nearest(name, there)
    return f"; did you mean {found}?" if found else "."
