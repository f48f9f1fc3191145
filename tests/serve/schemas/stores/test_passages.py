from datastore.schema import Passage
from serve.answering.places import Whole
from serve.schemas.stores.passages import PassageModel

PASSAGES = tuple(Passage(f"text {n}", "d", "x", n, 10 * n, {"title": "T"}) for n in (0, 2, 3))


def test_a_passage_has_those_beside_it_whatever_was_dropped():
    found = PassageModel.within(Whole("vs_a", PASSAGES), 1, 1, "http://x")
    assert [one.chunk for one in (*found.before, found, *found.after)] == [0, 2, 3]
    assert (found.title, found.start, found.vector_store_id) == ("T", 20, "vs_a")
    assert found.id == f"{found.file_id}.2"
    assert found.url == f"http://x/documents/{found.file_id}#chunk-2"
    alone = PassageModel.within(Whole("vs_a", PASSAGES), 1, 0, "http://x")
    assert alone.before == alone.after == []
