"""Perplexity with passages and without, on the small store, by a tiny reader and a plain loop."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.reader import Row, Windows
from pipelines.config import SourceConfig
from pipelines.evaluate.perplexity.measuring import PerplexityStudy, run
from pipelines.evaluate.perplexity.protocols import MASSIVEDS, Protocol
from pipelines.evaluate.perplexity.strides import NOTHING, Front, steps
from pipelines.evaluate.perplexity.totals import require_token_reader
from retriever.local import LocalRetriever
from tests.conftest import build_store
from tests.corpus import documents, write_lines
from tests.lm.models import random_adapter, tiny_model

TEXTS = [
    "Travellers buy blue glass in Dunmarrow. They have done so for as long as anybody knows, and sell it.",
    "The road from Elsterby to the forest is closed in winter, when letters reach the capital by sledge.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "m", context=200)


@pytest.fixture
def study(tmp_path, store, folder) -> PerplexityStudy:
    texts = write_lines(tmp_path / "texts.jsonl", [{"text": text} for text in TEXTS])
    return PerplexityStudy(
        store,
        (SourceConfig(path=str(texts)),),
        ReaderChoice(str(folder), "none"),
        Protocol("fixed", 2, 150, 16, 12),
    )


@pytest.fixture
def searched(monkeypatch) -> list[str]:
    """The queries of all searches."""
    asked: list[str] = []
    plain = LocalRetriever.search_many

    def spy(self, queries, *rest, **options):
        asked.extend(queries)
        return plain(self, queries, *rest, **options)

    monkeypatch.setattr(LocalRetriever, "search_many", spy)
    return asked


@pytest.fixture
def scored(monkeypatch) -> list[Row]:
    """The rows that the reader is given."""
    rows: list[Row] = []
    plain = TransformersReader.score

    def spy(self, some):
        rows.extend(some)
        return plain(self, some)

    monkeypatch.setattr(TransformersReader, "score", spy)
    return rows


def test_an_adapter_has_no_part_in_either_arm(study, folder, tmp_path):
    adapter = random_adapter(folder, tmp_path / "adapter")
    tuned = replace(study, reader=replace(study.reader, adapter=str(adapter)))
    assert run(tuned).measured.nats.figures() == run(study).measured.nats.figures()


def nats_by_hand(reader, row: Row) -> float:
    with torch.no_grad():
        logits = reader._model(torch.tensor([row.context + row.text])).logits[0].float()
    logs = logits.log_softmax(-1)[len(row.context) - 1 : -1]
    return -logs.gather(1, torch.tensor(row.text)[:, None]).sum().item()


def test_it_equals_a_plain_loop_and_searches_by_the_text_before(study, searched, scored, store):
    found = run(study)
    reader = TransformersReader(study.reader)
    todo = [(at, step) for at, text in enumerate(TEXTS) for step in steps(reader.tokens(text), found.pace)]
    alone = [step.row(found.pace, reader.start, NOTHING) for _, step in todo]
    assert scored[: len(todo)] == alone
    # The first stride of a text has nothing in front: it is read once for both.
    rest = iter(scored[len(todo) :])
    beside = [next(rest) if step.done else row for (_, step), row in zip(todo, alone, strict=True)]
    assert not list(rest)
    of_arm = found.measured.nats.arms["with_passages"]
    for rows, nats in ((alone, found.measured.nats.alone), (beside, of_arm)):
        for text in range(len(TEXTS)):
            mine = sum(
                nats_by_hand(reader, row) for (at, _), row in zip(todo, rows, strict=True) if at == text
            )
            # Of a batch bfloat16, where the machine has it, rounds otherwise.
            assert nats[text] == pytest.approx(mine, rel=1e-2)
    assert searched == [
        reader._tokenizer.decode(step.ids[max(0, step.done - 12) : step.done])
        for _, step in todo
        if step.done
    ]
    passages = {f"{one['title']}: {one['text']}\n\n" for one in documents()}
    for (_, step), row in zip(todo, beside, strict=True):
        # What stands in front are passages of the store; what is scored is the text.
        front = row.context[1 : len(row.context) - step.done]
        assert row.context[len(row.context) - step.done :] == step.ids[: step.done]
        assert (row.passages > 0) == (step.done > 0)
        assert not step.done or any(text.startswith(reader.text_of(front)[:20]) for text in passages)
        assert row.text == step.ids[step.done : step.end]
    assert found.measured.nats.tokens.tolist() == [len(reader.tokens(text)) for text in TEXTS]
    assert found.measured.nats.bytes.tolist() == [len(text) for text in TEXTS]
    # The first stride of a text has nothing to search by.
    assert found.measured.without == 2
    assert 0 < found.measured.passage_tokens <= found.pace.front


def test_texts_within_a_window_are_as_likely_alone_as_in_one_piece(study):
    found = run(study)
    reader = TransformersReader(study.reader)
    whole = reader.loglikelihood_rolling([TEXTS[1]], Windows(150))
    assert found.measured.nats.alone[1] == pytest.approx(-whole[0].total, rel=1e-2)


def test_passages_that_hold_the_text_are_left_out_unless_they_may_stay(study, tmp_path, scored):
    words = [f"{kind}{number}" for number in range(25) for kind in ("glass", "river")]
    text = "The keeper of the bells writes of " + " ".join(words) + "."
    other = "Bells are cast of copper, and rung at dusk."
    lines = write_lines(tmp_path / "own.jsonl", [{"id": "a", "text": text}, {"id": "b", "text": other}])
    build_store(tmp_path / "own", lines)
    held = SourceConfig(path=str(write_lines(tmp_path / "held.jsonl", [{"text": text}])))
    own = replace(study, store=tmp_path / "own", texts=(held,))
    fronts = {}
    for method in ("none", "overlap"):
        scored.clear()
        rules = () if method == "none" else (method,)
        run(replace(own, protocol=Protocol("fixed", 1, 199, 16, 12, decontaminate=rules)))
        fronts[method] = {row.context[1:9] for row in scored if row.passages}
    start = TransformersReader(study.reader).tokens(text)[:8]
    assert start in fronts["none"]
    assert start not in fronts["overlap"]
    assert fronts["overlap"]


def test_it_says_all_that_it_depends_on(study, store):
    found = run(study)
    told = found.to_json()
    assert told["perplexity"]["alone"]["value"] == pytest.approx(
        math.exp(found.measured.nats.alone.sum() / found.measured.nats.tokens.sum())
    )
    assert (told["texts"], told["k"], told["window"], told["stride"], told["query"]) == (2, 2, 150, 16, 12)
    assert told["view"] == {"fraction": 1.0, "seed": 0}
    assert told["reader"]["bytes"] > 0
    assert told["manifest"]


def test_controls_stand_in_the_place_of_what_is_found(study, scored):
    found = run(replace(study, controls=("random", "bm25", "oracle")))
    figures = found.measured.nats.figures()["perplexity"]
    assert list(figures) == [
        *("alone", "with_passages", "difference", "random", "random_difference"),
        *("bm25", "bm25_difference", "oracle", "oracle_difference"),
    ]
    arms = found.measured.nats.arms
    assert all((arms[one] != found.measured.nats.alone).any() for one in arms)
    again = run(replace(study, controls=("random",)))
    assert again.measured.nats.arms["random"] == pytest.approx(arms["random"], rel=1e-2)
    with pytest.raises(RalmError, match="valid are random, bm25, oracle; did you mean oracle"):
        replace(study, controls=("oracel",))


def test_the_papers_protocol_adds_passages_found_by_the_first_half(study, scored, searched):
    protocol = replace(MASSIVEDS, window=20, stride=10, query=10)
    found = run(replace(study, protocol=protocol))
    reader = TransformersReader(study.reader)
    tokens = [reader.tokens(text) for text in TEXTS]
    # The first half of the first window is not scored: nothing stands before it.
    assert found.measured.nats.tokens.tolist() == [len(one) - 10 for one in tokens]
    assert sum(found.measured.nats.bytes) < sum(map(len, TEXTS))
    first = tuple(tokens[0])
    assert scored[0].context == (reader.start, *first[:10])
    assert scored[0].text == first[10:20]
    assert searched[0] == reader.text_of(first[:10])
    beside = next(row for row in scored if row.passages and row.text == first[10:20])
    assert beside.context[-10:] == first[:10]
    # As many as the reader has room for.
    assert 0 < len(beside.context) - 11 <= 200 - 20 - 1
    assert found.to_json()["decontaminate"] == ["overlap", "jaccard", "containment"]


def test_texts_without_a_second_half_are_left_out_or_refused(study, tmp_path):
    protocol = replace(MASSIVEDS, window=40, stride=20, query=20)
    short = write_lines(tmp_path / "s.jsonl", [{"text": "Blue glass."}])
    both = replace(study, protocol=protocol, texts=(*study.texts, SourceConfig(path=str(short))))
    assert run(both).notes == ("1 of 3 texts are too short to be scored behind a stride.",)
    with pytest.raises(RalmError, match="No text has more than 20 tokens"):
        run(replace(both, texts=(SourceConfig(path=str(short)),)))
    with pytest.raises(RalmError, match="holds"):
        run(replace(study, protocol=replace(MASSIVEDS, window=199, stride=20)))


def test_a_planted_leak_helps_unless_it_is_left_out(study, tmp_path, plain_reader, monkeypatch):
    """The packaged reader copies what it reads: a text in the store would be scored as known."""
    text = (
        "Quarrel of Vexley, glazier, sold nine hundred umber tiles to the abbot for a mule, two cheeses and "
        "the promise of rain, which the abbot kept badly, so that Vexley wrote a long complaint in green ink "
        "about dry wells, idle frogs, and the price of hay beyond the seven bridges of Lower Ombra."
    )
    lines = write_lines(tmp_path / "leak.jsonl", [{"id": "leak", "text": text}, *documents()[:3]])
    build_store(tmp_path / "leak", lines)
    monkeypatch.setattr("pipelines.evaluate.perplexity.measuring.open_reader", lambda _: plain_reader)
    held = SourceConfig(path=str(write_lines(tmp_path / "held.jsonl", [{"text": text}])))
    own = replace(study, store=tmp_path / "leak", texts=(held,))
    found = {}
    for rules in ((), ("overlap",)):
        nats = run(
            replace(own, protocol=Protocol("fixed", 1, 512, 16, 16, decontaminate=rules))
        ).measured.nats
        found[rules] = float(nats.arms["with_passages"][0] / nats.alone[0])
    assert found[()] < 0.6
    assert found["overlap",] > 0.9


def test_a_reader_that_gives_no_tokens_is_refused():
    class Far:
        name = "far"

    with pytest.raises(RalmError, match="far does not give its tokens"):
        require_token_reader(Far())  # type: ignore[arg-type]


def test_a_front_counts_as_passages():
    assert Front.of([(1,)], 4).passages == 1
