import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from base.errors import RalmError
from retriever.index.faiss_index import to_bytes, train
from retriever.index.probation import require_usable, train_apart
from retriever.index.sizing import IndexKey
from tests.lives import Lives
from tests.vectors import embeddings

DIMENSION = 24
# Those that docs/building.md names, of all kinds, and some that FAISS knows beside them.
NAMED = (
    "Flat",
    "IVF1,SQ8",
    "IVF7,SQfp16",
    "IVF4,SQ6",
    "IVF4,SQ4",
    "IVF4,PQ8",
    "IVF4,PQ6x4",
    "IVF4,PQ12x4fs",
    "IVF4,PQ3x4fs",
    "IVF4,RaBitQ",
    "IVF4,RaBitQfs",
    "OPQ6,IVF4,PQ6x4fs",
    "OPQ6_12,IVF4,SQ8",
    "RR12,IVF4,PQ6x4",
    "MRL12,IVF4,PQ6x4fs",
    "HNSW2,SQ8",
    "HNSW32,SQ8",
    "HNSW8,SQfp16",
)
OTHERS = (
    "IDMap,Flat",
    "IDMap2,Flat",
    "SQ8",
    "PQ6",
    "PQ6x4fs",
    "RaBitQfs",
    "IVF4,Flat",
    "IVF4_HNSW8,SQ8",
    "IVF4,PQ6x4fsr",
    "IVF4,LSQ3x4",
    "PCA12,IVF4,SQ8",
    "PCA48,Flat",
    "OPQ6,Flat",
    "ITQ12,SQ8",
    "HNSW8,Flat",
    "HNSW8_PQ6x4",
    "HNSW1,SQ8",
    "HNSW0,SQ8",
    "NSG8",
    "SQ8,RFlat",
    "PRQ2x2x4",
    "ZnLattice2x4_2",
    "ZnLattice0x4_2",
    "RQ2x0",
    "PQ6x0",
    "PQ8x24",
    "L2norm,SQ8",
)


@pytest.fixture(scope="module")
def lives():
    found = Lives()
    yield found
    found.close()


def enough(text, rows, dimension):
    key = IndexKey.parse(text)
    try:
        key.check(dimension)
        key.require_passages(rows, dimension)
    except RalmError:
        return False
    return True


@settings(max_examples=25)
@given(text=st.sampled_from(NAMED), rows=st.sampled_from([1, 2, 3, 7, 15, 16, 23, 24, 25, 255, 256, 300]))
def test_every_key_that_readme_names_works_from_the_size_that_it_needs(lives, text, rows):
    said = lives.live(text, rows, DIMENSION)
    assert said.startswith("ok" if enough(text, rows, DIMENSION) else "refused"), said


@settings(max_examples=12)
@given(text=st.sampled_from(OTHERS), rows=st.sampled_from([1, 20, 300]))
@example("IDMap,Flat", 300)
@example("PQ6", 300)
@example("HNSW8_PQ6x4", 300)
def test_any_other_key_is_refused_or_works(lives, text, rows):
    said = lives.live(text, rows, DIMENSION)
    assert said.startswith(("ok", "refused")), said


@pytest.mark.parametrize(
    ("text", "rows", "said"),
    [
        ("OPQ48,IVF4,PQ48x4fs", 300, "refused OPQ48,IVF4,PQ48x4fs learns a rotation to 384 dimensions"),
        ("OPQ60_300,IVF4,SQ8", 299, "refused OPQ60_300,IVF4,SQ8 learns a rotation to 300 dimensions"),
        ("OPQ7,IVF4,SQ8", 400, "refused OPQ7,IVF4,SQ8: 384 dimensions cannot be cut into 7 equal parts"),
        # FAISS crashes: so it does in a process of its own.
        ("OPQ48,Flat", 300, "refused FAISS ends its process"),
    ],
)
def test_a_rotation_is_learned_from_as_many_passages_as_it_has_dimensions(lives, text, rows, said):
    assert lives.live(text, rows, 384).startswith(said)


def test_what_is_trained_apart_is_what_is_trained_here():
    sample, key = embeddings(300, 3, DIMENSION).astype(np.float32), IndexKey.parse("PCA12,IVF4,SQ8")
    assert to_bytes(train_apart(key, sample)) == to_bytes(train(key, sample))


def test_what_it_cannot_do_is_said_with_what_can():
    sample = embeddings(300, 3, DIMENSION).astype(np.float32)
    said = r"cannot fill an index PQ6 of 300 passages of 24 dimensions .* \(.+\): choose Flat, or lists"
    with pytest.raises(RalmError, match=said):
        train_apart(IndexKey.parse("PQ6"), sample)


@pytest.mark.parametrize(("text", "dimension"), [("PQ6", 24), ("IDMap,Flat", 24), ("HNSW8_PQ6x4", 24)])
def test_what_faiss_cannot_use_is_said_before_there_are_vectors(text, dimension):
    with pytest.raises(RalmError, match=r"FAISS cannot fill an index .* in parts and search it in a view"):
        require_usable(IndexKey.parse(text), dimension)


@pytest.mark.parametrize("text", ["IVF9999,Flat", "IVF4,Flat", "SQ8", "IVF4,PQ6x4fs"])
def test_what_needs_more_vectors_than_are_drawn_is_no_fault(text):
    require_usable(IndexKey.parse(text), 24)
