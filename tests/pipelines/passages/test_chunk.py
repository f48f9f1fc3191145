import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.passages.chunk import without_texts
from tests.conftest import build_store
from tests.corpus import documents, write_lines

# Of a document some sentences, its own again under another id, its id again, and none that a tokenizer sees.
FIRST = documents()[0]
RECORDS = [
    *documents()[:12],
    {**FIRST, "id": "copy"},
    {**FIRST, "text": f"{FIRST['text']} And one sentence more than before."},
    {**FIRST, "id": "blank", "text": "\u200b" * 40},
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Not to be changed."""
    folder = tmp_path_factory.mktemp("chunk")
    settings = {"chunk_tokens": 24, "passages_per_shard": 8, "split_bytes": 2048, "index_key": "Flat"}
    build_store(folder / "s", write_lines(folder / "towns.jsonl", RECORDS), **settings)
    return folder / "s"


def test_a_passage_is_a_part_of_its_document_numbered_as_it_is_cut(root):
    texts = {(one["domain"], one["id"]): one["text"] for one in documents()[:12]}
    chunks = {}
    for passage in Datastore.open(root):
        assert texts[passage.domain, passage.doc_id][passage.start :].startswith(passage.text)
        chunks.setdefault((passage.domain, passage.doc_id), []).append(passage.chunk)
    assert {*chunks} == {*texts}
    assert all(numbers == list(range(len(numbers))) for numbers in chunks.values())
    assert max(map(len, chunks.values())) > 1


@pytest.mark.parametrize(
    ("reason", "doc_id", "says"),
    [
        ("duplicate_text", "copy", "an earlier document has this text"),
        ("duplicate_id", FIRST["id"], "an earlier document has this domain and id"),
        ("no_tokens", "blank", "the tokenizer finds no token in it"),
    ],
)
def test_a_document_that_goes_is_counted_and_listed_with_what_stays(root, reason, doc_id, says):
    files = sorted(Layout(root).removed(reason, 0).parent.glob("*.jsonl"))
    (line,) = [orjson.loads(text) for file in files for text in file.read_bytes().splitlines()]
    assert (line["id"], line["reason"]) == (doc_id, says)
    kept = {"domain": FIRST["domain"], "id": FIRST["id"]}
    assert line.get("kept") == (kept if reason.startswith("duplicate") else None)
    assert current(Layout(root)).counts[f"removed.{reason}"] == 1
    assert verify(root) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(1, 9), st.integers(1, 9)), max_size=12
    ),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=6),
)
def test_lost_texts_are_blotted_out_and_identities_stay(rows, lost):
    hashes = np.array(rows, np.uint64).reshape(-1, 4)
    found = without_texts(hashes, lost)
    expected = [(a, b, 0, 0) if (a, b) in lost else (a, b, c, d) for a, b, c, d in rows]
    assert found.tolist() == [list(row) for row in expected]
