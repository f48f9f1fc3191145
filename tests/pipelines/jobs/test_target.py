import pytest

from base.errors import RalmError
from tests.conftest import build_store


def test_a_path_that_holds_something_else_is_left_alone(tmp_path, corpus):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RalmError, match="holds something else"):
        build_store(tmp_path, corpus)
    with pytest.raises(RalmError, match="is a file"):
        build_store(tmp_path / "thesis.txt", corpus)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.txt"]


def test_a_folder_of_someone_elses_is_left_alone_down_to_its_temporary_files(tmp_path, corpus):
    (tmp_path / "manifest.json").write_text('{"name": "a web app"}')
    (tmp_path / "draft.tmp").write_text("unsaved work")
    with pytest.raises(RalmError, match="not a ralm manifest"):
        build_store(tmp_path, corpus)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["draft.tmp", "manifest.json"]
