from pathlib import Path

import pytest

from base.errors import RalmError
from pipelines.tasks.study import TaskStudy
from retriever.request import Search


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"tasks": ()}, "no task to ask"),
        ({"limit": 0}, "at least 1, not 0"),
        ({"fewshot": -1}, "must not be negative: -1"),
        ({"budget": 0}, "budget of passages must be at least 1"),
        ({"against_alone": True, "search": None}, "nothing to compare"),
        ({"output": Path(__file__)}, "is a file"),
    ],
)
def test_what_cannot_be_measured_is_refused(wrong, sentence):
    with pytest.raises(RalmError, match=sentence):
        TaskStudy(**({"tasks": ("ralm_qa",), "output": Path("out"), "search": Search()} | wrong))
