from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.plan.arithmetic import (
    Wish,
    codes_bytes,
    encoding_seconds,
    machine,
    make_plan,
    training_seconds,
)
from pipelines.plan.corpus import CorpusSize
from pipelines.plan.encoder import MINILM, EncoderShape
from pipelines.plan.rates import Rates
from retriever.index.sizing import IndexKey, choose_key

GIB = 2**30
tokens = st.integers(10**3, 10**14)
gpus = st.integers(0, 4096)


def plan_of(count, rates=None, memory=4 * GIB, key="auto"):
    rates = rates or Rates()
    return make_plan(CorpusSize.of_tokens(count, MINILM, rates), MINILM, rates, Wish(memory, key=key))


def with_rates(**values):
    return Rates().given(values, "given")


def step(plan, name):
    return next(one for one in plan.steps if one.name == name)


@given(tokens, tokens, gpus)
def test_more_tokens_never_take_less(one, other, count):
    less, more = sorted((one, other))
    # One key for both: where `auto` changes to smaller codes, more passages may take fewer bytes.
    small, large = (plan_of(n, with_rates(gpus=count), key="IVF1024,PQ48x4fs") for n in (less, more))
    for name in ("store_bytes", "peak_bytes", "days", "dollars", "kwh", "carbon_kg"):
        assert getattr(small, name) <= getattr(large, name)
    assert all(a.bytes <= b.bytes for a, b in zip(small.files, large.files, strict=True))


@given(tokens, gpus, st.integers(1, 10_000))
def test_sums_add_up(count, number, cores):
    plan = plan_of(count, with_rates(gpus=number, cores=cores))
    assert plan.peak_bytes == sum(one.bytes for one in plan.files) == plan.store_bytes + plan.work_bytes
    assert plan.hours("cores") + plan.hours("GPUs") == pytest.approx(sum(s.hours for s in plan.steps))
    assert plan.days == pytest.approx(sum(one.days for one in plan.steps))
    assert plan.dollars == pytest.approx(sum(one.dollars for one in plan.steps) + plan.disk_dollars)
    assert plan.carbon_kg == pytest.approx(plan.kwh * 0.475)


@given(tokens, st.integers(1, 4096))
def test_twice_the_gpus_embed_in_half_the_time_for_the_same_money(count, number):
    one, two = (plan_of(count, with_rates(gpus=n)) for n in (number, 2 * number))
    for name in [s.name for s in one.steps if s.device == "GPUs" and s.name != "train the index"]:
        assert step(two, name).days == pytest.approx(step(one, name).days / 2)
        assert step(two, name).dollars == pytest.approx(step(one, name).dollars)
    assert [s for s in one.steps if s.device == "cores"] == [s for s in two.steps if s.device == "cores"]


def test_training_is_one_task_on_one_gpu():
    one, eight = (plan_of(10**12, with_rates(gpus=n)) for n in (1, 8))
    assert step(one, "train the index") == step(eight, "train the index")


@given(tokens, st.floats(1, 3), st.floats(0, 2000))
def test_energy_and_carbon_follow_their_factors(count, pue, carbon):
    plan, bare = plan_of(count, with_rates(pue=pue, carbon=carbon)), plan_of(count, with_rates(pue=1))
    assert plan.kwh == pytest.approx(bare.kwh * pue)
    assert plan.carbon_kg == pytest.approx(plan.kwh * carbon / 1000)


def test_embedding_is_what_was_measured():
    """A GPU embedded 24.3 M tokens in 4.1 s; a thread of machine A 41.2 passages of 160."""
    rates = with_rates(gpus=1)
    assert step(plan_of(24_264_660, rates), "embed").hours * 3600 == pytest.approx(4.09, rel=0.01)
    on_core = make_plan(CorpusSize(160_000, 1000, 1000, 1, ""), MINILM, with_rates(gpus=0), Wish(4 * GIB))
    assert step(on_core, "embed").hours * 3600 == pytest.approx(1000 / 41.2)
    assert step(on_core, "embed").device == "cores"


