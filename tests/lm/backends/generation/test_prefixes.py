import pytest
import torch

from lm.backends.generation.prefixes import Prefixes, reusable, shared
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.pending import Pending
from lm.prompts import Prompt
from lm.reader import Sampling
from tests.lm.models import KINDS, tiny_model

BEGINNING = "The people of Dunmarrow make blue glass, and sell it in the market on the old bridge. "
QUESTIONS = ["Who?", "Who built the old bridge?", "What is sold, and where?"]
ASKED = [Prompt(text=BEGINNING + question) for question in QUESTIONS]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A new reader of a kind, in float32: it has read nothing yet."""

    def of(kind: str) -> TransformersReader:
        folder = tiny_model(tmp_path_factory.mktemp(kind), kind)
        reader = TransformersReader(ReaderChoice(str(folder), "none"))
        reader._model.float()
        return reader

    return of


def read(reader, asked, kind=False):
    """What a reader writes behind prompts, and how many tokens of them it had read before."""
    before = reader._writer.prefixes.reused
    drafts = [reader.prepare(Pending(one, Sampling(8))) for one in asked]
    for draft in drafts:
        draft.kind = kind
    reader._writer.write(drafts, lambda tokens: None, lambda reading: [])
    return [draft.pending.completion().text for draft in drafts], reader._writer.prefixes.reused - before


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_read_before_changes_no_text(opened, kind):
    reader = opened(kind)
    expected = [read(opened(kind), [one])[0][0] for one in ASKED]
    beginning = len(reader._tokenizer(BEGINNING.strip())["input_ids"])
    slides = kind == "mistral-sliding"

    first, reused = read(reader, ASKED[:1])
    assert (first, reused) == (expected[:1], 0)
    # The second shares its beginning with the first alone, and the third time all of it is known.
    second, reused = read(reader, ASKED[1:2])
    assert second == expected[1:2]
    assert reused == 0 if slides else reused >= beginning
    together, reused = read(reader, ASKED)
    assert together == expected
    assert reused == 0 if slides else reused >= 2 * beginning
    assert read(reader, ASKED[2:])[0] == expected[2:]


def test_what_all_prompts_of_a_batch_begin_with_is_read_once(opened):
    reader = opened("llama")
    sizes = []
    forward = reader._model.forward

    def counted(input_ids, **more):
        sizes.append(tuple(input_ids.shape))
        return forward(input_ids=input_ids, **more)

    reader._model.forward = counted
    asked = [Prompt(text=2 * BEGINNING + question) for question in QUESTIONS]
    read(reader, asked)
    ids = [reader._ids(one) for one in asked]
    common = len(shared(ids))
    assert sizes[0] == (1, common)
    assert sizes[1] == (3, max(len(one) for one in ids) - common)


def test_with_and_without_an_adapter_nothing_is_shared(opened):
    reader = opened("llama")
    read(reader, ASKED[:1], kind=False)
    assert read(reader, ASKED[:1], kind=True)[1] == 0
    assert read(reader, ASKED[:1], kind=True)[1] == len(reader._ids(ASKED[0])) - 1


@pytest.mark.parametrize("sampling", [Sampling(12, temperature=1.0, seed=7), Sampling(12, seed=7)])
def test_what_has_a_seed_comes_out_the_same_again(reader, sampling):
    prefixes, prompt = reader._writer.prefixes, Prompt(text=f"{sampling}: {BEGINNING} {QUESTIONS[1]}")
    reused, kept = prefixes.reused, len(prefixes)
    first, second = (reader.generate([prompt], sampling)[0].text for _ in range(2))
    assert first == second
    # The first has filled the cache, which the second has not taken.
    assert (prefixes.reused, len(prefixes)) == (reused, kept + 1)


def test_beside_what_is_drawn_others_go_on_from_what_was_read(opened):
    reader = opened("llama")
    read(reader, ASKED)
    drafts = [
        reader.prepare(Pending(ASKED[2], Sampling(8))),
        reader.prepare(Pending(ASKED[0], Sampling(8, temperature=1.0, seed=3))),
    ]
    before = reader._writer.prefixes.reused
    reader._writer.write(drafts, lambda tokens: None, lambda reading: [])
    longest, drawn = (draft.prompt_tokens for draft in drafts)
    assert reader._writer.prefixes.reused - before == longest - drawn
    texts = [draft.pending.completion().text for draft in drafts]
    alone = opened("llama")
    assert texts[0] == read(alone, [ASKED[2]])[0][0]
    assert texts[1] == alone.generate([ASKED[0]], Sampling(8, temperature=1.0, seed=3))[0].text


def layers(tokens):
    return [(torch.zeros(1, tokens, 4), torch.ones(1, tokens, 4))] * 2


def test_what_was_used_longest_ago_makes_room():
    size = 2 * 2 * 10 * 4 * 4  # Bytes of ten tokens
    found = Prefixes(2 * size)
    for first in (1, 2, 3):
        found.keep(False, [first] * 10, layers(10))
        found.find(False, [1, 1])
    assert found.bytes == 2 * size
    assert [found.find(False, [first] * 4)[0] for first in (1, 2, 3)] == [4, 0, 4]
    # More than there is room for is not kept at all.
    found.keep(False, [4] * 30, layers(30))
    assert (found.find(False, [4])[0], len(found)) == (0, 2)


def test_the_longest_beginning_is_found():
    found = Prefixes(1 << 20)
    found.keep(False, [1, 2, 3], layers(3))
    found.keep(False, [1, 2, 3, 4, 5], layers(5))
    found.keep(False, [2, 3, 4, 5, 6, 7], layers(6))
    length, kept = found.find(False, [1, 2, 3, 4, 9])
    assert (length, kept[0][0].shape[1]) == (4, 5)
    assert found.find(False, [9])[0] == 0


def test_what_the_length_of_a_text_changes_is_not_reused(opened):
    config = opened("llama")._model.config
    assert reusable(config)
    config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    assert not reusable(config)


def test_what_all_texts_begin_with():
    assert shared([[1, 2, 3], [1, 2], [1, 2, 4, 5]]) == [1, 2]
    assert shared([[3], [1]]) == []
