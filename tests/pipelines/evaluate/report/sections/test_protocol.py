from dataclasses import replace

from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.sections.protocol import protocol


def test_tasks_stores_and_readers_are_listed(study):
    about = About(command="ralm eval scaling", protocol={"search": "all lists"}, notes=("a note",))
    section = protocol(replace(study, about=about))
    tasks, stores, readers = section.tables
    assert {row[0] for row in tasks.rows} == {"trivia", "texts"}
    assert stores.rows == (("a" * 16, "minilm", "1,000,000", "100 M", "48 MB", "768 MB", "400 MB"),)
    assert len(readers.rows) == 6
    assert section.notes == (
        *("Study 5555555555555555.", "Command: ralm eval scaling", "search: all lists.", "a note"),
    )


def test_a_study_without_readers_lists_none(searched):
    assert [table.caption for table in protocol(searched).tables] == [
        "Tasks",
        "Stores, by the largest view of each",
    ]
