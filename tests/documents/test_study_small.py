"""The study that README shows: its questions are about the demo's corpus, and its file is valid."""

import ast
import sysconfig
from pathlib import Path

from pipelines.demo import _docstrings
from pipelines.evaluate.metrics import contains
from pipelines.evaluate.study.settings import load_study
from pipelines.questions import read_questions

CONFIG = Path(__file__).parents[2] / "configs" / "study-small.yaml"


def text_of(document: str) -> str:
    """A document of the demo: the docstring of a module, class or function, by its dotted name."""
    parts, root = document.split("."), Path(sysconfig.get_path("stdlib"))
    for length in range(len(parts), 0, -1):
        stem = root.joinpath(*parts[:length])
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file():
                found = _docstrings(ast.parse(file.read_bytes()), ".".join(parts[:length]))
                return next(one.text for one in found if one.id == document)
    raise AssertionError(f"the demo has no document {document}")


def test_every_answer_stands_in_a_document_of_the_demos_corpus():
    questions = read_questions(load_study(CONFIG).tasks[0].file).questions
    assert len(questions) >= 60
    assert len({one.id for one in questions}) == len(questions)
    for one in questions:
        (document,) = one.gold_docs
        text = text_of(document)
        assert one.answers
        for answer in one.answers:
            assert contains(text, [answer]), (one.id, answer)
        # It is asked, not copied.
        assert not contains(text, [one.text])
