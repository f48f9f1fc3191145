"""Stores as vector stores, asked by OpenAI's client."""

from collections.abc import Iterator

import openai
import pytest
from fastapi.testclient import TestClient

from datastore.schema import Passage
from retriever.local import LocalRetriever
from retriever.opening import open_retriever
from retriever.results import Hit, Ranking
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.routes.stores.vector_stores import best_of
from tests.conftest import delete
from tests.corpus import documents, long_documents


def asking(retriever) -> openai.OpenAI:
    """OpenAI's client of a service in this process, which has no reader."""
    http = TestClient(create_app(Answerer(retriever, None)))  # type: ignore[arg-type]
    return openai.OpenAI(base_url="http://testserver/v1", api_key="none", max_retries=0, http_client=http)


@pytest.fixture(scope="module")
def client(store) -> Iterator[openai.OpenAI]:
    with asking(LocalRetriever.open(store)) as found:
        yield found


@pytest.fixture(scope="module")
def both(store, long_store) -> Iterator[openai.OpenAI]:
    with asking(open_retriever(store, long_store)) as found:
        yield found


def test_the_stores_are_vector_stores(both):
    listed = list(both.vector_stores.list(order="asc"))
    assert [one.id for one in listed] == ["vs_towns", "vs_long"]
    assert [one.id for one in both.vector_stores.list(limit=1)] == ["vs_long", "vs_towns"]  # Page by page.
    assert [one.id for one in both.vector_stores.list(before="vs_towns").data] == ["vs_long"]
    towns = both.vector_stores.retrieve("vs_towns")
    assert towns == listed[0]
    assert (towns.name, towns.status, towns.object) == ("towns", "completed", "vector_store")
    assert towns.file_counts.total == towns.file_counts.completed == 40
    assert towns.usage_bytes > 1000
    assert towns.metadata["generation"] == "1"
    assert len(towns.metadata["manifest"]) == 32


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_files_are_listed_page_by_page_in_both_orders(client, order):
    listed = list(client.vector_stores.files.list("vs_towns", limit=7, order=order))
    ids = [one["id"] for one in documents()]
    assert [one.attributes["title"] for one in listed] == [
        one.split("-")[0] for one in (ids if order == "asc" else ids[::-1])
    ]
    assert len({one.id for one in listed}) == 40
    page = client.vector_stores.files.list("vs_towns", limit=7, order=order, before=listed[10].id)
    assert [one.id for one in page.data] == [one.id for one in listed[3:10]]
    assert page.has_more
    first = client.vector_stores.files.list("vs_towns", limit=7, order=order, before=listed[3].id)
    assert ([one.id for one in first.data], first.has_more) == ([one.id for one in listed[:3]], False)
    assert list(client.vector_stores.files.list("vs_towns", filter="failed")) == []
    assert len(list(client.vector_stores.files.list("vs_towns", filter="completed", limit=100))) == 40


def test_a_file_is_a_document_with_its_text(both):
    record = long_documents()[1]
    (listed,) = [one for one in both.vector_stores.files.list("vs_long") if one.filename == record["title"]]
    found = both.vector_stores.files.retrieve(listed.id, vector_store_id="vs_long")
    assert found == listed
    assert (found.vector_store_id, found.status, found.attributes) == (
        "vs_long",
        "completed",
        {"title": record["title"]},
    )
    (text,) = both.vector_stores.files.content(listed.id, vector_store_id="vs_long")
    assert text.text == record["text"]
    assert found.usage_bytes == pytest.approx(len(record["text"]), rel=0.02)
    with pytest.raises(openai.NotFoundError, match="There is no file"):
        both.vector_stores.files.retrieve(listed.id, vector_store_id="vs_towns")


def test_a_search_finds_passages_with_their_files_and_urls(both):
    page = both.vector_stores.search("vs_towns", query="blue glass", max_num_results=3)
    best = page.data[0]
    assert len(page.data) == 3
    assert best.filename == "Dunmarrow"
    assert "blue glass" in best.content[0].text
    assert best.attributes == {"title": "Dunmarrow", "year": 1601}
    assert [one.score for one in page.data] == sorted((one.score for one in page.data), reverse=True)
    assert best.url == f"http://testserver/documents/{best.file_id}#chunk-0"
    assert best.passage_id == f"{best.file_id}.0"
    (text,) = both.vector_stores.files.content(best.file_id, vector_store_id="vs_towns")
    assert best.content[0].text in text.text
    assert page.search_query == ["blue glass"]
    assert {"queue", "encode", "passages"} <= set(page.seconds)


def test_only_the_store_that_is_named_is_searched(both):
    for store, domains in (("vs_towns", {"history", "travel"}), ("vs_long", {"book"})):
        page = both.vector_stores.search(store, query="the mayor of Bralgate", max_num_results=50)
        files = {one.id for one in both.vector_stores.files.list(store, limit=100)}
        assert {one.file_id for one in page.data} <= files
        assert page.data
        assert domains  # Named for who reads this.
    assert len(both.vector_stores.search("vs_towns", query="x").data) == 10


def test_several_queries_give_one_list_each_passage_once(client):
    queries = ["blue glass", "smoked trout", "blue glass"]
    page = client.vector_stores.search("vs_towns", query=queries, max_num_results=6)
    assert {"Dunmarrow", "Corrowick"} <= {one.filename for one in page.data}
    assert len({one.passage_id for one in page.data}) == 6
    assert page.search_query == queries


