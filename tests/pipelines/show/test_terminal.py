import orjson

from pipelines.show.terminal import print_json, print_rows


def test_rows_that_look_like_markup_are_shown_as_they_are(capsys):
    print_rows("[red]store[/red]", [("[bold]name[/bold]", "[dim]1[/dim]")])
    title, row = capsys.readouterr().out.splitlines()
    assert title.strip() == "[red]store[/red]"
    assert row.split() == ["[bold]name[/bold]", "[dim]1[/dim]"]


def test_json_is_json_whatever_it_holds(capsys):
    content = {"text": "[bold]x[/bold] " + "word " * 200, "n": 1}
    print_json(content)
    assert orjson.loads(capsys.readouterr().out) == content
