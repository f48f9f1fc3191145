import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.tokenizer import EncoderTokenizer
from retriever.encoding.usage import DEFAULT_ENCODER
from tests import encoders


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
    inputs, mask = tokenizer.padded([tokens.ids], "passage")
    assert inputs.tolist() == [expected]
    assert mask.all()


class AutoTokenizerCache:
    _found = None

    @classmethod
    def get(cls, folder):
        cls._found = cls._found or AutoTokenizer.from_pretrained(folder)
        return cls._found


def test_the_frame_and_the_room_make_the_limit(tokenizer):
    assert tokenizer.room("passage") == 254
    assert tokenizer.frame_length("query") == tokenizer.frame_length("passage") == 2


def test_a_long_query_is_cut_to_the_limit(tokenizer):
    inputs, _ = tokenizer.padded(tokenizer.query_ids(["word " * 1000]), "query")
    assert inputs.shape == (1, 256)
    assert inputs[0, -1] == 102  # [SEP] stays at the end.


@given(st.lists(st.lists(st.integers(1000, 2000), max_size=9), min_size=1, max_size=5))
def test_texts_are_framed_each_and_padded_to_the_longest(tokenizer, texts):
    inputs, mask = tokenizer.padded([np.array(ids, np.int32) for ids in texts], "passage")
    longest = max(map(len, texts)) + 2
    for row, ids in enumerate(texts):
        framed = [101, *ids, 102]
        assert inputs[row].tolist() == framed + [tokenizer.pad_id] * (longest - len(framed))
        assert mask[row].tolist() == [1] * len(framed) + [0] * (longest - len(framed))


def test_prompts_stand_in_front_and_take_room(checkpoint, tmp_path):
    import shutil

    folder = tmp_path / "prompted"
    shutil.copytree(checkpoint.folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "ask: "}}')
    prompted = EncoderTokenizer(Checkpoint("prompted", folder))
    plain = EncoderTokenizer(checkpoint)
    assert prompted.prefix_length("query") == plain.prefix_length("query") + 2
    assert prompted.room("passage") == plain.room("passage")
    framed, _ = prompted.padded(prompted.query_ids(["towns"]), "query")
    assert framed.tolist() == plain.padded(plain.query_ids(["ask: towns"]), "query")[0].tolist()


@given(st.lists(st.lists(st.integers(1000, 2000), max_size=9), min_size=1, max_size=5))
def test_texts_are_framed_each_and_laid_end_to_end(tokenizer, texts):
    inputs, lengths = tokenizer.packed([np.array(ids, np.int32) for ids in texts], "passage")
    assert inputs.tolist() == [token for ids in texts for token in (101, *ids, 102)]
    assert lengths.tolist() == [len(ids) + 2 for ids in texts]


THAI = "แมวดำนั่งอยู่บนสะพานหินเก่า"


@pytest.mark.parametrize(
    ("query", "known"),
    [
        ("the old bridge", True),
        (THAI, False),
        (f"{THAI} {THAI}?!", False),  # Punctuation says nothing of what is asked.
        ("\N{SNOWMAN WITHOUT SNOW}\U0001f9ff", False),
        (f"{THAI} bridge", True),
        (f"{THAI} 1787", True),
        ("???", True),  # Known, if hardly a question.
        ("\u200b", False),  # No token at all.
        (THAI + " word" * 500, True),
        ((THAI + " ") * 300 + "word", False),  # Behind the longest query.
    ],
)
def test_whether_a_query_holds_anything_known(tokenizer, query, known):
    assert tokenizer.knows(query) is known


def test_unknown_tokens_are_counted_where_a_vocabulary_has_one(tokenizer, tmp_path):
    (tokens,) = tokenizer.tokenize([f"the bridge {THAI} and {THAI}."])
    assert tokenizer.unknown(tokens.ids) == 2
    unigram = EncoderTokenizer(Checkpoint.find(str(encoders.xlm_roberta(tmp_path / "unigram"))))
    (tokens,) = unigram.tokenize([THAI])
    assert unigram.unknown(tokens.ids) >= 1
    assert not unigram.knows(THAI)
    # What holds every byte knows everything.
    of_bytes = EncoderTokenizer(Checkpoint.find(str(encoders.qwen3(tmp_path / "bytes"))))
    (tokens,) = of_bytes.tokenize([THAI])
    assert of_bytes.unknown(tokens.ids) == 0
    assert of_bytes.knows(THAI)
