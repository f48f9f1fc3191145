import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.plan.arithmetic import Wish, make_plan
from pipelines.plan.corpus import CorpusSize
from pipelines.plan.designs import designs, vectors_dollars
from pipelines.plan.encoder import MINILM
from pipelines.plan.rates import Flags, Rates, load_rates
from retriever.index.sizing import IndexKey


def plan_of(passages, rates=None):
    rates = rates or Rates()
    corpus = CorpusSize(286 * passages, passages, passages, 1000 * passages, "asked for")
    return make_plan(corpus, MINILM, rates, Wish(2**40))


def test_a_trillion_tokens_are_as_they_were_measured():
    """3.5 billion rows of PQ64 on two H200: 68.36 bytes a row; 1,024 queries in 47.7 ms."""
    rates = Rates().given({"gpu_memory": 150.8}, "given")
    gpu, host, ssd = designs(plan_of(3_500_146_688, rates))
    assert (gpu.key.split(",")[1], gpu.on) == ("PQ64", "2 x 150.8 GB")
    assert gpu.bytes / 3_500_146_688 == pytest.approx(68.36, rel=0.002)
    # There it had 65,536 lists; here twice as many, of half the length.
    lists = IndexKey.parse(gpu.key).nlist
    assert gpu.queries_a_second * 65_536 / lists == pytest.approx(1024 / 0.0477, rel=0.02)
    assert math.isnan(host.queries_a_second)
    assert math.isnan(ssd.queries_a_second)
    assert host.dollars < gpu.dollars
    assert ssd.dollars < host.dollars
    assert vectors_dollars(plan_of(3_500_146_688)) == pytest.approx(3.5 * 0.768 * 80, rel=0.001)


@given(st.integers(262_145, 10**13))
def test_machines_hold_what_is_searched(passages):
    for one in designs(plan_of(passages)):
        count, _, unit = one.on.partition(" x ")
        held = {"GB": 1e9, "GiB": 2**30, "TiB": 2**40}
        if unit:
            number, name = unit.split()
            assert float(number) * held[name] * int(count) > one.bytes
        assert 0 < one.query_bytes <= one.bytes
        assert one.dollars > 0
        assert one.kwh > 0


def test_few_passages_are_scanned_whole():
    assert designs(plan_of(262_144)) == ()


def test_without_gpus_or_their_memory_there_is_no_design_of_them():
    without = Rates().given({"gpus": 0}, "given")
    assert [one.name for one in designs(plan_of(10**9, without))] == ["CPU memory", "SSD"]
    of_another = load_rates(None, Flags(gpu="A100", gpu_tflops=250.0, gpu_watts=400.0, gpu_price=1.5))
    assert [one.name for one in designs(plan_of(10**9, of_another))] == ["CPU memory", "SSD"]
    known = of_another.given({"gpu_memory": 40}, "given")
    assert designs(plan_of(10**9, known))[0].on == "3 x 40 GB"