FILTERS = [
    ({"type": "eq", "key": "title", "value": "Dunmarrow"}, lambda one: one["title"] == "Dunmarrow"),
    ({"type": "gte", "key": "year", "value": 1533}, lambda one: one["year"] >= 1533),
    ({"type": "in", "key": "year", "value": [1412, 1250]}, lambda one: one["year"] in (1412, 1250)),
    ({"type": "nin", "key": "year", "value": [1412, 1250]}, lambda one: one["year"] not in (1412, 1250)),
    (
        {
            "type": "or",
            "filters": [
                {"type": "lt", "key": "year", "value": 1288},
                {
                    "type": "and",
                    "filters": [
                        {"type": "gt", "key": "year", "value": 1600},
                        {"type": "ne", "key": "title", "value": "Dunmarrow"},
                    ],
                },
            ],
        },
        lambda one: one["year"] < 1288 or (one["year"] > 1600 and one["title"] != "Dunmarrow"),
    ),
]


@pytest.mark.parametrize(("filters", "met"), FILTERS)
def test_filters_keep_what_meets_them_and_all_of_it(client, filters, met):
    page = client.vector_stores.search("vs_towns", query="the old town", filters=filters, max_num_results=50)
    files = {one.id: one for one in client.vector_stores.files.list("vs_towns", limit=100)}
    assert sorted(files[one.file_id].attributes["title"] for one in page.data) == sorted(
        one["title"] for one in documents() if met(one)
    )


def test_what_scores_less_is_left_out_and_weights_choose_what_is_looked_at(client):
    def search(**options):
        return client.vector_stores.search("vs_towns", query="blue glass", ranking_options=options).data

    everything = search(ranker="auto")
    bound = everything[3].score
    assert [one.passage_id for one in search(ranker="none", score_threshold=bound)] == [
        one.passage_id for one in everything if one.score >= bound
    ]
    words = search(hybrid_search={"embedding_weight": 0, "text_weight": 2})
    meaning = search(hybrid_search={"embedding_weight": 1, "text_weight": 0})
    assert [one.passage_id for one in words] != [one.passage_id for one in meaning]
    assert words[0].score == pytest.approx(1)


@pytest.mark.parametrize(
    ("asked", "status", "reason"),
    [
        ({"query": "x", "rewrite_query": True}, 422, "rewrite_query: queries are searched as they are"),
        ({"query": "x", "max_num_results": 51}, 422, "max_num_results must be at most 50, not 51"),
        ({"query": " "}, 422, "query: a query must hold text"),
        ({"query": []}, 422, "give 1 to 256 queries"),
        ({"query": "x", "filter": {}}, 422, "filter is no field of the request: did you mean filters?"),
        (
            {"query": "x", "filters": {"type": "eq"}},
            422,
            "filters: a filter of type 'eq' needs key and value",
        ),
        (
            {"query": "x", "filters": {"type": "eq", "key": "yaer", "value": 1}},
            400,
            "No passage has the metadata column 'yaer': there are 'title', 'year'; did you mean year?",
        ),
        ({"query": "x", "ranking_options": {"ranker": "bets"}}, 422, "ranking_options.ranker must be"),
        (
            {"query": "x", "ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}},
            422,
            "ranking_options.hybrid_search: embedding_weight and text_weight need a sum above 0",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_a_sentence(client, asked, status, reason):
    with pytest.raises(openai.APIStatusError) as error:
        client.post("/vector_stores/vs_towns/search", cast_to=object, body=asked)
    assert error.value.status_code == status
    assert reason in error.value.body["message"]


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/vector_stores/vs_none", 404, "There is no vector store 'vs_none': there are vs_towns."),
        ("/vector_stores/vs_none/files", 404, "There is no vector store 'vs_none'"),
        ("/vector_stores?limit=0", 422, "limit must be at least 1, not '0'."),
        ("/vector_stores?limt=3", 422, "limt is no field of the request: did you mean limit?"),
        ("/vector_stores?after=vs_x", 404, "There is no vector store 'vs_x'"),
        ("/vector_stores?after=vs_towns&before=vs_towns", 422, "give after or before, not both"),
        ("/vector_stores/vs_towns/files?after=file-x", 404, "There is no file 'file-x' here"),
        ("/vector_stores/vs_towns/files/file-x", 404, "There is no file 'file-x' here"),
        ("/vector_stores/vs_towns/files/file-x/content", 404, "There is no file 'file-x' here"),
    ],
)
def test_what_is_not_there_is_named(client, path, status, reason):
    with pytest.raises(openai.APIStatusError) as error:
        client.get(path, cast_to=object)
    assert error.value.status_code == status
    assert reason in error.value.body["message"]


def test_what_is_taken_down_is_no_file_and_is_not_counted(own_store):
    retriever = LocalRetriever.open(own_store)
    with asking(retriever) as client:
        first, *rest = client.vector_stores.files.list("vs_copy", limit=100, order="asc")
    delete(own_store, documents()[0]["id"])
    with asking(retriever.hiding()) as client:
        assert [one.id for one in client.vector_stores.files.list("vs_copy", order="asc")] == [
            one.id for one in rest
        ]
        assert client.vector_stores.retrieve("vs_copy").file_counts.total == 39
        with pytest.raises(openai.NotFoundError):
            client.vector_stores.files.content(first.id, vector_store_id="vs_copy")


def test_of_several_rankings_each_passage_counts_with_its_best_score():
    def hit(row, score, store=""):
        return Hit(row, score, Passage("", "", "", 0, 0), store=store)

    first = Ranking((hit(1, 0.9), hit(2, 0.5), hit(3, 0.1)), False)
    second = Ranking((hit(2, 0.8), hit(1, 0.9, "other"), hit(3, 0.3)), False)
    found = best_of([first, second], 4)
    assert [(one.store, one.row, one.score) for one in found] == [
        ("", 1, 0.9),
        ("other", 1, 0.9),
        ("", 2, 0.8),
        ("", 3, 0.3),
    ]
    assert best_of([first, second], 1) == found[:1]
    assert best_of([first, second], 4, 0.8) == found[:3]
