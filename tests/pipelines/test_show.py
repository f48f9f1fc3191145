import pytest
from rich.console import Console

from pipelines import show


@pytest.fixture
def printed(monkeypatch):
    console = Console(record=True, width=160, highlight=False)
    monkeypatch.setattr(show, "console", console)
    return console.export_text


def test_text_that_looks_like_markup_is_shown_as_it_is(printed):
    show.verified("[red]store[/red]", [])
    assert "[red]store[/red] is whole" in printed()


def test_json_is_json_whatever_it_holds(printed):
    import orjson

    content = {"text": "[bold]x[/bold] " + "word " * 200, "n": 1}
    show.print_json(content)
    assert orjson.loads(printed()) == content
