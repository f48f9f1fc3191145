import math
from dataclasses import replace

import pytest
import torch

from base.errors import RalmError
from lm.conditioning import ALONE, Conditioning
from lm.prompts import Ensemble, Message, prompts_of
from lm.reader import Continuation, Sampling
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.answering.inquiry import Inquiry
from tests.lm.models import tiny_model, tiny_reader
from tests.vectors import dense


def test_an_answer_cites_the_passage_it_comes_from(store, reader):
    answer = Answerer(LocalRetriever.open(store), reader).ask(Inquiry("How is the mayor of Bralgate chosen?"))
    assert "8 years" in answer.text
    cited = [c for c in answer.citations if c.cited]
    assert cited
    assert all(f"[{c.number}]" in answer.text for c in cited)
    assert cited[0].hit.passage.doc_id == "Bralgate-4"
    assert [c.number for c in answer.citations] == [1, 2, 3]
    searched = {"encode", "propose", "rescore", "words", "fuse", "passages"}
    assert set(answer.seconds) == searched | {"prompt", "queue", "prefill", "decode"}


def test_the_lm_alone_sees_and_cites_nothing(store, reader):
    for answerer in (Answerer(None, reader), Answerer(LocalRetriever.open(store), reader)):
        prepared = answerer.prepare(Inquiry("Which town makes blue glass?", Conditioning(passages=0)))
        assert prepared.hits == prepared.packed == ()
        assert prepared.asked.conversation[0].content == ALONE
    answer = Answerer(None, reader).ask(Inquiry("Which town makes blue glass?", sampling=Sampling(8)))
    assert answer.citations == ()
    assert "[" not in answer.text


