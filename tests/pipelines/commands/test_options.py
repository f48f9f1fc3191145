import pytest

from base.errors import RalmError
from lm.conditioning.shots import SHOTS, Shot
from pipelines.commands.options import as_device, as_executor, as_place, as_shots, named_sources
from tests.corpus import write_lines


@pytest.mark.parametrize(
    ("meant", "names", "message"),
    [
        (as_executor, ("auto", "ray", "local"), "Unknown executor 'none': valid are auto, ray and local"),
        (as_device, ("cpu", "cuda"), "Unknown device 'none': valid are cpu and cuda"),
        (as_place, ("auto", "memory", "disk"), "memory, disk or auto, not in 'none'"),
    ],
)
def test_a_name_stands_for_itself_and_an_unknown_one_says_which_there_are(meant, names, message):
    assert [meant(name) for name in names] == list(names)
    with pytest.raises(RalmError, match=message):
        meant("none")


def test_sources_of_a_command_line_have_one_domain_and_the_fields_that_hold_their_texts():
    one, two = named_sources(["a.csv", "b"], "law", ["body", "text"])
    assert (one.path, two.path) == ("a.csv", "b")
    assert {(s.domain, s.text_fields) for s in (one, two)} == {("law", ("body", "text"))}
    assert named_sources(["a"])[0].text_fields == ("text", "contents")


def test_examples_are_the_questions_of_a_file_with_their_first_answers(tmp_path):
    assert as_shots(None) == SHOTS
    asked = {"question": "Who built it?", "answers": ["Ansel Mirn.", "Mirn."]}
    assert as_shots(write_lines(tmp_path / "q.jsonl", [asked])) == (Shot("Who built it?", "Ansel Mirn."),)
    unanswered = write_lines(
        tmp_path / "r.jsonl", [asked, {"id": "two", "question": "When?", "gold_docs": ["d"]}]
    )
    with pytest.raises(RalmError, match=r"Question two of r.jsonl has no `answers`: an example needs one"):
        as_shots(unanswered)
