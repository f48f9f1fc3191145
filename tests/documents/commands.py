"""What `ralm` understands: its commands and their options, without running any of them."""

import typer

from pipelines.cli import app


def require_options(words: tuple[str, ...]) -> None:
    """Fail for a command, an option or a surplus argument that `ralm` does not know."""
    command, rest = typer.main.get_command(app), list(words[1:])
    while hasattr(command, "commands"):
        if not rest or rest[0] in ("--help", "--version"):
            return
        assert rest[0] in command.commands, f"no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    context = command.context_class(command, info_name=words[1])
    valued = {flag for one in command.params if not getattr(one, "is_flag", False) for flag in one.opts}
    # In prose the last option may be named without its value.
    rest += ["value"] * (words[-1].startswith("-") and words[-1] in valued)
    _, surplus, _ = command.make_parser(context).parse_args(rest)
    assert surplus == []


def options() -> set[str]:
    """The options of all commands together."""
    return {name for leaf in _leaves().values() for one in leaf.params for name in one.opts}


def names() -> list[str]:
    """The commands, with the group that one is in before it."""
    return list(_leaves())


def _leaves() -> dict[str, typer.core.TyperCommand]:
    found = {}
    for name, one in typer.main.get_command(app).commands.items():
        inner = getattr(one, "commands", None)
        found |= {f"{name} {leaf}": it for leaf, it in inner.items()} if inner else {name: one}
    return found
