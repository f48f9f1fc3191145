from types import SimpleNamespace

from retriever import results
from retriever.results import Hit, Seconds
from tests.vectors import passage


def test_seconds_of_a_stage_add_up_and_stages_stand_apart(monkeypatch):
    ticks = iter([0.0, 2.0, 10.0, 11.0, 20.0, 20.5])
    monkeypatch.setattr(results, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    seconds = Seconds()
    for stage in ("passages", "encode", "passages"):
        with seconds.of(stage):
            pass
    assert seconds.stages == {"passages": 2.5, "encode": 1.0}


def test_a_hit_is_the_same_in_every_generation_but_not_in_every_store():
    hit = Hit(3, 0.5, passage(3), generation=1)
    assert hit == Hit(3, 0.5, passage(3), generation=2)
    assert hit != Hit(3, 0.5, passage(3), generation=1, store="other")