def test_encoding_is_what_was_measured():
    """65,536 lists: 3,682,251 vectors of 384-d with PQ48 a second, 2,718,950 of 768-d with PQ64."""
    small, large = IndexKey.parse("IVF65536,PQ48"), IndexKey.parse("IVF65536,PQ64")
    assert encoding_seconds(small, 384, Rates()) == pytest.approx(1 / 3_682_251, rel=0.02)
    assert encoding_seconds(large, 768, Rates()) == pytest.approx(1 / 2_718_950, rel=0.05)
    assert training_seconds(small, 384, Rates()) == pytest.approx(11.8)
    twice = with_rates(gpu_tflops=2 * Rates().gpu_tflops)
    assert encoding_seconds(small, 384, twice) == pytest.approx(encoding_seconds(small, 384, Rates()) / 2)


def test_the_files_of_the_measured_store_are_foreseen():
    files = {one.name: one.bytes for one in plan_of(24_264_660).files}
    measured = {"passages/": 126_371_786, "vectors/": 109_606_272, "lexical/": 76_724_672, "index/": 0}
    for name, size in measured.items():
        assert files[name] == pytest.approx(size, rel=0.01)


@given(tokens, st.integers(20, 45).map(lambda n: 2**n))
def test_auto_is_what_a_build_would_choose(count, memory):
    plan = plan_of(count, memory=memory)
    chosen = next((one for one in plan.options if one.key == plan.auto), None)
    if chosen is None:
        assert not any(one.fits for one in plan.options if "PQ" in one.key)
        assert plan.key == min(plan.options, key=lambda one: one.memory_bytes).key
        return
    assert plan.auto == plan.key == choose_key(plan.corpus.passages, 384, memory).text
    assert chosen.fits
    assert chosen.memory_bytes <= memory


def test_a_key_that_is_asked_for_is_planned_with_and_compared():
    plan = plan_of(10**9, key="IVF4096,PQ32")
    assert plan.key == "IVF4096,PQ32"
    assert plan.key in [one.key for one in plan.options]
    assert any("IVF4096,PQ32" in one.of for one in plan.files)


@given(st.integers(0, 2**50))
def test_a_machine_holds_its_index(index):
    ram, machines = machine(index)
    assert ram * machines > index
    assert ram & (ram - 1) == 0


def test_codes_on_disk_hold_their_list_number():
    assert codes_bytes(IndexKey.parse("IVF65536,PQ48"), 10, 384) == 10 * (48 + 2)
    assert codes_bytes(IndexKey.parse("IVF131072,PQ96x4fs"), 10, 384) == 10 * (48 + 3)
    assert codes_bytes(IndexKey.parse("Flat"), 10, 384) == 0


def test_what_nobody_measured_is_named_until_it_is_given():
    assert plan_of(10**9).uncounted == ()
    given_ = plan_of(10**9, with_rates(filter_speed=4, near_duplicate_speed=2))
    assert given_.uncounted == ()
    assert step(given_, "filters").hours == pytest.approx(given_.corpus.text_bytes / 4e6 / 3600)
    assert step(given_, "near-duplicates").hours == pytest.approx(given_.corpus.text_bytes / 2e6 / 3600)
    on_cores = plan_of(10**10, with_rates(gpus=0), memory=10 * GIB)
    assert on_cores.uncounted[-1] == f"training and encoding {on_cores.key} on cores"


def test_a_larger_encoder_costs_more_and_longer_passages_are_fewer():
    larger = EncoderShape.given("large", 1024, 300 * 10**6, 512)
    corpus = CorpusSize.of_tokens(10**9, larger, Rates())
    plan = make_plan(corpus, larger, Rates(), Wish(4 * GIB))
    small = plan_of(10**9)
    assert corpus.passages < small.corpus.passages
    assert step(plan, "embed").hours > 20 * step(small, "embed").hours


def test_a_disk_that_is_too_small_is_noticed():
    plan = plan_of(10**12, with_rates(disk_tb=10))
    assert plan.overflow
    assert not replace(plan, rates=with_rates(disk_tb=1000)).overflow
    assert not replace(plan, rates=Rates()).overflow
