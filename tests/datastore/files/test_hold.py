from datastore.files.hold import Hold, held


def test_a_file_is_held_until_every_reader_has_let_go(tmp_path):
    path = tmp_path / "manifest"
    assert not held(path)
    path.write_bytes(b"")
    one, other = Hold(path), Hold(path)
    assert held(path)
    one.release()
    assert held(path)
    del other
    assert not held(path)
