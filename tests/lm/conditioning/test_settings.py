import pytest

from base.errors import RalmError
from lm.conditioning import Conditioning


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "replugg"}, "did you mean replug?"),
        ({"prompt": "chats"}, "valid are chat, few-shot; did you mean chat?"),
        ({"passages": -1}, "passages of a conditioning must be at least 0, not -1"),
        ({"budget": 0}, "budget of a conditioning must be at least 1, not 0"),
        ({"neighbours": -2}, "neighbours of a conditioning must be at least 0"),
        ({"shots": ()}, "Examples stand in a few-shot prompt alone"),
        ({"replug_temperature": 0.0}, "must be above 0, not 0"),
        ({"replug_temperature": float("nan")}, "must be above 0, not nan"),
        ({"replug_temperature": float("inf")}, "must be above 0, not inf"),
    ],
)
def test_what_is_no_conditioning_is_refused(given, said):
    with pytest.raises(RalmError, match=said.replace("?", r"\?")):
        Conditioning(**given)


def test_without_passages_nothing_is_read():
    assert Conditioning().reads
    assert not Conditioning(passages=0).reads
    assert not Conditioning("none").reads
    assert Conditioning("none").told() == "no passages"


def test_a_plain_text_is_stopped_where_it_goes_on_to_another_question():
    assert Conditioning().stops == ()
    assert "\n\n" in Conditioning(prompt="few-shot").stops


def test_a_report_tells_what_was_read():
    assert Conditioning().told() == "3 passages, in 1,024 tokens"
    how = Conditioning("replug", 5, 2048, 1, 0.5, "few-shot")
    assert how.told() == (
        "5 passages, each with up to 1 chunks before and behind it, in 2,048 tokens, each in a prompt of its "
        "own (REPLUG, temperature 0.5), behind 3 examples"
    )
