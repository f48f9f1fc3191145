import orjson
import pytest
from rich.console import Console
from rich.text import Text

from pipelines.show.terminal import as_shown, print_json, print_rows


def test_what_a_terminal_would_obey_is_a_sign_and_lines_stay():
    written = Text.from_markup(as_shown("[red]a\tb\nc\x1b[2Jd\x07\x9b\x7f é")).plain
    assert written == "[red]a\tb\nc\ufffd[2Jd\ufffd\ufffd\ufffd é"


def test_rows_that_look_like_markup_are_shown_as_they_are(capsys):
    print_rows("[red]store[/red]", [("[bold]name[/bold]", "[dim]1[/dim]")])
    title, row = capsys.readouterr().out.splitlines()
    assert title.strip() == "[red]store[/red]"
    assert row.split() == ["[bold]name[/bold]", "[dim]1[/dim]"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_neither_a_path_nor_a_number_is_broken(capsys, monkeypatch, width):
    monkeypatch.setattr("pipelines.show.terminal.console", Console(width=width, highlight=False))
    path = "/a/path/" + "of-many-folders/" * 10
    print_rows(path, [("what a row with a rather long name counts, and more", "123,456,789,012,345")])
    title, *rows = capsys.readouterr().out.splitlines()
    assert title == path
    assert sum(row.split()[-1] == "123,456,789,012,345" for row in rows) == 1
    assert max(map(len, rows)) <= width


def test_json_is_json_whatever_it_holds(capsys):
    content = {"text": "[bold]x[/bold] " + "word " * 200, "n": 1}
    print_json(content)
    assert orjson.loads(capsys.readouterr().out) == content
