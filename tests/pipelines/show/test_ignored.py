from datastore.files.json import write_json
from datastore.files.layout import Layout
from pipelines.show.ignored import ignored, ignored_by


def test_files_that_are_not_read_are_named_by_kind_and_count():
    said = ignored(["a/x.PNG", "a/y.png", "Makefile", "a.b/z.pptx", "notes.pdf.gz"])
    assert said.startswith("Ignored 5 files of kinds that ralm does not read: ")
    assert "2 .png, 1 without an ending, 1 .pdf.gz, 1 .pptx. (`reader:`" in said
    assert said.endswith("called; Parquet, PDF, DOCX and EPUB files are read only unpacked.)")
    assert ignored(["a.png"]).startswith("Ignored 1 file of")
    assert ignored(["a.png"]).endswith("whatever they are called.)")
    assert ignored(["a.pdf.gz"]).endswith(" (Parquet, PDF, DOCX and EPUB files are read only unpacked.)")
    assert ignored([]) == ""


def test_many_kinds_are_summed_up():
    said = ignored([f"a.{kind}" for kind in "abcdefghijk" for _ in range(3)])
    assert ": 3 .a, 3 .b, 3 .c, 3 .d, 3 .e, 3 .f, 3 .g, 3 .h, 9 of 3 other kinds." in said


def test_a_job_says_what_it_ignored(tmp_path):
    layout = Layout(tmp_path, "0002-add")
    assert ignored_by(layout) == ""
    write_json(layout.build_file, {"ignored": ["a/b.png"]})
    assert "1 .png" in ignored_by(layout)
