"""Server-sent events: bytes as they come to what each event says. Knows no HTTP."""

from collections.abc import Iterable, Iterator


def events(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each event; "" where a chunk ended none, so that whoever reads can look at the clock.

    Lines end at \\n or \\r\\n alone: texts may hold other characters that Unicode calls line ends. What is
    left at the end is an event, too: some servers leave out the last blank line.
    """
    held, data = b"", list[bytes]()
    for chunk in chunks:
        *lines, held = (held + chunk).split(b"\n")
        found = False
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                found = True
                yield _text(data)
                data = []
        if not found:
            yield ""
    if held.startswith(b"data:"):
        data.append(held.removesuffix(b"\r")[5:].removeprefix(b" "))
    if data:
        yield _text(data)


def _text(data: list[bytes]) -> str:
    return b"\n".join(data).decode("utf-8", "replace")
