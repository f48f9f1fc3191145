from pathlib import Path

from datastore.files.layout import Layout
from datastore.generations.manifest import CONTAMINATED_BY, REPEATED_LINES
from pipelines.jobs.stages import SHOWN_REMOVED
from pipelines.show.counts import dropped, known_ids


def test_counts_of_a_kind_are_named_by_what_follows_it():
    counts = {"removed.too_long": 1234, "removed.c4": 1, "skipped.redirect": 2, "records": 5}
    assert SHOWN_REMOVED.rows(counts) == [("removed: too long", "1,234"), ("removed: c4", "1")]


def test_what_was_dropped_is_shown_only_where_it_was_looked_for():
    assert dropped({"passages": 7}) == []
    assert dropped({"doubtful": 1234}) == [("documents doubtful (damage)", "1,234")]
    assert dropped({REPEATED_LINES: 0}) == [("repeated lines, left out", "0")]
    counts = {
        "dropped.contaminated_passage": 2,
        f"{CONTAMINATED_BY}q.v1.jsonl": 2,
        f"{CONTAMINATED_BY}other.jsonl": 0,
    }
    assert dropped(counts) == [
        ("passages dropped: contaminated passage", "2"),
        ("  for q.v1.jsonl", "2"),
        ("  for other.jsonl", "0"),
    ]


def test_of_equal_ids_the_whole_path_of_their_list_is_said():
    counts = {"removed.duplicate_id": 2}
    said = known_ids(counts, Layout(Path("/a store"), "0001-add"))
    assert "came before: 2 documents (/a store/removed/0001-add/duplicate_id/ lists them). If these" in said
    assert "came before: 2 documents. If these are different documents that happen" in known_ids(counts, None)
    assert known_ids({}, None) == ""
