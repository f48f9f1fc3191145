from types import SimpleNamespace

import pytest
from fastapi import HTTPException

from base.errors import Unavailable
from serve.routes.asked import answerer_of, base_of, require_model

READER = SimpleNamespace(name="small")


def request(**state):
    return SimpleNamespace(
        app=SimpleNamespace(state=SimpleNamespace(**state)), base_url="http://localhost:8000/"
    )


def test_nobody_answers_until_all_is_loaded():
    with pytest.raises(Unavailable, match="/ready says when"):
        answerer_of(request(answerer=None))
    assert answerer_of(request(answerer=READER)) is READER


def test_a_model_is_ralm_or_the_reader():
    for name in ("ralm", "small"):
        require_model(name, READER)
    with pytest.raises(HTTPException, match="There is no model 'large' here: ask for ralm or small") as told:
        require_model("large", READER)
    assert told.value.status_code == 404


def test_an_address_has_no_slash_at_its_end():
    assert base_of(request()) == "http://localhost:8000"