def test_only_passages_that_fit_are_numbered(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    whole = answerer.prepare(Inquiry("Where is Arvenholm?", Conditioning(passages=10, budget=4000)))
    part = answerer.prepare(Inquiry("Where is Arvenholm?", Conditioning(passages=10, budget=120)))
    assert len(whole.hits) == 10
    assert 0 < len(part.hits) < 10
    assert whole.conditioned.trimmed == 0
    assert part.conditioned.trimmed in (10 - len(part.hits), 11 - len(part.hits))
    assert part.hits == whole.hits[: len(part.hits)]


def test_an_answer_without_some_shards_names_them(store, reader, monkeypatch):
    answerer = Answerer(LocalRetriever.open(store), reader)
    whole = answerer.retriever.search(["blue glass"], dense(3))
    lacking = [replace(ranking, missing=(1, 2)) for ranking in whole]
    assert answerer.ask(Inquiry("Which town makes blue glass?", sampling=Sampling(2))).missing == ()
    monkeypatch.setattr(answerer.retriever, "search", lambda *_, **__: lacking)
    assert answerer.prepare(Inquiry("Which town makes blue glass?")).missing == (1, 2)
    assert answerer.ask(Inquiry("Which town makes blue glass?", sampling=Sampling(2))).missing == (1, 2)


def test_a_stream_is_the_answer_in_pieces(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(40)
    prepared = answerer.prepare(Inquiry(question, sampling=sampling))
    stream = answerer.stream(prepared)
    streamed = "".join(stream).strip()
    assert streamed == answerer.ask(Inquiry(question, sampling=sampling)).text
    assert any(c.cited for c in answerer.citations(prepared, stream.citer))


def test_support_is_measured_where_it_is_asked_for_streamed_or_not(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(24, stop=("\n",))
    assert all(c.support is None for c in answerer.ask(Inquiry(question, sampling=sampling)).citations)
    answer = answerer.ask(Inquiry(question, sampling=sampling), support=True)
    assert answer.seconds["support"] > 0
    best = max(answer.citations, key=lambda c: c.support[0].gain)
    assert best.cited
    assert best.hit.passage.doc_id == "Bralgate-4"
    assert best.support[0].sentence in answer.text
    prepared = answerer.prepare(Inquiry(question, sampling=sampling))
    stream = answerer.stream(prepared)
    assert "".join(stream).strip() == answer.text
    for one, other in zip(answerer.citations(prepared, stream.citer, True), answer.citations, strict=True):
        assert one.support[0].gain == pytest.approx(other.support[0].gain, abs=0.1)


def test_replug_reads_each_passage_by_itself_and_streams_the_same(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(24)
    how = Conditioning("replug", passages=2, replug_temperature=0.5)
    prepared = answerer.prepare(Inquiry(question, how, sampling))
    assert isinstance(prepared.asked, Ensemble)
    first, second = (hit.score for hit in prepared.hits)
    odds = prepared.asked.weights[0] / prepared.asked.weights[1]
    assert math.log(odds) == pytest.approx((first - second) / 0.5)
    for prompt, hit in zip(prepared.asked.prompts, prepared.hits, strict=True):
        assert hit.passage.text in prompt.conversation[-1].content
    answer = answerer.ask(Inquiry(question, how, sampling))
    assert "8 years" in answer.text
    assert [c.number for c in answer.citations] == [1, 2]
    assert "".join(answerer.stream(prepared)).strip() == answer.text


def test_neighbours_widen_what_is_read_within_the_budget(long_store, reader):
    answerer = Answerer(LocalRetriever.open(long_store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(8)
    plain = answerer.ask(Inquiry(question, Conditioning(passages=1), sampling))
    wide = answerer.ask(Inquiry(question, Conditioning(passages=1, neighbours=2), sampling))
    (hit,), (same,) = ([c.hit for c in one.citations] for one in (plain, wide))
    assert hit == same
    assert plain.citations[0].read is None
    read = wide.citations[0].read
    assert read is not None
    around = answerer.retriever.around(hit, 2)
    assert len(around) > 2
    assert all(one.text in read for one in around)
    narrow = answerer.prepare(Inquiry(question, Conditioning(passages=1, budget=60, neighbours=2)))
    assert reader.count_tokens(narrow.packed[0]) <= 60
    assert hit.passage.text in narrow.packed[0]


def test_a_plain_text_behind_examples_is_answered_and_not_gone_on_with(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    how, question = Conditioning(passages=1, prompt="few-shot"), "How is the mayor of Bralgate chosen?"
    answer = answerer.ask(Inquiry(question, how, Sampling(40)))
    assert "[1]" in answer.text
    assert "Question" not in answer.text
    prepared = answerer.prepare(
        Inquiry(question, how, history=[Message("user", "Hi"), Message("assistant", "Ho")])
    )
    assert prepared.asked.text.endswith(f"Question: {question}\nAnswer:")


def test_passages_give_way_to_a_long_question_and_one_too_long_is_not_searched_for(
    store, reader, monkeypatch
):
    answerer = Answerer(LocalRetriever.open(store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(64)
    room = reader.context_tokens - sampling.max_tokens
    alone = answerer.prepare(Inquiry(question, Conditioning("none"), sampling))
    filler = (room - reader.prompt_tokens(alone.asked) - 120) // reader.count_tokens(" so")
    history = [Message("user", " so" * filler), Message("assistant", "Yes.")]
    trimmed = answerer.prepare(Inquiry(question, Conditioning(passages=5), sampling, history))
    assert reader.prompt_tokens(trimmed.asked) <= room
    assert trimmed.asked.conversation[-1].content.endswith(f"Question: {question}")
    assert trimmed.conditioned.trimmed > 0
    assert len(trimmed.hits) == len(trimmed.packed) < 5

    def never(*_):
        raise AssertionError("searched")

    monkeypatch.setattr(answerer.retriever, "search", never)
    history[0] = Message("user", " so" * (filler + 300))
    with pytest.raises(RalmError, match=r"Without any passage the prompt takes [\d,]+ tokens .* holds 8,192"):
        answerer.prepare(Inquiry(question, Conditioning(), sampling, history))


# Answers of a tiny random model: its figures are exact, in float32.
QUESTION = "How is the mayor of Bralgate chosen?"
REPLUG = Conditioning("replug", passages=3, replug_temperature=0.3)


@pytest.fixture(scope="module")
def tiny(store, tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "chat", context=1200)
    return Answerer(LocalRetriever.open(store), tiny_reader(folder))


def mixed(reader, asked, tokens):
    """The distribution of the next token by REPLUG's formula, written down plainly."""
    found = torch.zeros(())
    for weight, prompt in zip(asked.weights, prompts_of(asked), strict=True):
        ids = torch.tensor([reader._ids(prompt) + tokens])
        with torch.no_grad():
            found = found + weight * reader._model(ids).logits[0, -1].softmax(dim=-1)
    return found


def test_replug_continues_and_scores_by_its_formula(tiny):
    reader = tiny.reader
    asked = tiny.prepare(Inquiry(QUESTION, REPLUG, Sampling(6))).asked
    scores = torch.tensor([hit.score for hit in tiny.prepare(Inquiry(QUESTION, REPLUG)).hits])
    assert asked.weights == pytest.approx((scores / 0.3).softmax(dim=0).tolist(), abs=1e-6)
    tokens: list[int] = []
    for _ in range(6):
        tokens.append(int(mixed(reader, asked, tokens).argmax()))
    (completion,) = reader.generate([asked], Sampling(6))
    assert completion.text == reader._tokenizer.decode(tokens, skip_special_tokens=True).strip()
    text = "by lot, on the old bridge"
    ids = reader._tokenizer(text, add_special_tokens=False)["input_ids"]
    expected = [float(mixed(reader, asked, ids[:at]).log()[ids[at]]) for at in range(len(ids))]
    (found,) = reader.loglikelihood([Continuation(asked, text)])
    assert found.tokens == pytest.approx(expected, abs=1e-4)


def test_a_very_low_temperature_reads_the_best_passage_alone(tiny):
    cold = Conditioning("replug", passages=3, replug_temperature=1e-6)
    best = Conditioning(passages=1)
    sampling = Sampling(8)
    assert tiny.ask(Inquiry(QUESTION, cold, sampling)).completion.text == (
        tiny.ask(Inquiry(QUESTION, best, sampling)).completion.text
    )


def test_passages_are_trimmed_for_a_small_context_and_all_fits(store, tmp_path):
    folder = tiny_model(tmp_path / "small", context=400)
    answerer = Answerer(LocalRetriever.open(store), tiny_reader(folder))
    for how in (Conditioning(), Conditioning("replug"), Conditioning(neighbours=2)):
        answer = answerer.ask(Inquiry(QUESTION, how, Sampling(16)))
        prepared = answerer.prepare(Inquiry(QUESTION, how, Sampling(16)))
        sizes = [answerer.reader.prompt_tokens(one) for one in prompts_of(prepared.asked)]
        assert max(sizes) + 16 <= 400
        assert answer.trimmed == prepared.conditioned.trimmed
        assert len(answer.citations) == len(prepared.hits)
    assert answerer.ask(Inquiry(QUESTION, Conditioning(), Sampling(16))).trimmed > 0
    with pytest.raises(RalmError, match=r"and its answer may take 390, but .* holds 400: shorten the prompt"):
        answerer.prepare(Inquiry(QUESTION, Conditioning(), Sampling(390)))


def test_a_reader_without_a_chat_template_takes_plain_text_alone(store, tmp_path):
    folder = tiny_model(tmp_path / "base", context=1200, begins=True)
    (folder / "chat_template.jinja").unlink()
    answerer = Answerer(LocalRetriever.open(store), tiny_reader(folder))
    with pytest.raises(RalmError, match=r"has no chat template.* or a plain prompt \(`--prompt few-shot`\)"):
        answerer.prepare(Inquiry(QUESTION))
    for kind in ("none", "prepend", "replug"):
        prepared = answerer.prepare(
            Inquiry(QUESTION, Conditioning(kind, passages=2, prompt="few-shot"), Sampling(4))
        )
        assert bool(prepared.hits) == (kind != "none")
        for prompt in prompts_of(prepared.asked):
            assert prompt.text.endswith(f"Question: {QUESTION}\nAnswer:")
        assert answerer.reader.generate([prepared.asked], prepared.sampling)[0].tokens <= 4
