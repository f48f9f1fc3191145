"""What is said of what is too large: the same of every format.

Loads nothing: the process that takes foreign files apart says it, too.
"""


def too_large(what: str, size: int, limit: int, setting: str = "max_record_bytes") -> str:
    """The reason for something of so many bytes, of which a setting allows `limit`."""
    return f"{what} has {size:,} bytes and {setting} allows {limit:,}"


def more_than(what: str, limit: int) -> str:
    """The reason for what was not measured to its end. `what` ends with its verb: "the page has"."""
    return f"{what} more than the {limit:,} bytes that max_record_bytes allows"
