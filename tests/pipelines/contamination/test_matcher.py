"""What passages hold of evaluation texts, against the plain definition of `retriever.words`."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import EvaluationTexts
from pipelines.contamination.matcher import Matcher
from pipelines.contamination.table import make_table
from retriever.words import containment, ngrams, words
from tests.corpus import write_lines

few = st.lists(st.sampled_from(["a", "b", "C", "d."]), max_size=24).map(" ".join)


@given(
    st.lists(st.tuples(few, st.lists(few, max_size=2)), min_size=1, max_size=4),
    st.lists(few, max_size=6),
    st.fixed_dictionaries(
        {
            "words": st.integers(1, 5),
            "containment": st.sampled_from([0.28, 0.5, 0.8, 1.0]),
            "overlap": st.none() | st.integers(5, 9),
            "min_question_words": st.integers(1, 6),
            "min_answer_words": st.integers(1, 6),
        }
    ),
)
def test_what_is_found_is_what_the_definition_says(tmp_path_factory, questions, passages, thresholds):
    """Against sets of n-grams, text by text, however short texts and passages are."""
    folder = tmp_path_factory.mktemp("law")
    records = [
        {"id": str(n), "question": question, "answers": answers}
        for n, (question, answers) in enumerate(questions)
    ]
    files = [str(write_lines(folder / f"{n}.jsonl", records[n:])) for n in range(min(2, len(records)))]
    settings = EvaluationTexts(files=files, **thresholds)
    found = Matcher(make_table(settings)).matches(passages)
    assert len(found) == len(passages)
    for passage, held in zip(passages, found, strict=True):
        shares = {}
        for n in range(len(files)):
            for record in records[n:]:
                for part, text in (
                    ("question", record["question"]),
                    *(("answer", a) for a in record["answers"]),
                ):
                    share = by_hand(settings, part, words(text), words(passage))
                    if share:
                        shares[f"{n}.jsonl"] = max(share, shares.get(f"{n}.jsonl", 0.0))
        assert {one.file: one.share for one in held} == shares
        texts = [words(text) for r in records for text in (r["question"], *r["answers"])]
        for one in held:
            row = words(passage)[slice(*one.span)]
            sizes = [(text, min(thresholds["words"], len(text))) for text in texts if text]
            assert any(len(row) >= n and ngrams(row, n) <= ngrams(text, n) for text, n in sizes)


def by_hand(settings, part, asked, held):
    """The share of a text that a passage holds, 0 if that is not enough."""
    if len(asked) < (settings.min_question_words if part == "question" else settings.min_answer_words):
        return 0.0
    share = containment(asked, held, settings.words)
    shared = ngrams(asked, settings.words) & ngrams(held, min(settings.words, len(asked)))
    in_a_row = settings.overlap is not None and len(shared) > settings.overlap - settings.words
    return share if share >= settings.containment or (share and in_a_row) else 0.0


def test_a_text_longer_than_a_passage_is_found_by_words_in_a_row(tmp_path):
    text = " ".join(f"word{n}" for n in range(300))
    record = {"question": "What does the whole of the long text say?", "answers": [text]}
    file = str(write_lines(tmp_path / "q.jsonl", [record]))
    table = Matcher(make_table(EvaluationTexts(files=(file,))))
    spans = [text.split()[100 : 100 + n] for n in (31, 32)]
    assert [bool(held) for held in table.matches([" ".join(span) for span in spans])] == [False, True]
    alone = Matcher(make_table(EvaluationTexts(files=(file,), overlap=None)))
    assert alone.matches([" ".join(text.split()[:200])]) == [[]]
