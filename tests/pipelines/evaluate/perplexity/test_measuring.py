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
        passages=2,
        stride=16,
        window=150,
        query=12,
    )


@pytest.fixture
def searched(monkeypatch) -> list[str]:
    """The queries of all searches."""
    asked: list[str] = []
    plain = LocalRetriever.search

    def spy(self, queries, *rest, **options):
        asked.extend(queries)
        return plain(self, queries, *rest, **options)

    monkeypatch.setattr(LocalRetriever, "search", spy)
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
    todo = [(at, step) for at, text in enumerate(TEXTS) for step in steps(reader.tokens(text), 16)]
    alone, beside = scored[: len(todo)], scored[len(todo) :]
    assert alone == [step.row(found.pace, reader.start, NOTHING) for _, step in todo]
    for rows, nats in ((alone, found.measured.nats.alone), (beside, found.measured.nats.beside)):
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
    own = replace(study, store=tmp_path / "own", texts=(held,), passages=1, window=199)
    fronts = {}
    for method in (None, "overlap"):
        scored.clear()
        run(replace(own, decontaminate=method))
        fronts[method] = {row.context[1:9] for row in scored if row.passages}
    start = TransformersReader(study.reader).tokens(text)[:8]
    assert start in fronts[None]
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


def test_a_reader_that_gives_no_tokens_is_refused():
    class Far:
        name = "far"

    with pytest.raises(RalmError, match="far does not give its tokens"):
        require_token_reader(Far())  # type: ignore[arg-type]


def test_a_front_counts_as_passages():
    assert Front.of([(1,)], 4).passages == 1
