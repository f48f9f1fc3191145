"""JSON of a schema, and log-probabilities, from a tiny random model, which by itself writes no JSON."""

import json

import jsonschema
import pytest
import torch

from base.errors import RalmError
from lm.prompts import Ensemble, Prompt
from lm.reader import Sampling
from tests.lm.models import tiny_model, tiny_reader

PROMPT = Prompt(text="Who built the old bridge?")
SCHEMA = {
    "type": "object",
    "properties": {
        "who": {"type": "string", "maxLength": 8},
        "year": {"type": "integer", "minimum": 1000, "maximum": 1999},
        "kind": {"enum": ["stone", "wood"]},
    },
    "required": ["who", "year", "kind"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_reader(tiny_model(tmp_path_factory.mktemp("tiny") / "model", context=256))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_text_is_kept_to_its_schema(tiny, temperature):
    sampling = Sampling(96, temperature, seed=3, schema=json.dumps(SCHEMA))
    plain, kept = (tiny.generate([PROMPT], how)[0] for how in (Sampling(96), sampling))
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(plain.text)
    assert kept.finished
    jsonschema.validate(json.loads(kept.text), SCHEMA)
    assert "".join(tiny.stream(PROMPT, sampling)) == kept.text


def test_texts_of_one_batch_keep_each_to_their_own(tiny):
    asked = [PROMPT, Ensemble((PROMPT, Prompt(text="Paris")), (0.5, 0.5)), PROMPT]
    for found in tiny.generate(asked, Sampling(96, schema='{"enum": ["Paris", "Rome"]}')):
        assert found.text in ('"Paris"', '"Rome"')


@pytest.mark.parametrize(
    "schema", ['{"type": "strin"}', '{"type": "string", "pattern": "("}', '{"not": {"type": "string"}}', "[]"]
)
def test_a_schema_that_cannot_be_kept_to_is_refused_before_anything_is_read(tiny, schema):
    with pytest.raises(RalmError, match=r"The JSON schema of the answer cannot be kept to \(.*simplify it"):
        tiny.stream(PROMPT, Sampling(8, schema=schema))


def test_each_token_has_its_log_probability_and_the_likeliest_beside_it(tiny):
    """Whatever it was drawn by: they are the model's own, as its logits give them."""
    (found,) = tiny.generate([PROMPT], Sampling(5, temperature=2.0, seed=1, top_p=0.9, logprobs=3))
    ids = tiny._ids(PROMPT)
    with torch.no_grad():
        chosen = [one.token.id for one in found.positions]
        logits = tiny._model(torch.tensor([[*ids, *chosen]])).logits[0, len(ids) - 1 : -1]
    logs = logits.log_softmax(dim=-1)
    assert len(found.positions) == 5
    for at, one in enumerate(found.positions):
        assert one.token.logprob == pytest.approx(float(logs[at, one.token.id]), abs=1e-4)
        assert [top.id for top in one.top] == logs[at].topk(3).indices.tolist()
        assert [top.logprob for top in one.top] == sorted((top.logprob for top in one.top), reverse=True)
    assert b"".join(one.token.data for one in found.positions).decode(errors="replace").strip() == found.text


def test_a_stream_tells_the_same_log_probabilities(tiny):
    sampling = Sampling(6, logprobs=0)
    (whole,) = tiny.generate([PROMPT], sampling)
    stream = tiny.stream(PROMPT, sampling)
    text = "".join(stream)
    assert (text, stream.completion().tokens) == (whole.text, 6)
    assert tuple(stream.positions) == stream.completion().positions
    assert [one.token.id for one in stream.positions] == [one.token.id for one in whole.positions]
    assert all(one.top == () for one in stream.positions)
    assert tiny.generate([PROMPT], Sampling(6))[0].positions == ()


def test_half_a_character_is_a_token_with_its_bytes(tiny):
    token = tiny._tokenizer("é", add_special_tokens=False)["input_ids"][0]
    found = tiny._vocabulary.logprob(token, -1.0)
    assert found.data == "é".encode()[:1]
    assert found.text == "\ufffd"
