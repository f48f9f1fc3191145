"""Studies that were never run, and sections of them whose charts are not drawn."""

from dataclasses import replace

import pytest

from pipelines.evaluate.report import charts
from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.sections.study import Study
from tests.pipelines.evaluate.simulated import Simulated

READERS = Simulated(
    parameters=(135_000_000, 360_000_000, 1_700_000_000),
    fractions=(0.001, 0.01, 0.1, 1.0),
    seeds=2,
    questions=150,
    documents=20,
    quantizations=("none", "nf4"),
)
TRAINED = About(training_tokens={"lm-135M": 2e12, "lm-360M": 4e12, "lm-1700M": 11e12}, encoder_parameters=2e7)


@pytest.fixture(scope="module", autouse=True)
def undrawn():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(charts, "drawn", lambda draw, height=1.0: (b"svg", b"png"))
        yield


@pytest.fixture(scope="session")
def tables():
    return READERS.tables()


@pytest.fixture(scope="session")
def study(tables, tmp_path_factory):
    """Three readers, each in two quantizations."""
    return Study(tables, TRAINED, tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def searched(study):
    """The same without a reader: passages alone."""
    results = tuple(one for one in study.tables.results if not one.cell.reader)
    kept = {one.key for one in results}
    questions = tuple(one for one in study.tables.questions if one.key in kept)
    return replace(study, tables=replace(study.tables, results=results, questions=questions), about=About())
