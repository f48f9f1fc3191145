import pytest

from base.errors import RalmError
from datastore.schema import Document
from datastore.takedown import Takedown, Takedowns
from pipelines.config import checked_config
from pipelines.filters.c4 import BoilerplateLines
from pipelines.filters.chain import Chain, Removed, in_share
from pipelines.filters.fasttext import Language
from pipelines.filters.gopher import GopherQuality
from pipelines.filters.length import Length


def test_what_is_taken_down_is_removed_whatever_it_says():
    chain = Chain((), Takedowns(frozenset({Takedown("d", "b")})))
    documents = [Document("b", "d", "a text"), Document("b", "other", "a text")]
    removed, kept = chain.judge(documents)
    assert removed == Removed("taken_down", "it is taken down")
    assert kept.document == documents[1]


def judged(share, documents):
    return Chain((), share=share).judge(documents)


def test_a_share_is_chosen_by_identity_and_lies_in_every_larger_one():
    documents = [Document(str(n), "d", f"a text {n % 2}") for n in range(4000)]
    kept = {
        share: {text.document.id for text in judged(share, documents) if not isinstance(text, Removed)}
        for share in (0.001, 0.1, 0.5, 1.0)
    }
    assert kept[0.001] <= kept[0.1] <= kept[0.5] <= kept[1.0] == {d.id for d in documents}
    assert abs(len(kept[0.5]) - 2000) < 130
    assert abs(len(kept[0.1]) - 400) < 80
    assert kept[0.5] == {d.id for d in reversed(documents) if in_share(d, 0.5)}
    left_out = next(d for d in documents if d.id not in kept[0.5])
    assert judged(0.5, [left_out]) == [Removed("sampled_out", "the source's share is 0.5")]
    # Of another domain it is another document.
    others = [Document(d.id, "other", d.text) for d in documents]
    assert {d.id for d in others if in_share(d, 0.5)} != kept[0.5]


def test_each_filter_sees_what_the_one_before_left():
    chain = Chain((BoilerplateLines(), Length(min_chars=10)))
    (removed,) = chain.judge([Document("a", "d", "We use cookies\nshort")])
    assert removed == Removed("length", "too_short: 5 characters, at least 10")


@pytest.mark.parametrize("counting", [True, False])
def test_each_document_gets_its_own_verdict(counting):
    rules = (GopherQuality(min_words=3, min_stop_words=0),) if counting else (Length(min_chars=12),)
    bodies = ["three words here", "two words", "these are four words", "one"]
    found = Chain(rules).judge([Document(str(n), "d", body) for n, body in enumerate(bodies)])
    assert [isinstance(one, Removed) for one in found] == [False, True, False, True]
    assert [one.document.id for one in found if not isinstance(one, Removed)] == ["0", "2"]


def test_filters_are_named_or_spelled_out():
    config = checked_config(
        {
            "sources": [{"path": "a", "filters": []}],
            "filters": ["c4", {"name": "gopher_quality", "min_words": 5}],
        }
    )
    assert [rule.name for rule in config.filters] == ["c4", "gopher_quality"]
    assert config.filters[1].min_words == 5
    assert config.sources[0].filters == ()


@pytest.mark.parametrize(
    ("filters", "what"),
    [(["gopher"], "gopher_quality"), ([{"name": "c4", "min_lines": 3}], "min_lines"), (["quality"], "model")],
)
def test_a_filter_that_is_none_is_answered_with_those_there_are(filters, what):
    with pytest.raises(RalmError, match=what):
        checked_config({"sources": [{"path": "a"}], "filters": filters})


def test_a_text_that_a_filters_library_cannot_judge_is_removed_with_the_reason(monkeypatch):
    class Model:
        def predict(self, text, k):
            if "odd" in text:
                raise RuntimeError("no such row")
            return ("__label__en",), (0.9,)

    monkeypatch.setattr("pipelines.filters.fasttext.load_model", lambda *_: Model())
    removed, kept = Chain((Language(),)).judge([Document("a", "d", "odd"), Document("b", "d", "even")])
    assert removed.filter == "language"
    assert removed.reason == "unjudged: the text cannot be judged (RuntimeError: no such row)"
    assert kept.document.id == "b"
