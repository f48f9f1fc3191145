from array import array

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datastore.files.layout import Layout
from pipelines.corpus.ingestion import Held
from pipelines.duplicates import repeats
from pipelines.duplicates.dedup import load_drops
from pipelines.duplicates.repeats import write_sorted, write_texts
from pipelines.passages.thin import RepeatedPassageStage

# High halves over the whole range, so that ranges of values share them.
numbers = st.sampled_from([0, 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1])


@given(
    st.lists(st.lists(st.tuples(numbers, st.integers(0, 1)), max_size=8), min_size=1, max_size=4),
    st.lists(st.tuples(numbers, st.integers(0, 1)), max_size=4, unique=True),
    st.integers(1, 50),
)
def test_all_but_the_first_are_found_in_any_number_of_ranges(tmp_path_factory, splits, before, per_range):
    layout = Layout(tmp_path_factory.mktemp("repeats"))
    for split, hashes in enumerate(splits):
        flat = [number for place, one in enumerate(hashes) for number in (*one, place)]
        write_texts(layout, "passage", split, array("Q", flat))
    path = layout.root / "held.npy"
    write_sorted(layout, path, np.array([(*one, 7, 7) for one in before], np.uint64).reshape(-1, 4))
    held = Held(passage_hashes=(path,), passages=len(before))
    whole, repeats._TEXTS_PER_RANGE = repeats._TEXTS_PER_RANGE, per_range
    try:
        stage = RepeatedPassageStage(layout, tuple(map(len, splits)), held)
        for number in range(len(stage.sizes())):
            stage.run(number)
        found = {
            (split, place)
            for split in range(len(splits))
            for _, place, *_ in load_drops(layout, "passage", split, stage.ranges).tolist()
        }
    finally:
        repeats._TEXTS_PER_RANGE = whole
    seen, expected = set(before), set()
    for split, hashes in enumerate(splits):
        for place, one in enumerate(hashes):
            if one in seen:
                expected.add((split, place))
            seen.add(one)
    assert found == expected
