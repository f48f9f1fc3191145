import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.numbers import fraction
from datastore.schema import (
    Document,
    Passage,
    batch_to_documents,
    documents_to_batch,
    identity_hash,
    join_passages,
    passage_at,
    passage_key,
    passages_to_batch,
    text_hash,
)

# Any text that UTF-8 can spell: lone surrogates are refused when a record is read.
texts = st.text(st.characters(exclude_categories=["Cs"]))
decimals = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda d: not isinstance(fraction(f"{d:f}e0"), float)
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), decimals, texts)
metadata = st.dictionaries(texts, scalars, max_size=4)


@given(st.lists(st.builds(Document, texts, texts, texts, metadata)))
def test_documents_survive_arrow(documents):
    assert batch_to_documents(documents_to_batch(documents)) == documents


@given(
    st.lists(
        st.builds(Passage, texts, texts, texts, st.integers(0, 2**31 - 1), st.integers(0, 2**40), metadata)
    )
)
def test_passages_survive_arrow(passages):
    batch = passages_to_batch(passages)
    assert [passage_at(batch, row) for row in range(batch.num_rows)] == passages
    assert batch.column("key").to_pylist() == [p.key for p in passages]


@given(texts, texts, texts, texts)
def test_no_two_identities_are_spelled_the_same(domain, doc_id, other_domain, other_id):
    if (domain, doc_id) != (other_domain, other_id):
        assert identity_hash(domain, doc_id) != identity_hash(other_domain, other_id)
        assert passage_key(domain, doc_id, 0) != passage_key(other_domain, other_id, 0)


def test_a_digit_does_not_move_between_id_and_chunk():
    assert passage_key("d", "x1", 2) != passage_key("d", "x", 12)


def test_texts_that_differ_in_white_space_are_the_same_text():
    assert text_hash("one  two\n") == text_hash(" one two")
    assert text_hash("onetwo") != text_hash("one two")


@pytest.mark.parametrize("most", [10, 60, 2**31 - 2])
def test_columns_of_more_bytes_than_32_bits_count_are_wide(monkeypatch, most):
    monkeypatch.setattr("datastore.schema._MOST_BYTES", most)
    passages = [Passage("text", "d", f"id {n}", n, 0, {"title": f"Ünder {n}"}) for n in range(4)]
    whole = passages_to_batch(passages)
    assert (whole.schema.field("metadata").type == pa.large_string()) == (most < 80)
    assert (whole.schema.field("domain").type == pa.large_string()) == (most < 4)
    halves = [passages_to_batch(passages[:2]), passages_to_batch(passages[2:])]
    joined = join_passages(halves)
    assert [passage_at(joined, row) for row in range(4)] == passages
    assert joined.schema.field("metadata").type == whole.schema.field("metadata").type
