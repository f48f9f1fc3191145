import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current, publish, published
from tests.conftest import delete


def test_a_published_manifest_is_the_current_one(store, tmp_path):
    manifest = current(Layout(store))
    publish(Layout(tmp_path), manifest)
    found = current(Layout(tmp_path))
    assert found == manifest
    assert found.hash == manifest.hash


def test_what_is_published_later_is_current_and_the_earlier_stays(store, tmp_path):
    layout, manifest = Layout(tmp_path), current(Layout(store))
    publish(layout, manifest)
    before = layout.manifest(1).read_bytes()
    publish(layout, manifest.model_copy(update={"generation": 2}))
    assert current(layout).generation == 2
    assert layout.manifest(1).read_bytes() == before


def test_a_missing_store_is_a_sentence(tmp_path):
    with pytest.raises(RalmError, match="There is no datastore"):
        current(Layout(tmp_path / "none"))
    (tmp_path / "mine.md").write_text("A folder of documents.")
    with pytest.raises(RalmError, match="is no datastore: name the folder of one"):
        current(Layout(tmp_path))


def test_a_store_whose_build_has_not_published_is_not_finished(own_store):
    layout = Layout(own_store)
    layout.pointer.unlink()
    with pytest.raises(RalmError, match="holds no finished datastore: its build is not finished"):
        current(layout)


def test_a_damaged_manifest_is_named(own_store):
    path = Layout(own_store).manifest(1)
    path.write_bytes(path.read_bytes().replace(b"MiniLM", b"MaxiLM"))
    with pytest.raises(RalmError, match=r"000001\.json is missing or damaged"):
        current(Layout(own_store))


def test_a_foreign_pointer_is_named(own_store):
    (own_store / "manifest.json").write_text('{"some": "file"}')
    with pytest.raises(RalmError, match="not a ralm manifest"):
        current(Layout(own_store))


def test_a_lost_pointer_to_a_later_generation_is_no_unfinished_build(own_store):
    delete(own_store, "Dunmarrow-1")
    layout = Layout(own_store)
    assert published(layout)
    layout.pointer.unlink()
    for read in (current, published):
        with pytest.raises(RalmError, match=r"manifest\.json, which .*is missing: .*manifests/000002\.json"):
            read(layout)
    # Of the first generation it may be one: a build that is stopped just before it publishes.
    layout.manifest(2).unlink()
    assert not published(layout)
