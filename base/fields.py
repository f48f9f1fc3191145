"""Fields of what is written to files, and how a format gets one more. Knows no format.

What is written is compared with what was written before: a manifest by its hash, the settings of a build with
those that it was begun with. A field that comes later must not change what has none.

Decisions: docs/decisions/generations-and-takedowns.md.
"""

from typing import Any

from pydantic import Field


def later(default: Any = None, description: str | None = None, ge: int | None = None) -> Any:
    """A field that early files of a format do not have: left out wherever it has its default.

    So a file from before there was such a field is read, and written again as the same bytes. `ge` is the
    least that a number may be.
    """
    return Field(default, ge=ge, description=description, exclude_if=lambda value: value == default)
