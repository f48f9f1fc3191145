"""Calls into other people's libraries about one record: what they raise is that record's reason.

Which exceptions a parser has for broken input is written down nowhere, so all count. Nothing of ours is
called through here: a defect of ours stops the build.

Decisions: docs/decisions/readers-and-damage.md.
"""

import re
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from base.errors import RalmError

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

_MOST_CHARACTERS = 200
# Where an object lies in memory differs from run to run; reasons are part of a store's bytes.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Refused(Exception):
    """Why a library could not read a record: the kind of its exception and what it says, on one line."""


def ask(library: Callable[Arguments, Answer], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
    """What a library's function gives for one record. Raises Refused for what it raises about it.

    What is no record's fault passes as it is: a system error (with an errno), a lost connection, a sentence
    for the user, memory that runs out, a library that is not installed whole.
    """
    try:
        return library(*args, **kwargs)
    except (RalmError, MemoryError, ImportError, ConnectionError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Refused(said(error)) from error


def said(error: BaseException) -> str:
    """The kind of an exception and what it says: on one line, in Unicode, the same in each run."""
    (*_, line) = traceback.format_exception_only(type(error), error)
    line = _ADDRESS.sub("", " ".join(line.split())).encode(errors="backslashreplace").decode()
    return line[:_MOST_CHARACTERS]
