import pytest

from datastore.schema import Document
from tests.pipelines.readers.reading import lines, read


def test_fields_become_a_document(tmp_path):
    record = {
        "id": 7,
        "contents": "body",
        "domain": "news",
        "title": "T",
        "n": 1,
        "tags": ["x"],
        "none": None,
    }
    (found,) = read(lines(tmp_path / "a.jsonl", record))
    assert found == Document("7", "news", "body", {"title": "T", "n": 1})


def test_without_an_id_a_document_is_named_by_file_and_line(tmp_path):
    path = lines(tmp_path / "a.jsonl", {"text": "one"}, b"", {"text": "two", "id": None})
    found = [r for r in read(path) if isinstance(r, Document)]
    assert [(d.id, d.domain) for d in found] == [("a.jsonl:1", "a"), ("a.jsonl:3", "a")]


def test_a_sources_domain_wins_over_the_records(tmp_path):
    path = lines(tmp_path / "a.jsonl", {"text": "one", "domain": "theirs"})
    assert read(path, domain="mine")[0].domain == "mine"


# One record each as the corpora publish them, shortened.
PUBLISHED = {
    "dolma": (
        {
            "id": "d1",
            "text": "T",
            "source": "common-crawl",
            "added": "2023-04-11T09:57:03.044571Z",
            "created": "2020-01-17T12:48:45Z",
            "metadata": {"url": "http://x", "length": 3, "provenance": {"file": "a"}, "bucket": None},
        },
        Document(
            "d1",
            "a",
            "T",
            {
                "source": "common-crawl",
                "added": "2023-04-11T09:57:03.044571Z",
                "created": "2020-01-17T12:48:45Z",
                "url": "http://x",
                "length": 3,
            },
        ),
    ),
    "redpajama": (
        {"text": "T", "meta": {"timestamp": "2023", "yymm": "2201", "arxiv_id": "2201.1", "language": "en"}},
        Document(
            "a.jsonl:1",
            "a",
            "T",
            {"timestamp": "2023", "yymm": "2201", "arxiv_id": "2201.1", "language": "en"},
        ),
    ),
    "c4": (
        {"text": "T", "timestamp": "2019-04-25T12:57:54Z", "url": "http://x"},
        Document("a.jsonl:1", "a", "T", {"timestamp": "2019-04-25T12:57:54Z", "url": "http://x"}),
    ),
    "pes2o": (
        {
            "id": "17491",
            "source": "s2ag/train",
            "text": "T",
            "added": "2022-12-17T00:00:00.000Z",
            "created": "2011-05-01T00:00:00.000Z",
            "version": "v2",
        },
        Document(
            "17491",
            "a",
            "T",
            {
                "source": "s2ag/train",
                "added": "2022-12-17T00:00:00.000Z",
                "created": "2011-05-01T00:00:00.000Z",
                "version": "v2",
            },
        ),
    ),
    "a field of the record wins over the same of its metadata": (
        {"text": "T", "url": "outer", "metadata": {"url": "inner", "text": "kept"}},
        Document("a.jsonl:1", "a", "T", {"url": "outer", "text": "kept"}),
    ),
    "metadata that is no object": (
        {"text": "T", "meta": "{'url': 'x'}", "metadata": ["x"]},
        Document("a.jsonl:1", "a", "T", {"meta": "{'url': 'x'}"}),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_records_of_published_corpora_keep_text_id_and_metadata(tmp_path, name):
    record, expected = PUBLISHED[name]
    assert read(lines(tmp_path / "a.jsonl", record)) == [expected]


def test_a_sources_licence_becomes_metadata_and_wins_over_the_records(tmp_path):
    path = lines(tmp_path / "a.jsonl", {"text": "one"}, {"text": "two", "licence": "theirs"})
    assert [r.metadata for r in read(path, licence="CC0")] == [{"licence": "CC0"}] * 2
    assert [r.metadata for r in read(path)] == [{}, {"licence": "theirs"}]
    (tmp_path / "b.txt").write_text("three")
    assert read(tmp_path / "b.txt", kind="text", licence="CC0")[0].metadata == {"licence": "CC0"}
