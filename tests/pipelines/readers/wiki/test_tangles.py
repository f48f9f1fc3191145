import pytest

from pipelines.readers.wiki.tangles import is_tangled

ARTICLE = """{{Infobox bridge|name=Old [[bridge]]|span={{convert|30|m}}|image={{{image|}}}}}
'''The old bridge''' <ref name="a">{{cite web|url=http://x.y|title=[[A]]}}</ref> spans the
[[river|Ree]].<ref name=a />
{| class="wikitable" style="a: b"
! Arch !! Built
|-
| 1 || {{date|1787}}<br>or later
|}
<!-- not seen: {{ [[ --> See [http://example.org the site] and [1].
<ul><li>one<li>two</ul><div class='x'>[[File:A.jpg|thumb|A [[caption]].]]</div><p>A paragraph.
"""


@pytest.mark.parametrize(
    "unit",
    ["{{a|", "{{a|}}{{b|", "{{{a|", "[[a|", "\n{|\n|a", "<ref>", "<b>", '<div a="', "<ref name=a ", "[//",
     "[http://a ", "<!--<b>", "{{a|b=", "{{a|[[b|<b>", "<gallery>", "{{a|[[b}}", "<b><i></b>"],
)  # fmt: skip
def test_many_marks_without_an_end_are_a_tangle(unit):
    assert is_tangled(unit * (90_000 // len(unit)) + "</u>" * 10)


@pytest.mark.parametrize("open_and_close", [("{{a|", "}}"), ("[[a|", "]]"), ("<b>", "</b>")])
def test_so_are_marks_too_deep_in_each_other(open_and_close):
    begin, end = open_and_close
    assert is_tangled(begin * 5000 + end * 5000)


@pytest.mark.parametrize("times", [1, 10, 1000])
def test_an_article_is_none_however_long(times):
    assert not is_tangled(ARTICLE * min(times, 30) + ARTICLE.replace("<p>", "") * max(0, times - 30))


def test_a_few_slips_make_none():
    slips = "{{a| [[b| <b> <i <ref>x [http://y"
    assert not is_tangled(slips + "\n\nA sentence of some words, as articles have them.\n" * 2000)
    assert not is_tangled("{{a|" * 400)


def test_a_long_list_without_the_ends_of_its_entries_makes_none():
    assert not is_tangled("<ul>" + "<li>An entry of some words.\n" * 3000 + "</ul>")
    assert not is_tangled("<table>" + "<tr><td>A cell<td>Another\n" * 2000 + "</table>")


def test_more_than_any_wiki_lets_a_page_have_is_one():
    assert is_tangled("word " * (2 << 20))


@pytest.mark.parametrize("unit", ["{{{a|x}}\n", "]]{{{a|''}}\n", "{{{a|{{b}}}}\n"])
def test_a_parameter_that_is_closed_as_a_template_costs_as_if_it_were_open(unit):
    assert is_tangled(unit * (300_000 // len(unit)))


@pytest.mark.parametrize("unit", ["{{{a|x}}}\n", "{{{a|{{b}}}}}\n", "{{{a|{{{b|}}}}}}\n", "{{a|{{{b}}}}}\n"])
def test_a_parameter_that_is_closed_costs_nothing(unit):
    assert not is_tangled(unit * (300_000 // len(unit)))


@pytest.mark.parametrize("unit", ["==a", "=a", "=== b "])
def test_a_heading_of_very_many_marks_is_a_tangle(unit):
    assert is_tangled("Text.\n" + unit * 10_000)
    assert not is_tangled("== a ==\nText = b.\n" * 10_000)
