import os
import shutil

import numpy as np
import pyarrow as pa
import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current, publish
from datastore.generations.manifest import FileEntry
from datastore.schema import passages_to_batch
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.verify import verify
from pipelines.passages.parts import write_batch
from tests.conftest import add_to, build_store, compact, delete, flip
from tests.corpus import documents, write_lines


def test_a_whole_store_verifies(store):
    assert verify(store) == []


@pytest.mark.parametrize("file", ["passages/00001.arrow", "vectors/00002.npy", "index/Flat/trained.faiss"])
@pytest.mark.parametrize("damage", ["flipped", "short", "missing"])
def test_open_and_verify_both_say_which_file_is_damaged(own_store, file, damage):
    path = own_store / file
    if damage == "flipped":
        flip(path)
    elif damage == "short":
        os.truncate(path, path.stat().st_size - 8)
    else:
        path.unlink()
    assert any(str(path) in problem for problem in verify(own_store))
    with pytest.raises(RalmError, match=path.name):
        Datastore.open(own_store)


@pytest.mark.parametrize(
    ("file", "at"),
    [(file, at) for file in ("read/00001.json", "embed/00000.measured.json", "build.json") for at in (2, -3)]
    + [("build.json", 30), ("build.json", -50)],
)
def test_a_record_of_what_a_task_did_that_cannot_be_read_is_said(own_store, file, at):
    path = own_store / "stages" / file
    flip(path, at)
    (problem,) = verify(own_store)
    assert str(path) in problem


@pytest.mark.parametrize("count", ["records", "documents", "passages"])
def test_counts_that_do_not_add_up_are_said(own_store, count):
    layout = Layout(own_store)
    manifest = current(layout)
    publish(layout, manifest.model_copy(update={"counts": manifest.counts | {count: 1}}))
    assert any("are not" in problem for problem in verify(own_store))
    publish(layout, manifest.model_copy(update={"counts": manifest.counts | {"doubtful": 1}}))
    assert verify(own_store) == []
    publish(layout, manifest.model_copy(update={"counts": manifest.counts | {"doubtful": 10**6}}))
    assert any("doubtful documents are more than" in problem for problem in verify(own_store))
    publish(layout, manifest.model_copy(update={"domains": {"travel": 1}}))
    assert any("of all domains are not" in problem for problem in verify(own_store))


def test_records_that_were_skipped_count_as_read(own_store):
    layout = Layout(own_store)
    manifest = current(layout)
    counts = manifest.counts | {"records": manifest.counts["records"] + 3, "skipped.request": 2}
    publish(layout, manifest.model_copy(update={"counts": counts}))
    assert any("skipped" in problem for problem in verify(own_store))
    publish(layout, manifest.model_copy(update={"counts": counts | {"skipped.status": 1}}))
    assert verify(own_store) == []


@pytest.fixture(scope="module")
def dropping(tmp_path_factory):
    """A store that has dropped passages for two reasons, and lines. Not to be changed."""
    folder = tmp_path_factory.mktemp("dropping")
    sentence = "Everybody who lives in this town knows by heart why the bells are rung."
    question = "Which keeper of the old lighthouse wrote down the names of all ships?"
    foot = "This page belongs to the library of the harbour."
    records = [one | {"text": f"{one['text']} {sentence}\n{foot}"} for one in documents()[:12]]
    records[3]["text"] = f"{question} {records[3]['text']}"
    asked = write_lines(folder / "asked.jsonl", [{"question": question, "answers": []}])
    build_store(
        folder / "s",
        write_lines(folder / "towns.jsonl", records),
        duplicate_passages="drop",
        duplicate_lines={},
        decontaminate=[str(asked)],
        chunk_tokens=24,
        passages_per_shard=8,
    )
    return folder / "s"


def test_what_was_dropped_is_accounted_for_after_a_compaction_too(dropping, tmp_path):
    root = shutil.copytree(dropping, tmp_path / "s")
    counts = current(Layout(root)).counts
    assert min(counts[f"dropped.{reason}"] for reason in ("duplicate", "contaminated")) > 0
    assert counts["repeated_lines"] > 0
    assert verify(root) == []
    delete(root, documents()[5]["id"])
    compact(root)
    assert current(Layout(root)).counts["dropped.taken_down"] > 0
    assert verify(root) == []


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("passages_cut", 1, "passages that were cut are not those of the shards plus those dropped"),
        ("dropped.duplicate", -1, "passages that were cut are not"),
        ("dropped.contaminated", 1, "not those dropped for the files of questions"),
        ("contaminated_by.asked.jsonl", 1, "not those dropped for the files of questions"),
        ("contaminated_by.asked.jsonl", -1, "not those dropped for the files of questions"),
        ("repeated_lines", 1, "lines that were compared are not those that stayed plus those left out"),
        ("lines_compared", -1, "lines that were compared are not"),
    ],
)
def test_a_count_of_what_was_dropped_that_is_wrong_is_said(dropping, tmp_path, name, more, message):
    layout = Layout(shutil.copytree(dropping, tmp_path / "s"))
    manifest = current(layout)
    counts = manifest.counts | {name: manifest.counts[name] + more}
    publish(layout, manifest.model_copy(update={"counts": counts}))
    assert any(message in problem for problem in verify(layout.root))


