"""One real server of the test corpus, with the packaged reader, for all tests of the service."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.serve.processes import serving


@pytest.fixture(scope="session")
def url(store: Path) -> Iterator[str]:
    """Where the server answers."""
    with serving(store) as found:
        yield found


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    """OpenAI's client of it."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as found:
        yield found
