import json

import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.store import Datastore
from pipelines.jobs.delete import Deletion
from tests.corpus import documents

DOCUMENTS = documents()


def shown(root):
    return {p.doc_id for p in Datastore.open(root)}


def test_by_id_by_domain_and_by_metadata(own_store):
    first = DOCUMENTS[0]
    Deletion(own_store, ids=(first["id"],)).run()
    assert shown(own_store) == {d["id"] for d in DOCUMENTS[1:]}
    Deletion(own_store, domains=("travel",), where=("year>=1600",)).run()
    left = [d for d in DOCUMENTS[1:] if d["domain"] != "travel" or d["year"] < 1600]
    assert shown(own_store) == {d["id"] for d in left}


def test_a_list_of_identities_may_name_what_is_still_to_come(own_store, tmp_path):
    listed = tmp_path / "gone.jsonl"
    lines = [{"domain": DOCUMENTS[2]["domain"], "id": DOCUMENTS[2]["id"]}, {"domain": "x", "id": "later"}]
    listed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before, after, documents_ = Deletion(own_store, ids_file=listed).run()
    assert len(documents_) == 2
    assert before.passages - after.passages == 1


def test_what_is_meant_is_shown_before_it_goes_and_no_more_goes_than_was_shown(own_store, tmp_path):
    meant = Deletion(own_store, domains=("travel",)).meant()
    of_travel = [d for d in DOCUMENTS if d["domain"] == "travel"]
    assert [one.doc_id for one in meant.documents] == sorted(d["id"] for d in of_travel)
    assert meant.passages == len(of_travel)
    titles = {d["id"]: d["title"] for d in of_travel}
    assert {one.doc_id: title for one, title in meant.titles.items()} == {
        one.doc_id: titles[one.doc_id] for one in meant.documents[:10]
    }
    Deletion(own_store, domains=("travel",)).run(meant.documents[:1])
    assert len(shown(own_store)) == len(DOCUMENTS) - 1
    # What is taken down already hides nothing more.
    assert Deletion(own_store, domains=("travel",)).meant().passages == len(of_travel) - 1


def test_an_empty_list_is_said_to_be_one(own_store, tmp_path):
    listed = tmp_path / "gone.jsonl"
    listed.write_text("\n")
    for deletion in (Deletion(own_store, ids_file=listed), Deletion(own_store, (), listed, ("travel",))):
        with pytest.raises(RalmError, match=r"gone\.jsonl lists nothing: write lines of"):
            deletion.run()


@pytest.mark.parametrize(
    ("deletion", "message"),
    [
        ({}, "Nothing says what to delete"),
        ({"ids": ("none",)}, "shows no such document 'none': nothing is deleted"),
        ({"ids": (DOCUMENTS[0]["id"], "none")}, "shows no such document 'none': nothing is deleted"),
        ({"domains": ("none",)}, "No passage has the domain 'none': there are 'history', 'travel'"),
        ({"where": ("yaer<3",)}, "No passage has the metadata column 'yaer'"),
        ({"where": ("domain=travel",)}, "domains are chosen by --domain"),
        ({"where": ("year<3",)}, "No document of .* is meant by that"),
        ({"where": ("year",)}, "is no condition"),
    ],
)
def test_what_means_nothing_deletes_nothing(own_store, deletion, message):
    with pytest.raises(RalmError, match=message):
        Deletion(own_store, **deletion).run()
    assert current(Layout(own_store)).generation == 1
