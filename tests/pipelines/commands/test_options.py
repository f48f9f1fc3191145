from dataclasses import fields

import pytest
from typer.main import get_command

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.conditioning import Conditioning
from lm.conditioning.shots import SHOTS, Shot
from pipelines.cli import app
from pipelines.commands.options import (
    Loading,
    Prompting,
    QueryEncoding,
    Sample,
    as_device,
    as_executor,
    as_place,
    as_shots,
    named_sources,
)
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


def commands():
    """Each command by its name, with its options by theirs."""
    top = get_command(app)
    both = {**top.commands, **top.commands["eval"].commands}
    return {name: {one.name: one for one in command.params} for name, command in both.items()}


@pytest.mark.parametrize(
    ("record", "named_by", "takers"),
    [
        (Loading, "adapter", {"ask", "serve", "scaling", "perplexity", "tasks"}),
        (Prompting, "conditioning", {"ask", "scaling"}),
        (Sample, "fraction", {"search", "perplexity", "tasks"}),
        (
            QueryEncoding,
            "encoder",
            {"add", "compact", "card", "search", "ask", "serve", "tune", "scaling", "perplexity", "tasks"},
        ),
    ],
)
def test_each_command_that_takes_some_of_a_record_takes_all_of_it(record, named_by, takers):
    own = {"build", "plan"}  # Their encoder is the one to build with.
    found = {name: options for name, options in commands().items() if named_by in options and name not in own}
    assert takers <= set(found)
    for name, options in found.items():
        for field in fields(record):
            assert field.name in options, f"{name} lacks {field.name}"
            assert options[field.name].opts == [f"--{field.name.replace('_', '-')}"]
            assert options[field.name].default == field.default
    for field in fields(record):
        assert len({options[field.name].help for options in found.values()}) == 1


def test_each_command_with_a_reader_takes_all_that_says_how_it_is_loaded():
    reading = {name for name, options in commands().items() if "reader" in options}
    loading = {
        name for name, options in commands().items() if {one.name for one in fields(Loading)} <= {*options}
    }
    assert reading - loading == {"tune"}  # Which learns an adapter, and says itself what it is learnt on.


def test_records_of_options_are_the_values_that_they_stand_for(tmp_path):
    assert Loading().choice("SmolLM2-135M-Instruct") == ReaderChoice("SmolLM2-135M-Instruct")
    with pytest.raises(RalmError, match="Unknown device 'tpu' of a reader"):
        Loading(reader_device="tpu").choice("SmolLM2-135M-Instruct")
    assert Prompting().of(Conditioning().passages) == Conditioning()
    asked = write_lines(tmp_path / "q.jsonl", [{"question": "Who?", "answers": ["Ann."]}])
    assert Prompting(9, "replug", 1, 0.5, "few-shot", asked).of(2) == Conditioning(
        "replug", 2, 9, 1, 0.5, "few-shot", (Shot("Who?", "Ann."),)
    )
    view = Sample(0.5, 3).view(["law"], ["year>=1900"])
    assert (view.fraction, view.seed, view.domains, len(view.where)) == (0.5, 3, ("law",), 1)
    opening = QueryEncoding("a", "b").opening("cuda", "disk", words_only=True)
    assert (opening.device, opening.place, opening.encoder, opening.query_encoder) == (
        "cuda",
        "disk",
        "a",
        "b",
    )
    assert opening.words_only


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
