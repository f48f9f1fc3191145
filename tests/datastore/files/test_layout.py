from contextlib import suppress
from pathlib import Path

import pytest

from base.errors import RalmError
from datastore.files.json import write_json
from datastore.files.layout import MANIFESTS, REMOVED, Folder, Layout
from datastore.files.writing import move
from datastore.generations.generation import current
from tests.conftest import delete
from tests.corpus import documents


def test_settings_come_back_and_no_flipped_bit_with_them(tmp_path):
    layout = Layout(tmp_path)
    assert layout.read_settings() == {}
    settings = {"config": {"seed": 0, "recall": 0.95}, "splits": [1], "work": 4}
    layout.write_settings(settings)
    assert layout.read_settings() == settings
    written = layout.build_file.read_bytes()
    for at in range(len(written)):
        layout.build_file.write_bytes(bytes((*written[:at], written[at] ^ 4, *written[at + 1 :])))
        with suppress(RalmError):
            found = layout.read_settings()
            # The name of the checksum is in none: what claims the settings finds one too many.
            assert {name: found.get(name) for name in settings} == settings
    # As early jobs wrote them.
    write_json(layout.build_file, settings)
    assert layout.read_settings() == settings


@pytest.mark.parametrize("act", ["lock", "publishing", "write", "move"])
def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path, act):
    (tmp_path / "moved").write_bytes(b"")
    layout = Layout(Path("/proc/nothing"))
    acts = {
        "lock": lambda: layout.lock().__enter__(),
        "publishing": lambda: layout.publishing().__enter__(),
        "write": lambda: write_json(layout.root / "a" / "b", {}),
        "move": lambda: move(tmp_path / "moved", layout.root / "a" / "b"),
    }
    with pytest.raises(RalmError, match="/proc/nothing"):
        acts[act]()


def test_every_folder_of_a_store_is_of_its_generations_or_of_the_record(own_store):
    delete(own_store, documents()[20]["id"])
    there = {path.name for path in own_store.iterdir() if path.is_dir()}
    assert there >= {*map(str, (Folder.PASSAGES, Folder.TAKEDOWNS, Folder.DELETED)), MANIFESTS}
    assert there <= {*map(str, Folder), MANIFESTS, REMOVED, "stages"}
    files = current(Layout(own_store)).files
    assert {Path(file.path).parts[0] for file in files} <= {*map(str, Folder), REMOVED}
