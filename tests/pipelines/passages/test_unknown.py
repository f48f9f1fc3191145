"""What an encoder does not know is counted by source, said, and not searched as if it were known."""

import pytest
from fastapi.testclient import TestClient

from base.errors import RalmError
from datastore.verify import verify
from pipelines.jobs.status import status
from pipelines.passages.unknown import Unknown, unknown
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from tests.conftest import add_to, build_store
from tests.corpus import documents, write_lines
from tests.vectors import dense

THAI = [
    "แมวดำนั่งอยู่บนสะพานหินเก่า ข้างแม่น้ำ",
    "ตลาดในเมืองขายแก้วสีน้ำเงิน ทุกเช้า",
    "นายกเทศมนตรีได้รับเลือกโดยการจับสลาก ทุกปี",
]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """English in several splits, Thai, and English with a few unknown words."""
    folder = tmp_path_factory.mktemp("mixed")
    english = write_lines(folder / "english.jsonl", documents()[:20])
    thai = write_lines(folder / "thai.jsonl", [{"text": text} for text in THAI * 2])
    some = [{"text": d["text"] + " \U0001f9ff" * (n < 2)} for n, d in enumerate(documents()[30:])]
    return english, thai, write_lines(folder / "some.jsonl", some)


@pytest.fixture(scope="module")
def tongues(tmp_path_factory, mixed):
    root = tmp_path_factory.mktemp("tongues") / "s"
    build_store(root, *mixed[:2], split_bytes=2048, passages_per_shard=8)
    return root


def test_shares_are_counted_by_source_and_only_where_there_are_any(tongues, mixed, tmp_path):
    found = unknown(LocalRetriever.open(tongues).store.manifest.counts, "e")
    assert [(one.source, one.share) for one in found] == [("thai.jsonl", 1.0)]
    assert found[0].unknown == found[0].tokens == 3 * 2  # Repeated texts are dropped.
    assert verify(tongues) == []
    manifest, counts = add_to(build_store(tmp_path / "s", mixed[0]) and tmp_path / "s", mixed[2])
    (one,) = unknown(counts, "e")
    assert (one.source, one.unknown, one.warning) == ("some.jsonl", 2, "")
    assert 0 < one.share < 0.03
    assert {n: c for n, c in manifest.counts.items() if "_tokens." in n} == {
        "unknown_tokens.some.jsonl": one.unknown,
        "source_tokens.some.jsonl": one.tokens,
    }


def test_repeated_passages_that_go_count_no_more(mixed, tmp_path):
    lines = [{"text": f"{text}\n{THAI[0]}"} for text in THAI]
    twice = [write_lines(tmp_path / f"{n}.jsonl", [*lines, {"text": f"{n}"}]) for n in range(2)]
    manifest = build_store(tmp_path / "s", *twice, duplicate_passages="drop", min_chars=1, chunk_tokens=8)
    plain = build_store(tmp_path / "t", twice[0], min_chars=1, chunk_tokens=8)
    assert "unknown_tokens.1.jsonl" not in manifest.counts
    assert manifest.counts["unknown_tokens.0.jsonl"] == plain.counts["unknown_tokens.0.jsonl"]


def test_many_are_warned_of_with_the_source_and_the_mend():
    assert Unknown("x.jsonl", 2, 100, "e").warning == ""
    said = Unknown("x.jsonl", 931, 1000, "e").warning
    assert said.startswith("Of the tokens of x.jsonl 93.1% are unknown to the encoder e: ")
    assert "--encoder intfloat/multilingual-e5-small" in said


def test_passages_that_nobody_can_tell_apart_are_warned_of_though_they_are_few_tokens(ralm, tmp_path):
    lines = [{"text": " ".join(d["text"] for d in documents()[n : n + 3])} for n in range(12)]
    lines += [{"text": text.replace(" ", "")} for text in THAI]
    source = write_lines(tmp_path / "both.jsonl", lines)
    root, local = tmp_path / "s", ("--executor", "local")
    said = "Of the passages of both.jsonl 20.0% hold mostly tokens unknown to the encoder"
    for command in (
        ("build", source, "-o", root, "--dry-run"),
        ("build", source, "-o", root, *local),
        ("status", root),
    ):
        assert said in " ".join(ralm(*command)[1].split())
    (one,) = unknown(status(root).manifest.counts, "e")
    assert one.share < 0.03
    assert (one.unknown_passages, one.passages) == (3, 15)
    assert verify(root) == []
    # In a store of passages, those that go count no more.
    again = write_lines(tmp_path / "again.jsonl", [line | {"id": str(n)} for n, line in enumerate(lines)])
    drop = {"duplicate_passages": "drop", "duplicate_text": "keep"}
    (one,) = unknown(build_store(tmp_path / "t", source, again, **drop).counts, "e")
    assert (one.source, one.unknown_passages, one.passages) == ("both.jsonl", 3, 15)


def test_a_build_an_addition_and_the_status_say_so(ralm, mixed, tmp_path):
    root, local = tmp_path / "s", ("--executor", "local")
    out = ralm("build", mixed[0], "-o", root, *local)[1]
    assert "unknown" not in out.replace("unreadable", "")
    for said in (ralm("add", root, mixed[1], *local)[1], ralm("status", root)[1]):
        assert "Of the tokens of thai.jsonl 100.0% are unknown to the encoder" in said
    assert status(root).manifest.counts["unknown_tokens.thai.jsonl"] == 6


def test_a_query_of_nothing_but_unknown_tokens_is_not_answered_as_if_it_were_one(tongues):
    retriever = LocalRetriever.open(tongues)
    query = THAI[1].split()[0]
    with pytest.raises(RalmError, match=r"The query holds nothing that the encoder .* by words \(bm25\)"):
        retriever.search([query], dense(3))
    several = ["blue glass", query, "the mayor", f"{THAI[0]}?"]
    with pytest.raises(RalmError, match="Queries 2, 4 hold nothing"):
        retriever.search(several, dense(3))
    # Words find the second, not what nobody has written.
    (found,) = retriever.search([query], Search(3, method=Method("hybrid", weight=1.0)))
    assert [hit.passage.text for hit in found.hits] == [THAI[1]]
    both = retriever.search(["blue glass", query], Search(3, method=Method("hybrid")))
    assert both[0].hits[0].passage.domain != "thai"
    assert [hit.passage.text for hit in both[1].hits] == [THAI[1]]
    with pytest.raises(
        RalmError, match=r"Query 2 holds nothing .*, and no passage has its words: build with"
    ):
        retriever.search(["blue glass", "ไม่มีใครเขียน"], Search(3, method=Method("hybrid")))
    assert retriever.search(["ไม่มีใครเขียน"], Search(3, method=Method("bm25")))[0].hits == ()


def test_the_command_line_and_the_server_refuse_it_too(tongues, ralm, reader):
    from serve.answering.answerer import Answerer
    from serve.app import create_app

    unheard = "ไม่มีใครเขียน"
    for how in (("--method", "dense"), ()):
        code, _, err = ralm("search", tongues, unheard, *how)
        assert (code, "The query holds nothing that the encoder" in err) == (2, True)
    with TestClient(create_app(Answerer(LocalRetriever.open(tongues), reader))) as client:
        answers = [
            client.post("/search", json={"query": ["glass", unheard], "method": "dense"}),
            client.post(
                "/v1/chat/completions",
                json={"model": "ralm", "messages": [{"role": "user", "content": unheard}]},
            ),
        ]
    assert [reply.status_code for reply in answers] == [400, 400]
    assert "Query 2 holds nothing" in answers[0].text
    assert "The query holds nothing" in answers[1].text
