import pytest

from datastore.files.json import read_json, write_json
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.generations.sweep import sweep
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.execution.metering.measured import (
    Measured,
    of_embedding,
    of_stage,
    of_store,
    total,
    write_measured,
)
from pipelines.jobs.status import status
from pipelines.passages.cut import load_tokenizer
from pipelines.plan.encoder import MINILM
from tests.conftest import add_to, build_store, compact, delete, tree
from tests.corpus import documents, write_lines


def test_what_early_stores_did_not_measure_is_nothing():
    assert Measured.of({"seconds": 2.5}) == Measured(1, 2.5)
    both = Measured.of({"seconds": 2.5}) + Measured(1, 1.0, 0.5, 3.0, ("rapl",))
    assert both == Measured(2, 3.5, 0.5, 3.0, ("rapl",))
    assert Measured.of(both.to_json()) == both


def test_operations_add_up_and_so_does_what_a_device_could_have_done():
    gpu = {"tokens": 10, "flops": 4e14, "device": "NVIDIA H200", "dtype": "bfloat16"}
    one = Measured.of({"seconds": 1.0} | gpu)
    assert (one.tokens, one.flops, one.devices) == (10, 4e14, ("NVIDIA H200",))
    assert one.mfu == pytest.approx(4e14 / 989.4e12)
    exact = Measured.of({"seconds": 1.0} | gpu | {"dtype": "float32"})
    assert exact.most_flops == pytest.approx(66.9e12)
    both = one + Measured.of({"seconds": 3.0} | gpu)
    assert both.mfu == pytest.approx(8e14 / (4 * 989.4e12))
    assert Measured.of(both.to_json()) == both
    # A device of which nobody knows how fast it could be leaves no share to tell.
    mixed = both + Measured.of({"seconds": 9.0} | gpu | {"device": "cpu"})
    assert mixed.mfu is None
    assert mixed.flops == 12e14
    assert Measured.of(mixed.to_json()).mfu is None
    assert Measured.of({"seconds": 2.0}).mfu is None


def test_embedding_is_measured_beside_the_manifest(own_store):
    layout = Layout(own_store)
    found, manifest = of_embedding(layout, 1), current(layout)
    assert found.tokens == manifest.counts["tokens"]
    assert found.devices == ("cpu",)
    assert found.mfu is None
    lengths = [
        len(ids)
        for ids in load_tokenizer(manifest.encoder.name).query_ids(
            [p.text for p in Datastore.open(own_store)]
        )
    ]
    assert found.flops == pytest.approx(sum((n + 2) * MINILM.flops(n + 2) for n in lengths), rel=0.01)
    marker = layout.marker("embed", 0).read_text()
    assert not any(word in marker + layout.manifest(1).read_text() for word in ("flops", "device_name"))
    layout.measured_manifest(1).unlink()
    assert of_embedding(layout, 1) == Measured()


def test_the_sum_stands_beside_the_manifest_and_in_no_hash(own_store):
    layout = Layout(own_store)
    beside = read_json(layout.measured_manifest(1))
    assert beside["joules"] > 0
    assert beside["joules"] == pytest.approx(sum(s["joules"] for s in beside["stages"].values()), abs=0.1)
    assert {"read", "chunk", "embed", "card"} <= set(beside["stages"])
    manifest = layout.manifest(1).read_text()
    assert not any(word in manifest for word in ("joules", "seconds", "measured"))
    hash_before = current(layout).hash
    layout.measured_manifest(1).write_text("{}")
    layout.measured("embed", 0).unlink()
    assert current(layout).hash == hash_before
    assert verify(own_store) == []


def test_a_resumed_build_counts_what_was_done_before(tmp_path, corpus, store):
    root = tmp_path / "store"
    layout = Layout(root)
    build_store(root, corpus, split_bytes=4096, passages_per_shard=8)
    write_json(layout.measured("read", 0), {"seconds": 1000, "joules": 5000, "energy_source": "rapl"})
    layout.pointer.unlink()
    layout.measured_manifest(1).unlink()
    layout.marker("card", 0).unlink()
    build_store(root, corpus, split_bytes=4096, passages_per_shard=8)
    assert tree(root) == tree(store)
    found = of_store(root)
    assert found.seconds > 1000
    assert found.joules > 5000
    assert "rapl" in found.sources
    assert found.joules == pytest.approx(total(stage.took for stage in status(root).stages).joules, abs=0.1)


def test_a_sum_that_cannot_be_written_fails_nothing(own_store):
    layout = Layout(own_store)
    layout.measured("embed", 0).write_text("{ damaged")
    layout.measured_manifest(1).unlink()
    write_measured(layout, 1)
    assert not layout.measured_manifest(1).exists()


def test_every_generation_adds_what_it_took(tmp_path, own_store):
    built = of_store(own_store)
    more = write_lines(tmp_path / "more.jsonl", [{"id": "new", "text": "A text that nobody has read yet."}])
    add_to(own_store, more)
    layout = Layout(own_store, "0001-add")
    added = Measured.of(read_json(layout.measured_manifest(2)))
    assert added.tasks == sum(of_stage(layout, path.name).tasks for path in layout.stages.iterdir())
    assert of_store(own_store) == built + added
    delete(own_store, documents()[0]["id"])
    assert not layout.measured_manifest(3).exists()  # A takedown has no tasks.
    compact(own_store)
    assert of_store(own_store).tasks > (built + added).tasks
    sweep(Layout(own_store))
    assert status(own_store).took == of_store(own_store)
