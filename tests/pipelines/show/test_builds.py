from dataclasses import replace

import numpy as np
import pytest

from datastore.files.json import write_json
from datastore.files.layout import Layout
from pipelines.jobs.estimate import Estimate, Foreseen
from pipelines.show.builds import built, dry_run
from tests.vectors import make_store, random_vectors


@pytest.fixture
def given(tmp_path):
    """The root and manifest of a store, with the counts that a build adds."""
    store = make_store(tmp_path, np.arange(8), random_vectors(0, 8), "Flat", per_shard=4)
    counts = store.manifest.counts | {"ignored_files": 0, "tokens": 80}
    return store.layout.root, store.manifest.model_copy(update={"counts": counts})


def used_with(out):
    return [line.strip().split(maxsplit=2)[2] for line in out.splitlines() if line.startswith(" used with")]


def test_an_encoder_is_shown_with_what_it_adds_and_without_what_it_does_not(given, capsys):
    root, manifest = given
    built(root, manifest)
    out = capsys.readouterr().out
    assert manifest.hash in out
    assert not used_with(out)
    card = manifest.encoder.model_copy(
        update={"prompts": {"query": "query: ", "passage": ""}, "pooling": "cls", "normalized": False}
    )
    built(root, manifest.model_copy(update={"encoder": card}))
    assert used_with(capsys.readouterr().out) == ["query prompt 'query: ', pooling cls, dot product"]


def test_unreadable_records_are_said_where_to_be_found(given, capsys):
    root, manifest = given
    built(root, manifest)
    assert "could not be read" not in capsys.readouterr().out
    counts = manifest.counts | {"unreadable": 3}
    built(root, manifest.model_copy(update={"counts": counts}))
    assert "removed/unreadable/" in capsys.readouterr().out


def test_doubtful_documents_are_said_with_where_they_are_listed(given, capsys):
    root, manifest = given
    built(root, manifest.model_copy(update={"counts": manifest.counts | {"doubtful": 12}}))
    out = " ".join(capsys.readouterr().out.split())
    assert "documents doubtful (damage) 12" in out
    assert "12 documents. What filters kept of them is" in out


def test_a_dry_run_says_for_how_many_workers_and_that_nothing_is_written(capsys):
    corpus = Foreseen(
        input_bytes=10**6,
        splits=1,
        documents_read=2000,
        documents=1234,
        passages=5678,
        tokens=10**5,
        text_bytes=10**6,
        sampled_documents=10,
        sampled_bytes=10**4,
        sampled_ids=(),
    )
    corpus = replace(corpus, ignored=("docs/a.pptx", "docs/b.pptx"))
    dry_run(Estimate(corpus, 4 * 10**6, 10**6, "Flat", 90.0), 2, with_ray=False)
    out = capsys.readouterr().out
    assert "Plan (nothing is written)" in out
    assert "1.0 MB in 1 split" in out
    assert "time on 2 workers" in out
    assert "2,000" in out
    assert "2 .pptx" in out
    assert "1,234" in out
    assert "Ray" not in out
    assert "Extrapolated from 10 documents" in out


def test_files_of_other_kinds_are_named(given, capsys):
    root, manifest = given
    built(root, manifest)
    assert "Ignored" not in capsys.readouterr().out
    write_json(Layout(root).build_file, {"ignored": ["docs/a.pptx"]})
    built(root, manifest)
    assert "1 .pptx" in capsys.readouterr().out
