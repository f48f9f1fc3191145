from decimal import Decimal

import pytest
from pydantic import ValidationError

from datastore.conditions import Condition
from datastore.schema import Passage
from datastore.view import View
from retriever.request import Method, Search
from serve.schemas.stores.vector_stores import PageQuery, StoreSearchRequest, attributes_of, page_json


def test_a_request_is_a_search():
    assert StoreSearchRequest(query="x").to_search() == Search(10)
    weights = {"embedding_weight": 3, "text_weight": 1}
    asked = StoreSearchRequest.model_validate(
        {
            "query": ["x", "y"],
            "max_num_results": 4,
            "filters": {"type": "gt", "key": "year", "value": 1900},
            "ranking_options": {"ranker": "auto", "hybrid_search": weights},
            "rewrite_query": False,
        }
    )
    view = View(where=(Condition("year", ">", "1900"),))
    assert asked.to_search() == Search(4, view, method=Method("hybrid", weight=0.75))
    assert asked.queries == ["x", "y"]
    assert StoreSearchRequest(query="x", max_num_results=None, filters=None).to_search() == Search(10)


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2), (float("inf"), 1)])
def test_weights_weigh_something(weights):
    hybrid = dict(zip(("embedding_weight", "text_weight"), weights, strict=True))
    with pytest.raises(ValidationError):
        StoreSearchRequest.model_validate({"query": "x", "ranking_options": {"hybrid_search": hybrid}})


def test_attributes_are_what_json_can_say_of_metadata():
    metadata = {
        "title": "x",
        "year": 1412,
        "old": True,
        "none": None,
        "exact": Decimal("0.10000000000000000001"),
    }
    assert attributes_of(Passage("", "", "", 0, 0, metadata)) == {
        "title": "x",
        "year": 1412,
        "old": True,
        "exact": "0.10000000000000000001",
    }


def test_a_page_says_where_it_begins_and_ends():
    assert page_json([{"id": "a"}, {"id": "b"}], more=True) == {
        "object": "list",
        "data": [{"id": "a"}, {"id": "b"}],
        "first_id": "a",
        "last_id": "b",
        "has_more": True,
    }
    assert page_json([], more=False)["first_id"] is None
    assert PageQuery().order == "desc"
