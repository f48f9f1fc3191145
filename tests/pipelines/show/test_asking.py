import sys
from io import StringIO

import pytest

from datastore.errors import RalmError
from pipelines.show.asking import confirmed


class Terminal(StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "said"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False)])
def test_a_person_is_asked_beside_the_output(monkeypatch, capsys, typed, said):
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert confirmed("Take it down?", yes=False) is said
    assert "Take it down?" not in capsys.readouterr().out


def test_without_a_terminal_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(sys, "stdin", StringIO("y\n"))
    with pytest.raises(RalmError, match=r"^Take it down\? Nobody is at a terminal .* give --yes"):
        confirmed("Take it down?", yes=False)
    assert confirmed("Take it down?", yes=True)
