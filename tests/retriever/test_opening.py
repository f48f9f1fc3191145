import shutil

import pytest

from base.errors import RalmError
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.opening import open_retriever
from retriever.request import Search
from retriever.several import SeveralRetriever


def test_one_store_is_opened_as_it_is_and_several_by_their_folders_names(store, own_store):
    one = open_retriever(str(store))
    assert type(one) is LocalRetriever
    several = open_retriever(store, own_store)
    assert isinstance(several, SeveralRetriever)
    assert list(several.stores) == [store.name, own_store.name]
    assert several.rows == 2 * one.rows
    # One model in memory is enough.
    first, second = several.stores.values()
    assert first.encoder is second.encoder


def test_folders_of_one_name_are_called_by_their_whole_paths(store, tmp_path):
    paths = [tmp_path / folder / "towns" for folder in "ab"]
    for path in paths:
        shutil.copytree(store, path)
    assert list(open_retriever(*paths).stores) == [str(path) for path in paths]


def test_a_store_that_is_given_twice_is_refused(store):
    with pytest.raises(RalmError, match=f"{store} is given twice: name it once"):
        open_retriever(store, store)


def test_how_it_is_opened_reaches_the_store(store):
    with pytest.raises(RalmError, match="no lists that could stay on disk"):
        open_retriever(store, how=Opening(place="disk"))
    with pytest.raises(RalmError, match="no encoder 'other'"):
        open_retriever(store, how=Opening(encoder="other"))


def test_what_is_opened_finds_what_most_methods_find(store):
    (ranking,) = open_retriever(store).search(["who makes blue glass?"], Search(k=2))
    assert ranking.hits[0].passage.doc_id.startswith("Dunmarrow")
    assert len(ranking.hits) == 2
