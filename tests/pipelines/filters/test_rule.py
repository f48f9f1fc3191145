from typing import get_args

import pytest
from pydantic import ValidationError

from pipelines.filters.chain import AnyRule
from pipelines.filters.length import Length
from pipelines.filters.rule import Rejected, Rule

RULES = get_args(get_args(AnyRule)[0])


def test_every_rule_has_a_name_of_its_own_and_says_where_it_was_published():
    names = [rule.model_fields["name"].default for rule in RULES]
    assert len(set(names)) == len(names) > 5
    assert all(issubclass(rule, Rule) and rule.source for rule in RULES)


def test_thresholds_are_fixed_and_unknown_ones_refused():
    with pytest.raises(ValidationError):
        Length(min_chars=3).min_chars = 4
    with pytest.raises(ValidationError, match="least"):
        Length(least=3)


def test_a_reason_names_the_part_and_what_was_found():
    assert str(Rejected("short", "3 of 4")) == "short: 3 of 4"
