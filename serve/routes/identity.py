"""The id of the request that is being answered: in its reply, in errors and in the log."""

import re
import uuid
from contextvars import ContextVar

# Set where a request comes in; what answers it runs in its context, threads too.
current: ContextVar[str | None] = ContextVar("request_id", default=None)
_GIVEN = re.compile(r"[\x21-\x7e]{1,128}")


def identified(given: str | None) -> str:
    """The id that a client gave, if a header and a log can hold it; else a new one."""
    return given if given and _GIVEN.fullmatch(given) else f"req-{uuid.uuid4().hex}"
