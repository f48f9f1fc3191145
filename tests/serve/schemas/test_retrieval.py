import pytest
from pydantic import ValidationError

from lm.conditioning import Conditioning
from retriever.request import Effort, Search
from serve.schemas.retrieval import MAX_PASSAGES, RetrievalOptions


def options(**fields):
    return RetrievalOptions.model_validate(fields)


def test_nothing_said_is_what_the_rest_takes_by_default():
    assert options().to_conditioning() == Conditioning()
    assert options().to_search() == Search(Conditioning().passages)
    assert options().reads


def test_k_is_another_name_of_passages():
    for found in (options(k=7), options(passages=7), options(k=7, passages=7)):
        assert (found.passages, found.to_search().k) == (7, 7)
    with pytest.raises(ValidationError, match="k and passages are one thing: give one of 2 and 3"):
        options(k=2, passages=3)


def test_off_and_no_passages_read_none():
    assert options(off=True).to_conditioning().kind == "none"
    assert not any(found.reads for found in (options(off=True), options(k=0), options(conditioning="none")))
    with pytest.raises(ValidationError, match="leave out k, store"):
        options(off=True, store="x", k=1)


def test_what_a_search_takes_is_handed_on():
    found = options(recall=0.9, method="bm25", view={"domains": ["a"]}, diversity=0.5).to_search()
    assert found.effort == Effort(recall=0.9)
    assert (found.method.name, found.view.domains, found.refinement.diversity) == ("bm25", ("a",), 0.5)


@pytest.mark.parametrize(
    "fields", [{"k": MAX_PASSAGES + 1}, {"query": " "}, {"conditioning": "replug", "k": 17}, {"kk": 1}]
)
def test_what_is_wrong_is_refused(fields):
    with pytest.raises(ValidationError):
        options(**fields)
