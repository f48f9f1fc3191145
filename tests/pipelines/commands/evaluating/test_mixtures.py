import pytest

from tests.corpus import questions, write_lines


def test_mixtures_from_the_command_line(tmp_path, store, ralm):
    asked = write_lines(tmp_path / "towns.jsonl", questions())
    command = ("eval", "mixtures", store, "--questions", asked, "-o", tmp_path / "study")
    code, out, err = ralm(*command, "--count", 20, "--budget", 0.4, "-k", 2)
    assert code == 0
    assert "mix  done in" in err
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "Mixtures of towns"
    assert lines[1] == "store passages success@2, % questions"
    assert [line.rsplit(maxsplit=3)[0] for line in lines[2:8]] == [
        *("natural", "predicted best", "best drawn", "whole", "without history", "without travel")
    ]
    assert lines[8].startswith("20 mixtures were tried.")
    assert (tmp_path / "study" / "mixtures.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--questions", "{tmp}/none"], "no question file"),
        (["--questions", "x", "--count", "2"], "2 mixtures are too few"),
        (["--questions", "x", "--budget", "2"], "above 0 and below 1, not 2"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal("eval", "mixtures", "{store}", "-o", "{tmp}/out", *arguments)
