import numpy as np
import pytest

from base.errors import RalmError
from pipelines.evaluate.mixtures.running import Mixing, run
from pipelines.evaluate.mixtures.tables import COMPARED, MIXTURES, USED, Compared, Mixture, Used, read
from tests.conftest import build_store
from tests.corpus import documents, questions, write_lines


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    return write_lines(tmp_path_factory.mktemp("asked") / "towns.jsonl", questions())


@pytest.fixture(scope="module")
def mixed(store, asked, tmp_path_factory):
    output = tmp_path_factory.mktemp("mixed") / "study"
    return output, run(Mixing(store, asked, output, count=40, budget=0.4, k=2, seeds=2))


def test_the_mixtures_that_are_compared_are_there_with_the_store_without_each_domain(mixed):
    output, found = mixed
    roles = [one.role for one in found if one.role != "drawn"]
    assert roles == ["natural", "predicted best", "best drawn", "whole", "without history", "without travel"]
    assert sum(one.role == "drawn" for one in found) == 40
    assert read(output / MIXTURES, Mixture) == found
    written = [(output / name).stat().st_mtime_ns for name in (COMPARED, USED, MIXTURES)]
    assert written == sorted(written)
    total = sum(found[0].passages)
    of = {one.role: one for one in found}
    assert of["whole"].budget == total
    assert of["natural"].budget == pytest.approx(0.4 * total, abs=1)
    # The gold documents are all of one domain.
    assert of["without travel"].value == of["whole"].value > of["without history"].value == 0
    assert of["predicted best"].rates[0] > of["natural"].rates[0]


def test_no_question_judges_the_mixture_that_it_chose(mixed):
    output, found = mixed
    judged = {one.question for one in read(output / COMPARED, Compared) if one.role == "predicted best"}
    halves = {one.n for one in found if one.role == "drawn"} | {len(judged)}
    assert halves == {4}
    every = {one.question for one in read(output / COMPARED, Compared) if one.role == "whole"}
    assert judged < every
    values = [one.value for one in read(output / COMPARED, Compared) if one.role == "natural"]
    assert np.mean(values) == pytest.approx(next(one.value for one in found if one.role == "natural"))


def test_what_stands_before_a_reader_is_named(mixed):
    output, _ = mixed
    used = read(output / USED, Used)
    assert {one.rank for one in used} == {1, 2}
    assert sum(one.rank == 1 for one in used) == 8
    assert any(one.right for one in used)
    assert all(one.document.endswith("-0") for one in used if one.right)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"count": 3}, "3 mixtures are too few"),
        ({"budget": 1.0}, "above 0 and below 1, not 1"),
        ({"k": 0}, "at least one passage"),
    ],
)
def test_what_cannot_be_tried_is_refused(tmp_path, changed, said):
    with pytest.raises(RalmError, match=said):
        Mixing(tmp_path, tmp_path, tmp_path, **changed)


def test_a_store_of_one_domain_is_refused(tmp_path, asked):
    source = write_lines(tmp_path / "one.jsonl", [one | {"domain": "towns"} for one in documents()])
    build_store(tmp_path / "store", source)
    with pytest.raises(RalmError, match="has one domain: there is nothing to mix"):
        run(Mixing(tmp_path / "store", asked, tmp_path / "out"))
