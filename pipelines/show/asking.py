"""Asking before what cannot be undone."""

import sys

import typer

from base.errors import RalmError


def confirmed(what: str, yes: bool) -> bool:
    """Whether a person at the terminal wants this done, as `take them down`; `yes` says so beforehand.

    Raises RalmError where nobody is there to be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise RalmError(
            f"Nobody is at a terminal to be asked whether to {what}, so nothing is done: give --yes to do it "
            "unasked."
        )
    # What is printed may go to a file: the question must not.
    return typer.confirm(f"{what[0].upper()}{what[1:]}? There is no way back.", err=True)
