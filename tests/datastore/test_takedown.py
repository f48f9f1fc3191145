import json
import threading

import numpy as np
import pytest

from base.errors import RalmError
from datastore.conditions import Condition
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, matching, take_down
from datastore.verify import verify
from datastore.view import View
from tests.corpus import documents
from tests.vectors import make_store, random_vectors

DOCUMENTS = documents()


def of(*documents):
    return Takedowns(frozenset(Takedown(d["domain"], d["id"]) for d in documents))


def test_what_is_taken_down_is_in_no_view_and_its_rows_keep_their_numbers(own_store):
    before = list(Datastore.open(own_store))
    gone = of(*DOCUMENTS[3:12], DOCUMENTS[30])
    manifest = take_down(Layout(own_store), gone)
    store = Datastore.open(own_store)
    kept = [(p.domain, p.doc_id) not in gone for p in before]
    assert store.mask(View()).tolist() == kept
    assert store.keep([View(), View(domains=("travel",))], range(store.rows)).tolist() == [
        kept,
        [k and p.domain == "travel" for k, p in zip(kept, before, strict=True)],
    ]
    assert list(store) == [p for p, k in zip(before, kept, strict=True) if k]
    assert [store.passage(row) for row in np.flatnonzero(kept)] == list(store)
    with pytest.raises(RalmError, match="row 3 is taken down"):
        store.passage(3)
    assert (manifest.rows, manifest.passages) == (len(before), sum(kept))
    assert manifest.domains == {d: sum(p.domain == d for p in store) for d in ("history", "travel")}
    assert manifest.columns["year"] == sum(kept)
    assert verify(own_store) == []


def test_a_domain_or_a_column_of_which_nothing_is_left_is_gone(tmp_path):
    store = make_store(tmp_path, np.arange(20), random_vectors(0, 20))
    manifest = take_down(store.layout, matching(store, View(domains=("b",))))
    assert sorted(manifest.domains) == ["a", "c"]
    with pytest.raises(RalmError, match="there are 'a', 'c'"):
        Datastore.open(tmp_path).check(View(domains=("b",)))


def test_taking_down_again_changes_nothing_and_more_adds_up(own_store):
    layout = Layout(own_store)
    first = take_down(layout, of(*DOCUMENTS[:4]))
    assert take_down(layout, of(*DOCUMENTS[:2])) == first
    second = take_down(layout, of(*DOCUMENTS[2:6]))
    assert second.generation == 3
    assert second.passages == second.rows - 6
    assert Takedowns.load(layout, second) == of(*DOCUMENTS[:6])
    # An earlier generation's files are as they were.
    assert Datastore(layout, first).mask(View()).sum() == first.passages


def test_one_that_is_not_there_yet_is_noted(own_store):
    manifest = take_down(Layout(own_store), Takedowns(frozenset({Takedown("travel", "to come")})))
    assert manifest.generation == 2
    assert manifest.passages == manifest.rows


def test_two_at_once_both_hold(own_store):
    layout = Layout(own_store)
    threads = [threading.Thread(target=take_down, args=(layout, of(d))) for d in DOCUMENTS[:8]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    manifest = current(layout)
    assert manifest.generation == 9
    assert manifest.passages == manifest.rows - 8
    assert verify(own_store) == []


def test_matching_finds_documents_by_view_and_id(tmp_path):
    store = make_store(tmp_path, np.arange(30), random_vectors(0, 30))
    by_year = matching(store, View(where=(Condition("year", "=", "2003"),)))
    assert {int(d.doc_id[3:]) for d in by_year.documents} == {3, 17, 24}
    both = matching(store, View(domains=("a",)), ["doc3", "doc4", "doc6"])
    assert both.documents == {Takedown("a", "doc3"), Takedown("a", "doc6")}
    assert not matching(store, View(), ["none"]).documents


def test_an_id_that_is_a_number_stands_for_its_digits_as_in_a_corpus(tmp_path):
    (tmp_path / "gone.jsonl").write_text('{"domain": "a", "id": 17}\n\n')
    assert Takedowns.read([tmp_path / "gone.jsonl"]).documents == {Takedown("a", "17")}


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"domain": "a"}', '{"id": "x"}', '{"domain": "a", "id": true}', '{"domain": 1, "id": "x"}'],
)
def test_a_line_that_is_no_takedown_is_named(tmp_path, line):
    path = tmp_path / "gone.jsonl"
    path.write_text(json.dumps({"domain": "a", "id": "b"}) + "\n" + line + "\n")
    with pytest.raises(RalmError, match=r"gone\.jsonl, line 2, is no takedown"):
        Takedowns.read([path])
    with pytest.raises(RalmError, match="cannot be read"):
        Takedowns.read([tmp_path / "none"])
