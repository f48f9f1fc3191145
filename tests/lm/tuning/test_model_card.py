import json

from lm.backends.adapters import Abstention, abstention
from lm.tuning.model_card import Tuned, write_card
from lm.tuning.training import Recipe


def test_a_card_says_what_an_adapter_was_made_of(tmp_path):
    tuned = Tuned("Reader", "none", Recipe(rank=4), {"found, answered": 1200, "title": 3}, 2, 5000, 7)
    write_card(tmp_path, tuned)
    card = (tmp_path / "README.md").read_text()
    for said in (
        "Reader",
        "1,201 lessons",
        "7 steps of 8 rows of 2,048 tokens",
        "5,000 tokens",
        "rank 4",
        "| title | 3 |",
        "left out: 2 lessons",
    ):
        assert said in card
    assert json.loads((tmp_path / "made_of.json").read_text())["kinds"] == tuned.kinds
    assert abstention(str(tmp_path)) == Abstention("I do not know.")
