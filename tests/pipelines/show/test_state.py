from pathlib import Path

from pipelines.execution.metering.measured import Measured
from pipelines.jobs.status import JobStatus, StageStatus, Status
from pipelines.show.state import status, verified

STORE = Path("/stores/towns")
STAGES = (
    StageStatus("read", 3, 3, Measured(3, 2.0)),
    StageStatus("embed", 0, None, Measured()),
    StageStatus("lines", 0, 0, Measured()),
)


def test_a_stage_without_tasks_is_left_out_and_one_of_unknown_size_is_not(capsys):
    status(STORE, Status("", STAGES, None, Measured()))
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(" ")}
    assert rows["read"] == ["3", "3", "2.0s"]
    assert rows["embed"] == ["0", "?"]
    assert "lines" not in rows
    assert lines[0] == str(STORE)
    assert lines[-1].startswith("Not finished: run the same `ralm build` again")


def test_of_several_jobs_each_is_called_by_what_it_made(capsys):
    others = (JobStatus("build", 1, STAGES), JobStatus("compact", 0, STAGES))
    status(STORE, Status("add", STAGES, None, Measured(), {}, others))
    out = capsys.readouterr().out
    titles = [line for line in out.splitlines() if line.startswith(f"{STORE}: ")]
    assert [title.partition(": ")[2] for title in titles] == [
        "build, generation 1",
        "compact, done",
        "add, not finished",
    ]
    assert f"`ralm discard {STORE}` to give it up" in out


def test_what_was_not_indexed_is_named_with_its_counts(capsys):
    removed = {"unreadable": 2, "skipped.redirect": 3, "removed.gopher_quality": 461}
    status(STORE, Status("", STAGES, None, Measured(), removed=removed))
    out = capsys.readouterr().out
    assert "unreadable: 2\n" in out
    assert "skipped: redirect: 3\n" in out
    assert "removed: gopher quality: 461\n" in out


def test_text_that_looks_like_markup_is_shown_as_it_is(capsys):
    verified(Path("[red]store[/red]"), [])
    assert "[red]store[/red] is whole" in capsys.readouterr().out
    verified(STORE, ["[bold]a[/bold] is corrupted"])
    assert capsys.readouterr().out == "[bold]a[/bold] is corrupted\n"
    for store in (Path("/tmp/a[old]/s"), Path("/tmp/a[/x]/s")):
        status(store, Status("add", STAGES, None, Measured()))
        assert f"`ralm discard {store}` to give it up" in capsys.readouterr().out
