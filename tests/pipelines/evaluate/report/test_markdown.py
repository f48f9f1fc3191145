from pipelines.evaluate.report.markdown import markdown
from pipelines.evaluate.report.section import Figure, Section, Table

TABLE = Table("What | is", ("line", "value"), (("a|b", "1.0 [0, 2]"), ("c*", "none")))


def test_a_page_holds_all_parts_in_their_order():
    figure = Figure("curve-a", "a", "rises <fast>", b"", b"")
    section = Section("s", "Title", "Intro.", ["A claim_."], [TABLE], [figure], ["A note."])
    page = markdown("Study", [section], "plots")
    parts = [
        "# Study",
        "## Title",
        "Intro.",
        "- A claim\\_.",
        "](plots/curve-a.svg)",
        "**What \\| is**",
        "- A note.",
    ]
    assert [page.index(part) for part in parts] == sorted(page.index(part) for part in parts)
    assert "![rises \\<fast>]" in page
    assert "| line | value |\n| --- | ---: |\n| a\\|b | 1.0 [0, 2] |\n| c\\* | none |" in page


def test_what_is_absent_says_why_and_a_folded_table_is_left_to_the_page():
    page = markdown(
        "S",
        [
            Section("s", "T", absent="No data."),
            Section("u", "U", tables=[Table("f", ("a",), (("1",),), True)]),
        ],
        "p",
    )
    assert "Not made: No data." in page
    assert "**f**" not in page
