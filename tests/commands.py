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
    root = typer.main.get_command(app)
    leaves = [leaf for one in root.commands.values() for leaf in getattr(one, "commands", {"": one}).values()]
    return {name for leaf in leaves for parameter in leaf.params for name in parameter.opts}
