import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.files.layout import Layout
from datastore.schema import Document
from pipelines.corpus.documents import (
    Texts,
    batches,
    documents_path,
    identity_at,
    read_documents,
    write_documents,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.lists(texts, max_size=30), st.integers(1, 9))
def test_documents_are_read_as_they_were_written(tmp_path_factory, some, most):
    layout = Layout(tmp_path_factory.mktemp("documents"))
    documents = [Document(text, "d", str(n), {"n": n}) for n, text in enumerate(some)]
    path = documents_path(layout, 3)
    layout.write(path, lambda handle: write_documents(handle, iter(documents)))
    assert list(read_documents(layout, 3)) == documents
    held = Texts.open(path)
    for row, document in enumerate(documents):
        assert held[row] == document.text
        assert identity_at(path, row) == ("d", document.id)
    with pytest.raises(IndexError):
        identity_at(path, len(documents))
    found = list(batches(iter(documents), most, 100))
    assert [one for batch in found for one in batch] == documents
    assert all(0 < len(batch) <= most for batch in found)
    assert all(sum(len(one.text) for one in batch[:-1]) < 100 for batch in found)
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        assert file.num_record_batches == bool(documents)
