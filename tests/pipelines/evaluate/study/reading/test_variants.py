"""What readers of a study are known by: all that they hold, and names that tables tell apart."""

import pytest

from base.errors import RalmError
from pipelines.evaluate.study.reading.variants import Variant, variants_of
from pipelines.evaluate.study.settings import ReaderSettings, study_of

SERVER = "http://127.0.0.1:1/v1"


def id_of(name, adapter=None):
    return Variant(ReaderSettings(name=str(name), adapter=adapter and str(adapter)), "none").id


@pytest.mark.parametrize(
    "file",
    ["model.safetensors", "pytorch_model.bin", "config.json", "chat_template.jinja", "of/tokenizer.json"],
)
def test_whatever_a_folder_holds_makes_another_reader_of_it(tmp_path, file):
    folder, path = tmp_path / "reader", tmp_path / "reader" / file
    path.parent.mkdir(parents=True)
    path.write_text("one")
    before = id_of(folder), id_of("SmolLM2", folder)
    assert (id_of(folder), id_of("SmolLM2", folder)) == before
    (folder / ".cache").write_text("hidden")
    assert id_of(folder) == before[0]
    path.write_text("other")
    assert id_of(folder) != before[0]
    assert id_of("SmolLM2", folder) != before[1]
    changed = id_of(folder)
    path.rename(folder / "renamed")
    assert id_of(folder) != changed


def test_a_file_of_weights_is_known_by_what_it_holds(tmp_path):
    path = tmp_path / "reader.gguf"
    path.write_bytes(b"one")
    before = id_of(path)
    path.write_bytes(b"two, longer")
    assert id_of(path) != before


def study(*readers):
    return study_of({"store": "s", "tasks": ["q.jsonl"], "readers": list(readers)})


def test_readers_that_tables_could_not_tell_apart_are_refused():
    one, other = {"name": SERVER, "label": "it"}, {"name": f"{SERVER}/other", "label": "it"}
    with pytest.raises(RalmError, match=r"one in tables, it remote: .*/v1 and .*/other; give each a `label`"):
        list(variants_of(study(one, other)))
    assert len(list(variants_of(study(one, other | {"label": "another"})))) == 2
    # The same once more is not measured twice.
    assert len(list(variants_of(study(one, one)))) == 1
