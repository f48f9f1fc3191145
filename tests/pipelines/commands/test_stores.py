import shutil

import pytest

from base.errors import RalmError
from pipelines.commands.stores import open_stores
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.several import SeveralRetriever


def test_one_store_is_opened_as_it_is_and_several_by_their_folders_names(store, own_store):
    one = open_stores([store], Opening())
    assert type(one) is LocalRetriever
    several = open_stores([store, own_store], Opening())
    assert isinstance(several, SeveralRetriever)
    assert list(several.stores) == [store.name, own_store.name]
    assert several.rows == 2 * one.rows


def test_folders_of_one_name_are_called_by_their_whole_paths(store, tmp_path):
    paths = [tmp_path / folder / "towns" for folder in "ab"]
    for path in paths:
        shutil.copytree(store, path)
    assert list(open_stores(paths, Opening()).stores) == [str(path) for path in paths]


def test_a_store_that_is_given_twice_is_refused(store):
    with pytest.raises(RalmError, match=f"{store} is given twice: name it once"):
        open_stores([store, store], Opening())


@pytest.mark.parametrize("how", [{"device": "cuda"}, {"place": "disk"}])
def test_a_cluster_has_no_say_in_where_its_searchers_search(store, how):
    with pytest.raises(RalmError, match="take no --device and no --index-in"):
        open_stores([store], Opening(**how), searchers=2)


def test_how_it_is_opened_reaches_the_store(store):
    with pytest.raises(RalmError, match="no lists that could stay on disk"):
        open_stores([store], Opening(place="disk"))
    with pytest.raises(RalmError, match="no encoder 'other'"):
        open_stores([store], Opening(encoder="other"))
