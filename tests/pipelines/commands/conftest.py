"""What the tests of several commands share."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def refusal(
    tmp_path: Path, corpus: Path, store: Path, ralm: Callable[..., tuple[int, str, str]]
) -> Callable[..., str]:
    """Run a command that refuses what it is given, and return its one sentence.

    {tmp}, {corpus} and {store} stand for the paths; nothing may be written to {tmp}/s.
    """

    def call(*arguments: str) -> str:
        code, out, err = ralm(*(one.format(tmp=tmp_path, corpus=corpus, store=store) for one in arguments))
        assert code == 2
        assert "Traceback" not in out + err
        assert len([line for line in err.splitlines() if not line.startswith("Loading ")]) == 1
        assert not (tmp_path / "s").exists()
        return err

    return call
