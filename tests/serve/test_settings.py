import pytest

from base.errors import RalmError
from serve.admission.keys import Key
from serve.settings import ServiceSettings


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"per_minute": 0}, "per_minute of a service must be above 0, not 0"),
        ({"seconds": -1.0}, "seconds of a service must be above 0"),
        ({"seconds": float("nan")}, "seconds of a service must be above 0"),
        ({"origins": ("example.org",)}, "'example.org' is no origin"),
        ({"keys": (Key.of("a", "ann"), Key.of("b", "ann"))}, "Two keys are called 'ann'"),
    ],
)
def test_what_no_service_can_be_run_with_is_named(wrong, sentence):
    with pytest.raises(RalmError, match=sentence):
        ServiceSettings(**wrong)


def test_origins_are_all_or_whole():
    assert ServiceSettings(origins=("*", "https://example.org:8080")).origins[0] == "*"
