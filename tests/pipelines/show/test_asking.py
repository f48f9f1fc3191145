import sys
from io import StringIO

import pytest

from base.errors import RalmError
from pipelines.show.asking import confirmed


class Terminal(StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "said"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False)])
def test_a_person_is_asked_beside_the_output(monkeypatch, capsys, typed, said):
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert confirmed("take it down", yes=False) is said
    out, err = capsys.readouterr()
    assert "Take it down? There is no way back." in err
    assert not out.strip()


def test_without_a_terminal_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(sys, "stdin", StringIO("y\n"))
    with pytest.raises(RalmError, match=r"asked whether to take it down, so nothing is done: give --yes"):
        confirmed("take it down", yes=False)
    assert confirmed("take it down", yes=True)
