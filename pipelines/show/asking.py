"""Asking before what cannot be undone."""

import sys

import typer

from datastore.errors import RalmError


def confirmed(question: str, yes: bool) -> bool:
    """Whether a person at the terminal says yes to a question; `yes` says it beforehand.

    Raises RalmError where nobody is there to be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise RalmError(
            f"{question} Nobody is at a terminal to be asked, so nothing is done: give --yes to do it, or "
            "--dry-run to see what it would do."
        )
    # What is printed may go to a file: the question must not.
    return typer.confirm(question, err=True)
