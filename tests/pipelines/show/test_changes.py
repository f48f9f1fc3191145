from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from datastore.generations.sweep import Swept
from datastore.takedown import Takedown
from pipelines.jobs.delete import Meant
from pipelines.show.changes import added, compacted, deleted, discarded, swept, to_delete, would_delete
from tests.vectors import make_store, random_vectors

STORE = Path("/stores/towns")
DOCUMENTS = tuple(Takedown("travel", f"[{n}]") for n in range(12))
MEANT = Meant(DOCUMENTS, 30, {DOCUMENTS[0]: "The [old] bridge"})


@pytest.fixture
def manifest(tmp_path):
    return make_store(tmp_path, np.arange(8), random_vectors(0, 8), "Flat", per_shard=4).manifest


def after(manifest, **changed):
    return manifest.model_copy(update={"generation": 2} | changed)


def test_an_addition_of_nothing_new_says_so(manifest, capsys):
    counts = {"records": 2, "unreadable": 0, "indexed": 0, "passages": 0, "removed.duplicate_id": 2}
    added(STORE, manifest, manifest, counts)
    out = capsys.readouterr().out
    assert "removed: duplicate id" in out
    assert "Nothing is new" in out
    assert "lists them" not in out
    added(STORE, manifest, after(manifest), counts)
    assert "The ids that came are taken" in capsys.readouterr().out
    added(STORE, manifest, after(manifest), counts | {"passages": 1, "unreadable": 1})
    out = capsys.readouterr().out
    assert "Nothing is new" not in out
    assert f"{STORE}/removed/" in out


def test_of_many_documents_taken_down_the_first_are_named(manifest, capsys):
    shards = (manifest.shards[0],)
    deleted(STORE, manifest, after(manifest, shards=shards), DOCUMENTS)
    to_delete(MEANT)
    out = capsys.readouterr().out
    assert "[0]  The [old] bridge" in out
    assert "[9]" in out
    assert "[10]" not in out
    assert "... and 2 more" in out
    assert "12 documents with 30 passages are to be taken down (12 of travel)." in out
    to_delete(Meant(DOCUMENTS[:1], 1, {}))
    assert "1 document with 1 passage is to be taken down (1 of travel)." in capsys.readouterr().out
    assert "Taken down: 12 documents, 4 passages. Generation 2 has 4." in out
    deleted(STORE, manifest, manifest, DOCUMENTS[:1])
    assert "taken down already" in capsys.readouterr().out


def test_what_would_be_taken_down_is_listed_whole_but_on_a_terminal(capsys, monkeypatch):
    would_delete(MEANT)
    out = capsys.readouterr().out
    assert "[11]" in out
    assert "12 documents with 30 passages would be taken down (12 of travel); nothing is changed." in out
    terminal = Console(force_terminal=True, color_system=None, width=80)
    monkeypatch.setattr("pipelines.show.changes.console", terminal)
    titled = Meant(DOCUMENTS, 30, {DOCUMENTS[0]: "A bridge " * 20})
    would_delete(titled)
    out = capsys.readouterr().out
    assert "[9]" in out
    assert "[11]" not in out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    assert "... and 2 more" in out


def test_a_compaction_says_what_it_joined_and_who_still_reads(manifest, capsys):
    compacted(STORE, manifest, after(manifest, edition=1, shards=(manifest.shards[0],)), Swept(1500, (1, 2)))
    out = capsys.readouterr().out
    assert "Generation 2: 4 passages in 1 shard (before: 8 rows in 2)." in out
    assert "Freed: 1.5 KB." in out
    assert "Still open somewhere: generations 1, 2;" in out
    compacted(STORE, manifest, manifest, Swept(0, ()))
    out = capsys.readouterr().out
    assert "Nothing to rewrite" in out
    assert "Still open" not in out


def test_a_sweep_and_a_discard_say_what_stays(capsys):
    swept(STORE, Swept(2_000_000, (3,)))
    out = capsys.readouterr().out
    assert f"Freed in {STORE}: 2.0 MB." in out
    assert "Generation 3 was current" in out
    discarded(STORE, "add")
    discarded(STORE, None)
    gave_up, nothing = capsys.readouterr().out.splitlines()
    assert gave_up == f"Gave up add: {STORE} is as it was before."
    assert nothing == f"{STORE} has no unfinished job: nothing done."


@pytest.mark.parametrize("store", [Path("/tmp/a[old]/s"), Path("/tmp/a[/x]/s")])
def test_text_that_looks_like_markup_is_shown_as_it_is(manifest, capsys, store):
    deleted(store, manifest, after(manifest, shards=(manifest.shards[0],)), DOCUMENTS[:1])
    assert f"`ralm compact {store}` removes them" in capsys.readouterr().out
    discarded(store, "add")
    discarded(store, None)
    gave_up, nothing = capsys.readouterr().out.splitlines()
    assert gave_up.startswith(f"Gave up add: {store} is")
    assert nothing.startswith(f"{store} has")
