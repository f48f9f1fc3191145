import pytest

from datastore.schema import Document
from pipelines.filters.personal import PersonalData
from pipelines.filters.rule import Rejected
from pipelines.filters.text import Text


def masked(body, **settings):
    verdict = PersonalData(**settings).judge(Text(Document("a", "d", body)))
    return verdict if isinstance(verdict, Rejected) else verdict.body


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("Write to ann.lee+x@mail.example.co.uk, please.", "Write to |||EMAIL_ADDRESS|||, please."),
        ("From 192.168.10.255 to 8.8.8.8.", "From |||IP_ADDRESS||| to |||IP_ADDRESS|||."),
        ("Call (555) 123-4567 or +1 555.123.4567!", "Call |||PHONE_NUMBER||| or |||PHONE_NUMBER|||!"),
    ],
)
def test_personal_data_is_masked(body, left):
    assert masked(body) == left


@pytest.mark.parametrize(
    "body",
    [
        "a decorator @property and x@y",
        "version 1.2.3 or 1.2.3.4.5 or 300.1.1.1",
        "born 1899-07-21, 123-45-6789 pages, ISBN 0-306-40615-2, 5551234567890",
    ],
)
def test_what_only_looks_like_it_stays(body):
    assert masked(body) == body


def test_only_the_kinds_chosen_are_masked():
    assert masked("a@b.org at 8.8.8.8", kinds=("ip",)) == "a@b.org at |||IP_ADDRESS|||"


def test_a_page_full_of_it_is_removed():
    rejected = masked("a@b.org c@d.org e@f.org", max_found=2)
    assert str(rejected) == "too_much: 3 pieces of personal data, at most 2"
