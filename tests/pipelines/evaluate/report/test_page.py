import re

from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.page import page
from pipelines.evaluate.report.section import Figure, Section, Table

HEAD = b'<?xml version="1.0"?>\n<!DOCTYPE svg>\n'
SVG = HEAD + b'<svg xmlns="x" width="252pt" height="1pt" viewBox="0 0 2 1"><g/></svg>\n'


def test_a_drawing_stands_in_the_page_as_wide_as_there_is_room_and_is_described():
    section = Section("s", "T", figures=[Figure("f", "f", 'rises "fast"', SVG, b"")])
    found = page(About(), [section])
    (svg,) = re.findall(r"<svg[^>]*>", found)
    assert "width=" not in svg
    assert 'viewBox="0 0 2 1"' in svg
    assert "<?xml" not in found
    assert 'role="img" aria-label="rises &#34;fast&#34;"' in found


def test_sections_are_linked_and_what_is_absent_says_why():
    found = page(About(title="A & B", text="a: <b>"), [Section("laws", "Laws", absent="Too few.")])
    assert '<a href="#laws" class="absent">Laws</a>' in found
    assert '<section id="laws"' in found
    assert "Not made: Too few." in found
    assert "<title>A &amp; B</title>" in found
    assert "a: &lt;b&gt;" in found


def test_figures_of_a_table_stand_to_the_right_and_long_tables_are_folded():
    table = Table("T", ("way", "bytes"), (("a<b", "1 kB"),))
    found = page(About(), [Section("s", "S", tables=[table, Table("U", ("way",), (("x",),), folded=True)])])
    assert '<th scope="row">a&lt;b</th><td class="figure">1 kB</td>' in found
    assert found.count("<details>") == found.count("</details>") == 1
    assert "<summary>U</summary>" in found
