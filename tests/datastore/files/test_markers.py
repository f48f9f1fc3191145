from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo


def test_a_marker_comes_back_as_it_was(tmp_path):
    layout = Layout(tmp_path)
    marker = Marker({"documents": 3}, (FileInfo("a/b", 4, "00"),))
    assert layout.done("read", 7) is None
    layout.mark("read", 7, marker)
    assert layout.done("read", 7) == marker
