import builtins
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import Unavailable
from base.foreign import Refused, ask, said

KINDS = sorted(
    (
        one
        for one in vars(builtins).values()
        if isinstance(one, type)
        and issubclass(one, Exception)
        and not issubclass(
            one, (MemoryError, ImportError, ConnectionError, UnicodeError, Warning, ExceptionGroup)
        )
    ),
    key=lambda one: one.__name__,
)


def failing(error):
    raise error


@given(st.sampled_from(KINDS), st.text(st.characters()) | st.just("\ud800"))
def test_whatever_a_library_raises_is_one_line_with_its_kind(kind, message):
    with pytest.raises(Refused) as caught:
        ask(failing, kind(message))
    reason = str(caught.value)
    assert kind.__name__ in reason
    assert reason.splitlines() == [reason]
    assert len(reason.encode()) <= 4 * 200
    assert str(pickle.loads(pickle.dumps(caught.value))) == reason


def test_what_cannot_say_what_it_is_has_a_kind_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise ValueError

    with pytest.raises(Refused, match="Mute"):
        ask(failing, Mute())


def test_a_reason_is_the_same_in_each_run():
    assert said(ValueError(f"no image in {object()!r}")) == "ValueError: no image in <object object>"


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        ConnectionResetError("by peer"),
        Unavailable("the bucket does not answer"),
        MemoryError(),
        ModuleNotFoundError("no module named lxml"),
        KeyboardInterrupt(),
        SystemExit(1),
    ],
)
def test_what_is_no_records_fault_passes(error):
    with pytest.raises(type(error)) as caught:
        ask(failing, error)
    assert caught.value is error


def test_what_a_library_gives_is_given_on():
    assert ask(int, "12", base=8) == 10
