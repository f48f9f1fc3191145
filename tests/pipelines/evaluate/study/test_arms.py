"""What the axes of a study make: every way to find passages once, and the LM alone once."""

from hypothesis import given
from hypothesis import strategies as st

from datastore.view import View
from pipelines.evaluate.study.arms import Arm, arms_of, puts_of, view_hash
from pipelines.evaluate.study.settings import study_of
from pipelines.evaluate.tables import Cell

LEAST = {"store": "s", "tasks": ["q.jsonl"]}


@given(
    fractions=st.lists(st.sampled_from([0.1, 0.5, 1.0]), min_size=1, max_size=3),
    seeds=st.integers(1, 3),
    ks=st.lists(st.integers(0, 3), min_size=1, max_size=3),
    filters=st.lists(st.sampled_from(["none", "overlap"]), min_size=1, max_size=2, unique=True),
)
def test_each_cell_is_made_once(fractions, seeds, ks, filters):
    study = study_of(LEAST | {"fractions": fractions, "seeds": seeds, "k": ks, "filters": filters})
    arms = arms_of(study)
    below = len({one for one in fractions if one < 1})
    assert len(arms) == len(set(arms)) == (below * seeds + (1.0 in fractions)) * len(filters)
    cells = [one.cell() for one in puts_of(study, arms)]
    assert cells[0] == Cell(0.0)
    assert len(cells) == len(set(cells)) == 1 + len(arms) * len({k for k in ks if k})


def test_a_reader_that_is_told_nothing_is_the_lm_alone():
    study = study_of(LEAST | {"conditionings": ["none", "prepend"], "fractions": 1, "k": 3})
    assert [one.conditioning for one in puts_of(study, arms_of(study))] == ["none", "prepend"]


def test_what_is_not_done_is_not_named_in_a_cell():
    cell = Arm(View(0.1, 2, ("books",)), "bm25").cell(5)
    assert (cell.fraction, cell.seed, cell.k, cell.domains) == (0.1, 2, 5, "books")
    assert (cell.filter, cell.reranker, cell.where) == ("", "", "")


def test_the_whole_store_is_one_view_whatever_its_seed():
    assert view_hash(View(1.0, 1)) == view_hash(View(1.0, 2))
    assert view_hash(View(0.5, 1)) != view_hash(View(0.5, 2))
    assert view_hash(View(1.0, 0, ("books",))) != view_hash(View(1.0))
