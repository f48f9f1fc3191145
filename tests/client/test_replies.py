import pytest

from client.replies import Answer, Citation, Hit, Reader, Result, SearchReply, Setting, Support
from serve.schemas import hits, searching

CHAT = {
    "choices": [{"message": {"content": "By lot. [1]"}, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 90, "completion_tokens": 4, "total_tokens": 94},
    "citations": [],
    "trimmed": 1,
    "missing": [],
    "query": None,
    "manifest": None,
    "view": None,
    "reader": {"name": "small", "quantization": "int8", "adapter": None, "bytes": None},
    "seconds": {"search": 0.1, "generate": 2.0},
}


@pytest.mark.parametrize(
    ("ours", "served"),
    [
        (Hit, hits.HitModel),
        (Citation, hits.CitationModel),
        (Support, hits.SupportModel),
        (Result, searching.QueryResult),
        (Setting, searching.SettingModel),
        (SearchReply, searching.SearchReply),
    ],
)
def test_a_reply_has_fields_that_the_service_gives_in_its_order(ours, served):
    assert [name for name in served.model_fields if name in ours.model_fields] == list(ours.model_fields)


def test_an_answer_is_read_from_a_reply_of_chat():
    found = Answer.of_chat(CHAT)
    assert (found.text, found.finished, found.trimmed) == ("By lot. [1]", False, 1)
    assert (found.tokens.prompt, found.tokens.answer) == (90, 4)
    assert found.reader == Reader(name="small", quantization="int8", adapter=None, bytes=None)


def test_what_a_newer_service_adds_is_kept():
    found = Setting.model_validate({"nprobe": 1, "depth": 2, "recall": None, "threads": 8})
    assert found.model_dump()["threads"] == 8


@pytest.mark.parametrize("lacking", ["choices", "usage", "reader", "citations"])
def test_a_reply_that_lacks_something_is_none(lacking):
    with pytest.raises((KeyError, ValueError)):
        Answer.of_chat({name: value for name, value in CHAT.items() if name != lacking})


def test_no_content_is_an_empty_answer():
    empty = {"message": {"content": None}, "finish_reason": "stop"}
    found = Answer.of_chat(CHAT | {"choices": [empty | {"abstained": True}]})
    assert (found.text, found.abstained) == ("", True)
