from datastore.schema import Passage
from retriever.results import Hit, Ranking
from serve.schemas.massive import MassiveReply
from serve.schemas.searching import SearchRequest


def test_a_reply_is_lists_of_equal_lengths():
    hits = tuple(Hit(row, 0.5 - row / 8, Passage(f"text {row}", "", "", 0, 0)) for row in range(2))
    asked = SearchRequest(query=["a", "b"], n_docs=2, nprobe=3)
    reply = MassiveReply.of(asked, [Ranking(hits, False), Ranking((), True)], [["x", "y"], []])
    assert reply.model_dump() == {
        "message": "Found 2 passages.",
        "query": ["a", "b"],
        "n_docs": 2,
        "nprobe": 3,
        "results": {
            "IDs": [["x", "y"], []],
            "passages": [["text 0", "text 1"], []],
            "scores": [[0.5, 0.375], []],
        },
    }