def test_passages_that_additions_would_not_be_compared_with_are_said(dropping, tmp_path):
    layout = Layout(shutil.copytree(dropping, tmp_path / "s"))
    publish(layout, current(layout).model_copy(update={"passage_hashes": ()}))
    (problem,) = verify(layout.root)
    assert "passages are not those that additions are compared with" in problem


def test_an_early_store_that_does_not_say_what_it_cut_is_whole_and_stays_so(dropping, tmp_path):
    layout = Layout(shutil.copytree(dropping, tmp_path / "s"))
    manifest = current(layout)
    totals = ("passages_cut", "lines_compared")
    counts = {name: n for name, n in manifest.counts.items() if name not in totals}
    publish(layout, manifest.model_copy(update={"counts": counts}))
    assert verify(layout.root) == []
    more, _ = add_to(layout.root, write_lines(tmp_path / "more.jsonl", documents()[20:24]))
    assert more.counts.keys() & totals == set()
    assert verify(layout.root) == []


def test_rows_that_disagree_are_said(own_store):
    layout = Layout(own_store)
    manifest = current(layout)
    first = manifest.shards[0]
    more = first.model_copy(update={"rows": first.rows + 1})
    counts = manifest.counts | {"passages": manifest.rows + 1}
    domains = manifest.domains | {"travel": manifest.domains["travel"] + 1}
    changed = {"shards": (more, *manifest.shards[1:]), "counts": counts, "domains": domains}
    publish(layout, manifest.model_copy(update=changed))
    assert any("rows where the manifest says" in problem for problem in verify(own_store))


def test_verify_sees_a_passage_that_should_not_show(own_store):
    layout = Layout(own_store)
    manifest = take_down(layout, Takedowns(frozenset({Takedown("history", "Arvenholm-0")})))
    shown = tuple(s.model_copy(update={"deleted": None, "taken_down": 0}) for s in manifest.shards)
    before = manifest.domains | {"history": manifest.domains["history"] + 1}
    publish(layout, manifest.model_copy(update={"shards": shown, "domains": before}))
    assert any("shows passages that are taken down" in problem for problem in verify(own_store))
    miscounted = tuple(s.model_copy(update={"taken_down": 2 * s.taken_down}) for s in manifest.shards)
    fewer = manifest.domains | {"history": manifest.domains["history"] - 1}
    publish(layout, manifest.model_copy(update={"shards": miscounted, "domains": fewer}))
    assert any("other rows are deleted" in problem for problem in verify(own_store))


def with_first_shard(layout, **files):
    """Publish the store with other files of its first shard, as whole as their checksums say."""
    manifest = current(layout)
    first = manifest.shards[0].model_copy(update={n: FileEntry.of(info) for n, info in files.items()})
    publish(layout, manifest.model_copy(update={"shards": (first, *manifest.shards[1:])}))


def test_codes_of_other_rows_are_said(tmp_path, corpus):
    layout = Layout(tmp_path / "s")
    build_store(layout.root, corpus, passages_per_shard=8, index_key="IVF4,SQ8")
    assert verify(layout.root) == []
    path = layout.codes("IVF4,SQ8", 0)
    fewer = np.load(path)[:-1]
    with_first_shard(layout, codes=layout.write(path, lambda handle: np.save(handle, fewer)))
    # The card was measured on the index as it was built.
    card, codes = verify(layout.root)
    assert "card.0.json is not this index's card: `ralm card" in card
    assert codes == f"{path} has not 8 rows."


@pytest.mark.parametrize("content", ["{", "[]", '{"index": "another"}'])
def test_a_card_that_searches_refuse_is_said_and_none_is_no_damage(own_store, content):
    layout = Layout(own_store)
    card = layout.card("Flat", 0)
    card.write_text(content)
    (problem,) = verify(own_store)
    assert problem == f"{card} is not this index's card: `ralm card {own_store}` measures one."
    card.unlink()
    assert verify(own_store) == []


@pytest.mark.parametrize("row", [0, 7])
def test_a_key_that_is_of_another_identity_is_said(own_store, row):
    layout = Layout(own_store)
    path, passages = layout.passages(0), list(Datastore.open(own_store))[:8]
    batch = passages_to_batch(passages)
    keys = batch.column("key").to_numpy().copy()
    keys[row] ^= np.uint64(1)
    wrong = batch.set_column(batch.schema.get_field_index("key"), batch.schema.field("key"), pa.array(keys))
    with_first_shard(layout, passages=layout.write(path, lambda handle: write_batch(handle, wrong)))
    assert verify(own_store) == [f"{path}: the key of row {row} is not the hash of its identity."]
