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


@pytest.mark.parametrize("how", [{"device": "cuda"}, {"place": "disk"}])
def test_a_cluster_has_no_say_in_where_its_searchers_search(store, how):
    with pytest.raises(RalmError, match="take no --device and no --index-in"):
        open_stores([store], Opening(**how), searchers=2)
