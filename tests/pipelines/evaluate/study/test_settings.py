"""STUDY.yaml: what is read, what is filled in, and what is refused in one sentence."""

import pytest
import yaml

from base.errors import RalmError
from datastore.view import View
from pipelines.evaluate.study.settings import load_study, study_of
from tests.corpus import questions, write_lines

LEAST = {"store": "s", "tasks": ["q.jsonl"]}


def test_an_axis_may_be_one_value(tmp_path):
    one = study_of(LEAST | {"fractions": 0.5, "k": 2, "methods": "bm25", "readers": "r", "domains": "books"})
    assert (one.fractions, one.k, one.methods) == ((0.5,), (2,), ("bm25",))
    assert (one.readers[0].name, one.domains) == ("r", (("books",),))


def test_paths_of_a_file_begin_at_the_file_and_overrides_win(tmp_path):
    write_lines(tmp_path / "q.jsonl", questions())
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(LEAST | {"seeds": 2}))
    found = load_study(tmp_path / "s.yaml", store="other", output=None)
    assert (found.store, found.output, found.seeds) == ("other", "study", 2)
    assert found.tasks[0].file == tmp_path / "q.jsonl"
    assert found.tasks[0].called == "q"
    # Where files lie is nobody's concern.
    assert found.written()["tasks"] == [{"questions": "q.jsonl"}]


def test_groups_are_values_of_an_axis():
    found = study_of(LEAST | {"domains": ["all", "books", ["books", "news"]], "where": ["all", "year>=2010"]})
    assert found.domains == ((), ("books",), ("books", "news"))
    assert found.where == ((), ("year>=2010",))


def test_the_whole_has_one_view_and_shares_have_one_a_seed():
    found = study_of(LEAST | {"fractions": [1, 0.1, 0.1], "seeds": 2}).views_of((), ())
    assert found == (View(0.1, 0), View(0.1, 1), View(1.0, 0))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fraction": 0.1}, "fraction is no setting: did you mean fractions?"),
        ({"fractions": [0, 1]}, "fractions: A view's fraction must be above 0 and at most 1, not 0.0"),
        ({"fractions": []}, "fractions must have at least 1 entry"),
        ({"seeds": 0}, "seeds must be at least 1, not 0."),
        ({"depths": [0]}, "depths: a metric looks at 1 passage at least, not at 0."),
        ({"methods": "dens"}, "methods: Unknown method 'dens': valid are dense, bm25, hybrid; did you mean"),
        ({"filters": "overlp"}, "filters: Unknown filter 'overlp': valid are none, overlap, jaccard,"),
        ({"filters": "overlap+jacard"}, "did you mean jaccard?"),
        ({"quantizations": "int3"}, "quantizations: Unknown quantization 'int3': valid are none, int8,"),
        (
            {"conditionings": "prepand"},
            "conditionings: Unknown conditioning 'prepand': valid are none, prepend",
        ),
        ({"where": "year"}, "where: 'year' is no condition"),
        ({"executor": "spark"}, "executor must be 'auto', 'ray' or 'local', not 'spark'"),
        ({"tasks": []}, "tasks must have at least 1"),
        ({"tasks": [{"name": "nq"}]}, "tasks.0.questions is missing: give it."),
        ({"tasks": ["q.jsonl", "a/q.jsonl"]}, "tasks: two have one name: give each a `name` of its own"),
    ],
)
def test_what_is_no_study_is_one_sentence(change, sentence):
    with pytest.raises(RalmError) as caught:
        study_of(LEAST | change)
    assert sentence in str(caught.value), caught.value
