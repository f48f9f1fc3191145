"""The store and the text of a command that takes both: with --url the text alone.

Knows neither stores nor services: it goes by where words stand on the command line.
"""

import typer

from base.errors import RalmError

# Options of what is opened in this process, which a service has chosen when it was started.
_LOCAL = frozenset(
    {
        *("also", "device", "index_in", "encoder", "query_encoder", "cross_encoder"),
        *("reader", "quantization", "adapter", "reader_device", "allow_pickle", "shots"),
    }
)


def the_text(
    what: str, first: str | None, second: str | None, url: str | None, context: typer.Context
) -> tuple[str, str]:
    """The store's place ("" with a `url`) and the text. `what` names the text: query or question.

    Raises RalmError for a text without quotes, for what is missing, and for options that are no service's.
    """
    name, call = what.upper(), f"ralm {context.info_name}"
    if first is None or (url is None and second is None):
        raise RalmError(
            f'Give a store and a {what} in quotes, {call} STORE "{name}", or a service and a {what}, '
            f'{call} --url URL "{name}".'
        )
    _require_one(what, [*filter(None, [first if url else None, second]), *context.args], url)
    if url is None:
        return first, second or ""
    _require_no_local(context)
    return "", first


def _require_one(what: str, words: list[str], url: str | None) -> None:
    if len(words) < 2:
        return
    mend = f'The {what} is one text: put it in quotes, "{" ".join(words)}".'
    if url is not None and len(words) == 2:
        mend = (
            f"With --url there is a {what} alone, in quotes, and no store: leave {words[0]} out, or write "
            f'"{" ".join(words)}".'
        )
    raise RalmError(mend)


def _require_no_local(context: typer.Context) -> None:
    for one in context.command.params:
        source = context.get_parameter_source(one.name or "")
        if one.name in _LOCAL and source is not None and source.name == "COMMANDLINE":
            raise RalmError(
                f"{one.opts[0]} is for a store that is opened here: a service has chosen that when it was "
                "started, so leave it out, or leave --url out."
            )
