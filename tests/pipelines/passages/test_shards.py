import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from pipelines.passages.parts import part_path
from pipelines.passages.shards import number_shards, take_places


def chunked(layout, counts, per_shard):
    markers = []
    for split, passages in enumerate(counts):
        parts = range(-(-passages // per_shard))
        infos = tuple(
            layout.write(part_path(layout, split, p), lambda h, s=split, p=p: h.write(f"{s}-{p}".encode()))
            for p in parts
        )
        markers.append(Marker({"passages": passages}, infos))
    return markers


def test_shards_are_numbered_in_split_order_with_prefix_sums(tmp_path):
    layout = Layout(tmp_path)
    markers = chunked(layout, [5, 0, 3], 3)
    shards = number_shards(layout, markers, 3)
    assert [(s.number, s.first_row, s.rows, s.split, s.part) for s in shards] == [
        (0, 0, 3, 0, 0),
        (1, 3, 2, 0, 1),
        (2, 5, 3, 2, 0),
    ]


def test_passages_take_their_places_once(tmp_path):
    layout = Layout(tmp_path)
    shards = number_shards(layout, chunked(layout, [5, 0, 3], 3), 3)
    for _ in range(2):
        take_places(layout, shards)
        assert [layout.passages(s.number).read_text() for s in shards] == ["0-0", "0-1", "2-0"]


def test_a_lost_part_is_said(tmp_path):
    layout = Layout(tmp_path)
    shards = number_shards(layout, chunked(layout, [3], 3), 3)
    part_path(layout, 0, 0).unlink()
    with pytest.raises(RalmError, match="give up what was being added"):
        take_places(layout, shards)
