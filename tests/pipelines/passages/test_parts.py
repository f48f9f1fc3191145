import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datastore.files.layout import Layout
from datastore.schema import Passage
from pipelines.passages.parts import CUT, ShardWriter, load_tokens, part_path


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=12), st.integers(1, 5))
def test_shards_are_filled_one_after_another(tmp_path_factory, ids, per_shard):
    layout = Layout(tmp_path_factory.mktemp("parts"))
    writer = ShardWriter(layout, 3, per_shard, CUT)
    for number, one in enumerate(ids):
        writer.add(Passage("text", "d", "x", number, 0), np.array(one, np.int32))
    files = writer.finish()
    parts = -(-len(ids) // per_shard)
    assert len(files) == 2 * parts
    found = [load_tokens(layout, 3, part, CUT) for part in range(parts)]
    assert [len(part) for part in found[:-1]] == [per_shard] * max(0, parts - 1)
    assert [one.tolist() for part in found for one in part] == ids
    assert all(part_path(layout, 3, part, CUT).exists() for part in range(parts))
