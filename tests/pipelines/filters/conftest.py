import pytest

from pipelines.filters.fineweb import terminal_marks
from pipelines.filters.words import hashes_of


@pytest.fixture(scope="session", autouse=True)
def tables():
    """What filters look characters up in is made once, outside of what hypothesis times."""
    terminal_marks()
    hashes_of("word")
