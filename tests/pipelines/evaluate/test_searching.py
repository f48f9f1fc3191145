import numpy as np
import pytest

from base.errors import RalmError
from pipelines.evaluate.searching import can_be_asked, exhaustive, rankings_of
from pipelines.execution.progress import Silent
from retriever.local import LocalRetriever
from retriever.ranking.setting import Setting
from tests.conftest import build_store
from tests.vectors import dense

_GLASS, _UNKNOWN = "Who makes blue glass?", "\u0b83\u0b83"


def test_a_study_probes_all_lists(tmp_path, corpus, monkeypatch):
    """Some of the lists find less of a sample than of the whole: that would pass for a gain of the whole."""
    build_store(tmp_path / "s", corpus, index_key="IVF4,SQ8")
    retriever = LocalRetriever.open(tmp_path / "s")
    monkeypatch.setattr(retriever.opened, "setting", lambda *_: Setting(1, 7))
    assert exhaustive(retriever) == Setting(4, 7)


def test_what_cannot_be_asked_finds_nothing_and_keeps_its_place(store, monkeypatch):
    monkeypatch.setattr("pipelines.evaluate.searching._TOGETHER", 1)
    retriever, search = LocalRetriever.open(store), dense(3)
    known = np.array([False, True, True])
    monkeypatch.setattr(retriever, "answerable", lambda *_: known)
    found = rankings_of(retriever, [_UNKNOWN, _GLASS, _GLASS], search, Silent())
    assert found.asked.tolist() == [False, True, True]
    assert [len(one.hits) for one in found.rankings] == [0, 3, 3]
    assert found.rankings[1] == found.rankings[2]


def test_texts_of_which_none_can_be_asked_are_refused_or_counted_out(store, monkeypatch):
    retriever = LocalRetriever.open(store)

    def refuse(*_: object) -> None:
        raise RalmError("None of them.")

    monkeypatch.setattr(retriever, "answerable", refuse)
    with pytest.raises(RalmError, match="None of them"):
        rankings_of(retriever, [_UNKNOWN], dense(3), Silent())
    assert can_be_asked(retriever, [_UNKNOWN, _GLASS], dense(3)).tolist() == [False, False]
