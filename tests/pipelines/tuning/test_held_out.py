import pytest

from base.errors import RalmError
from pipelines.tuning.held_out import HeldOut


def test_an_id_is_held_out_by_its_beginning(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text('{"held_out": ["towns/", "q1"]}')
    held_out = HeldOut.read(path)
    assert "towns/a" in held_out
    assert "q17" in held_out
    assert "q2" not in held_out
    assert "towns" not in held_out
    assert "anything" not in HeldOut()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"held_out": "a"}', '{"held_out": [""]}', '{"held_out": [1]}']
)
def test_another_file_is_a_sentence(tmp_path, text):
    path = tmp_path / "splits.json"
    path.write_text(text)
    with pytest.raises(RalmError, match=r"held_out"):
        HeldOut.read(path)
    with pytest.raises(RalmError, match="cannot be read"):
        HeldOut.read(tmp_path / "none.json")
