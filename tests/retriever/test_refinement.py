import numpy as np
import pytest
from transformers import BertConfig, BertForSequenceClassification

from base.errors import RalmError
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.usage import DEFAULT_ENCODER
from retriever.local import LocalRetriever
from retriever.refinement import Decontamination, Refinement, cross_encoder, diverse, kept
from retriever.request import DENSE, Search
from tests.conftest import build_store
from tests.corpus import write_lines
from tests.vectors import dense

QUESTION = "Which river flows past the old mill of the town of Arvenholm in winter?"
HOLDS = f"A quiz. {QUESTION} The answer is the Mirn. " + "More of the quiz follows here. " * 20
FAR = "The Mirn is a river that flows past an old mill in the town of Arvenholm."


@pytest.fixture(scope="module")
def repetitive(tmp_path_factory):
    """Twelve copies of one text, each with a word of its own, among others."""
    root = tmp_path_factory.mktemp("repetitive")
    copied = "The lighthouse keeper of the southern bay counts the ships that pass before the storm comes in"
    records = [{"id": f"copy-{n}", "text": f"{copied}, says witness number {n}."} for n in range(12)]
    records += [
        {"id": f"ship-{n}", "text": f"Ships of the {name} fleet carry amber and salt to the bay."}
        for n, name in enumerate(["northern", "southern", "royal", "merchant"])
    ]
    build_store(root / "s", write_lines(root / "records.jsonl", records))
    return LocalRetriever.open(root / "s")


@pytest.mark.parametrize(
    ("rule", "passage", "expected"),
    [
        (Decontamination(), HOLDS, True),
        (Decontamination(), FAR, False),
        (Decontamination("overlap", 10), HOLDS, True),
        (Decontamination("overlap", 32), HOLDS, False),
        (Decontamination("jaccard", 13), HOLDS, False),
        (Decontamination("jaccard", 13), QUESTION, True),
        (Decontamination(n=50), HOLDS, True),
        (Decontamination(), "", False),
    ],
)
def test_a_passage_that_holds_the_question_is_found_out(rule, passage, expected):
    assert rule.hits(passage, QUESTION) is expected


def test_long_answers_are_looked_for_too_and_short_ones_are_not():
    answer = "it was founded by nine weavers who had fled from the war"
    assert Decontamination().hits(f"They say {answer} in the south.", QUESTION, [answer])
    assert not Decontamination().hits(FAR, QUESTION, ["the Mirn"])


def test_near_duplicates_of_a_better_hit_are_dropped():
    text = "one two three four five six seven eight nine ten"
    refinement = Refinement(near_duplicates=0.5)
    assert kept(refinement, [text, text + " eleven", "quite another text than that one"], "q") == [0, 2]


def test_where_a_filter_drops_hits_the_search_goes_deeper(repetitive):
    query = "the lighthouse keeper counts the ships"
    plain = repetitive.search([query], dense(4))[0]
    assert all(hit.passage.doc_id.startswith("copy") for hit in plain.hits)
    (found,) = repetitive.search([query], Search(4, method=DENSE, refinement=Refinement(near_duplicates=0.6)))
    assert [hit.passage.doc_id[:4] for hit in found.hits] == ["copy", "ship", "ship", "ship"]
    assert not found.exhausted
    (every,) = repetitive.search(
        [query], Search(10, method=DENSE, refinement=Refinement(near_duplicates=0.6))
    )
    assert len(every.hits) < 10
    assert every.exhausted
    (none,) = repetitive.search(
        [query],
        Search(2, method=DENSE, refinement=Refinement(decontamination=Decontamination(n=3, threshold=0.5))),
        answers=[["amber and salt"]],
    )
    assert not none.hits


def test_diversity_prefers_what_is_unlike_the_chosen(repetitive):
    query = "the lighthouse keeper counts the ships"
    (found,) = repetitive.search(
        [query], Search(3, method=DENSE, refinement=Refinement(diversity=0.7, pool=16))
    )
    kinds = [hit.passage.doc_id[:4] for hit in found.hits]
    assert kinds[0] == "copy"
    assert "ship" in kinds
    assert repetitive.search(
        [query], Search(3, method=DENSE, refinement=Refinement(pool=7))
    ) == repetitive.search([query], dense(3))


def test_marginal_relevance_is_that_of_the_formula():
    scores = np.array([0.9, 0.8, 0.5], np.float32)
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float16)
    assert diverse(scores, vectors, 3, 0.5) == [0, 2, 1]
    assert diverse(scores, vectors, 2, 0.0) == [0, 1]
    assert diverse(scores[:0], vectors[:0], 2, 0.5) == []
    # Vectors that keep their lengths: beside likenesses of hundreds a fused score below 1 still counts.
    assert diverse(scores, 20 * vectors, 3, 0.5) == diverse(400 * scores, 20 * vectors, 3, 0.5) == [0, 2, 1]
    assert diverse(scores, 20 * vectors, 3, 0.01) == diverse(scores, vectors, 3, 0.01)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    """A small cross-encoder with random weights, saved as sentence-transformers would load any."""
    import torch
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("ranker")
    tokenizer = AutoTokenizer.from_pretrained(Checkpoint.find(DEFAULT_ENCODER).folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, num_labels=1,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_cross_encoder_ranks_the_pool(repetitive, ranker):
    query = "ships in the bay"
    pool = [hit.passage.text for hit in repetitive.search([query], dense(6))[0].hits]
    scores = cross_encoder(ranker)(query, pool)
    (found,) = repetitive.search(
        [query], Search(3, method=DENSE, refinement=Refinement(cross_encoder=ranker, pool=6))
    )
    assert [hit.passage.text for hit in found.hits] == [pool[at] for at in np.argsort(-scores)[:3]]
    assert found.hits[0].score == pytest.approx(float(scores.max()))


def test_an_unknown_cross_encoder_is_a_sentence():
    with pytest.raises(RalmError, match="no cross-encoder 'no/such'"):
        cross_encoder("no/such")


@pytest.mark.parametrize(
    "wrong",
    [
        {"near_duplicates": 0.0},
        {"diversity": 1.5},
        {"pool": 0},
    ],
)
def test_a_refinement_out_of_range_is_refused(wrong):
    with pytest.raises(RalmError, match=next(iter(wrong))):
        Refinement(**wrong)


def test_an_unknown_decontamination_lists_the_valid_ones():
    with pytest.raises(RalmError, match="valid are containment, overlap and jaccard"):
        Decontamination("exact")
