import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from retriever.checkpoint import DEFAULT_ENCODER, Checkpoint
from retriever.tokenizer import EncoderTokenizer


@pytest.fixture(scope="module")
def checkpoint():
    return Checkpoint.find(DEFAULT_ENCODER)


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    return EncoderTokenizer(checkpoint)


@given(st.text(max_size=200))
def test_tokens_lie_where_they_say(tokenizer, text):
    (tokens,) = tokenizer.tokenize([text])
    assert len(tokens.ids) == len(tokens.starts) == len(tokens.ends) == len(tokens.word_starts)
    assert (tokens.starts <= tokens.ends).all()
    assert (tokens.ends <= len(text)).all()
    assert (tokens.starts[1:] >= tokens.starts[:-1]).all()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_framed_ids_are_what_transformers_would_feed_the_model(tokenizer, checkpoint, text):
    expected = AutoTokenizerCache.get(checkpoint.folder)(text)["input_ids"]
    (tokens,) = tokenizer.tokenize([text])
    assert tokenizer.frame(tokens.ids, "passage").tolist() == expected


class AutoTokenizerCache:
    _found = None

    @classmethod
    def get(cls, folder):
        cls._found = cls._found or AutoTokenizer.from_pretrained(folder)
        return cls._found


def test_the_frame_and_the_room_make_the_limit(tokenizer):
    assert tokenizer.room("passage") == 254
    assert len(tokenizer.frame(tokenizer.query_inputs(["x " * 1000])[0][:0], "query")) == 2


def test_a_long_query_is_cut_to_the_limit(tokenizer):
    (long,) = tokenizer.query_inputs(["word " * 1000])
    assert len(long) == 256
    assert long[-1] == 102  # [SEP] stays at the end.


def test_prompts_stand_in_front_and_take_room(checkpoint, tmp_path):
    import shutil

    folder = tmp_path / "prompted"
    shutil.copytree(checkpoint.folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "ask: "}}')
    prompted = EncoderTokenizer(Checkpoint("prompted", folder))
    plain = EncoderTokenizer(checkpoint)
    assert prompted.room("query") == plain.room("query") - 2
    assert prompted.room("passage") == plain.room("passage")
    (framed,) = prompted.query_inputs(["towns"])
    assert framed.tolist() == plain.query_inputs(["ask: towns"])[0].tolist()
