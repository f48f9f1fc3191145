"""What the tests of tasks share: questions about the test corpus, and a reader in float32."""

from pathlib import Path

import pytest

from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.backends.weights import PLAIN_READER
from tests.corpus import CITIES, write_lines


def asked() -> list[dict]:
    """Two questions about each of two towns, one with answers and one with choices."""
    found: list[dict] = []
    for at, (city, _, _, craft, _) in enumerate(CITIES[:2]):
        others = [other for _, _, _, other, _ in CITIES[3:5]]
        found.append({"id": f"a{at}", "question": f"What is made in {city}?", "answers": [craft]})
        choices = [*others[:at], craft, *others[at:]]
        found.append(
            {
                "id": f"c{at}",
                "question": f"What do people in {city} make?",
                "choices": choices,
                "answer_index": at,
            }
        )
    return found


@pytest.fixture(scope="session")
def question_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("questions") / "q.jsonl", asked())


@pytest.fixture(scope="session")
def exact() -> TransformersReader:
    """The packaged reader with every weight in float32."""
    found = TransformersReader(ReaderChoice(PLAIN_READER, "none"))
    found._model.float()
    return found
