import pytest
import torch

from base.errors import RalmError
from lm.backends.loading import best_dtype
from lm.backends.memory import measured_bytes
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.backends.weights import PLAIN_READER
from lm.conditioning import conversation
from lm.pending import Pending
from lm.prompts import Prompt
from lm.reader import Sampling

FRANCE = conversation("What is the capital of France?", [])


def test_it_answers(reader):
    (completion,) = reader.generate([FRANCE], Sampling(24))
    assert "Paris" in completion.text
    assert completion.finished
    assert 0 < completion.tokens < 24
    assert completion.prompt_tokens == reader.prompt_tokens(FRANCE)


def test_it_reads_what_it_is_given(reader):
    asked = conversation(
        "How is the mayor of Bralgate chosen?", ["[1] The mayor of Bralgate is chosen by lot."]
    )
    (completion,) = reader.generate([asked], Sampling(24))
    assert "lot" in completion.text


def test_a_stream_gives_the_same_text_in_pieces(reader):
    prompt = FRANCE
    stream = reader.stream(prompt, Sampling(24))
    pieces = list(stream)
    assert len(pieces) > 1
    assert "".join(pieces).strip() == reader.generate([prompt], Sampling(24))[0].text
    assert stream.finished


def test_what_is_cut_off_says_so(reader):
    prompt = conversation("Tell me a long story about a fox.", [])
    (completion,) = reader.generate([prompt], Sampling(8))
    assert not completion.finished
    assert completion.tokens == 8
    stream = reader.stream(prompt, Sampling(8))
    assert "".join(stream).strip() == completion.text
    assert not stream.finished


def test_a_stop_string_ends_the_text_before_itself(reader):
    prompt = FRANCE
    sampling = Sampling(24, stop=(" is",))
    (completion,) = reader.generate([prompt], sampling)
    assert completion.text == "The capital of France"
    assert "".join(reader.stream(prompt, sampling)) == "The capital of France"


def test_a_stream_that_nobody_reads_on_frees_the_model(reader):
    stream = reader.stream(conversation("Tell me a long story.", []), Sampling(2000))
    next(iter(stream))
    # Closed from outside while its generator still stands between two pieces, as a server must.
    stream.close()
    assert reader.generate([FRANCE], Sampling(4))[0].tokens == 4


def test_seeds_make_samples_repeatable(reader):
    prompt = conversation("Name an animal.", [])
    sampling = Sampling(12, temperature=1.5, seed=7)
    assert reader.generate([prompt], sampling) == reader.generate([prompt], sampling)


def test_a_prompt_beyond_the_context_is_refused_before_it_is_streamed(reader):
    with pytest.raises(RalmError, match=r"holds 8192: shorten the prompt"):
        reader.stream(Prompt(text="word " * 9000), Sampling(8))


def test_the_chat_template_writes_the_special_tokens_once(reader):
    prompt = FRANCE
    draft = reader.prepare(Pending(prompt, Sampling()))
    assert reader._tokenizer.decode(draft.rows[0]) == reader.written(prompt)


def test_a_turn_goes_on_as_it_is_begun(reader):
    begun = Prompt(FRANCE.conversation, "The capital of France is")
    assert reader.written(begun) == reader.written(FRANCE) + begun.text
    (completion,) = reader.generate([begun], Sampling(4, verbatim=True))
    assert completion.text.startswith(" Paris")
    assert reader.generate([begun], Sampling(4))[0].text == completion.text.strip()


# What no quantization touches, the table of 49,152 tokens times 576 above all, is float32 where the hardware
# multiplies no bfloat16, and then takes as much again.
FLOAT32 = best_dtype() == torch.float32
UNQUANTIZED = 49_152 * 576 * 2


def test_bytes_are_those_held_not_those_pretended(reader):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    linear = torch.nn.Sequential(torch.nn.Linear(1024, 512, bias=False, dtype=torch.bfloat16))
    assert measured_bytes(linear) == 1024 * 512 * 2
    quantize_(linear, Int8WeightOnlyConfig())
    assert 1024 * 512 <= measured_bytes(linear) < 1.02 * 1024 * 512
    assert 150e6 < reader.measured_bytes - FLOAT32 * UNQUANTIZED < 175e6


@pytest.mark.parametrize(("quantization", "megabytes"), [("nf4", 116), ("none", 269), ("llm-int8", 163)])
def test_every_quantization_answers_and_tells_its_bytes(quantization, megabytes):
    if FLOAT32:
        megabytes += megabytes if quantization == "none" else UNQUANTIZED / 1e6
    found = TransformersReader(ReaderChoice(PLAIN_READER, quantization))
    (completion,) = found.generate([FRANCE], Sampling(24))
    assert "Paris" in completion.text
    assert abs(found.measured_bytes / 1e6 - megabytes) < 0.1 * megabytes


def test_wrong_names_list_the_valid_ones():
    with pytest.raises(RalmError, match=r"no reader 'nobody/nothing'.*SmolLM2"):
        TransformersReader(ReaderChoice("nobody/nothing"))
    with pytest.raises(RalmError, match="valid are none, int8, llm-int8, nf4"):
        TransformersReader(ReaderChoice(quantization="int3"))
