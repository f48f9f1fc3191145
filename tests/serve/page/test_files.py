"""The page's files, read as they stand: what a browser would find missing, and what it may not load."""

import re
from importlib.resources import files

import pytest
from lxml import html

PAGE = {
    one.name: one.read_text()
    for one in files("serve.page").iterdir()
    if one.suffix != ".py" and one.is_file()
}
SCRIPTS = {name: text for name, text in PAGE.items() if name.endswith(".js")}
TREE = html.fromstring(PAGE["index.html"])


def test_each_id_is_there_once():
    ids = TREE.xpath("//@id")
    assert len(ids) == len(set(ids)) > 20


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_id_that_a_script_names_is_in_the_page(name):
    used = set(re.findall(r'\$\("([\w-]+)"\)', SCRIPTS[name]))
    assert used <= set(TREE.xpath("//@id"))
    selected = set(re.findall(r'at\("\.([\w-]+)"\)', SCRIPTS[name]))
    for section in TREE.find_class("answer"):
        assert all(section.find_class(one) for one in selected)


def test_what_one_element_says_of_another_is_there():
    names = ["for", "aria-labelledby", "aria-describedby"]
    named = [one for name in names for each in TREE.xpath(f"//@{name}") for one in each.split()]
    assert len(named) > 10
    assert set(named) <= set(TREE.xpath("//@id"))


def test_whatever_takes_input_has_a_label():
    labelled = set(TREE.xpath("//label/@for"))
    taking = TREE.xpath("//textarea | //input | //select")
    assert len(taking) == 3
    assert {one.get("id") for one in taking} <= labelled
    assert all(
        one.text_content().strip() for one in TREE.xpath("//button | //h1 | //h2[not(@id='passage-title')]")
    )
    assert all(one.get("type") for one in TREE.xpath("//button"))


def test_nothing_stands_inline_and_nothing_comes_from_outside():
    assert not TREE.xpath("//style | //@style | //script[not(@src)]")
    assert not re.search(r"\son\w+=", PAGE["index.html"])
    for name, text in PAGE.items():
        urls = re.findall(r"https?://[^\s\"')`]*", text)
        assert set(urls) <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(r"url\(|@import", text), name


def test_every_file_that_is_named_is_there():
    linked = {one.removeprefix("page/") for one in TREE.xpath("//link/@href | //script/@src")}
    imported = {one for text in SCRIPTS.values() for one in re.findall(r'from "\./([^"]+)"', text)}
    assert linked | imported | {"index.html"} == set(PAGE)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_of_text(name):
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc|DOMParser"
    assert not re.search(sinks, SCRIPTS[name])


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 has it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(scheme):
    light, dark = re.findall(r":root \{(.*?)\}", PAGE["style.css"], re.DOTALL)[:2]
    block = dark if scheme else light
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    texts = [("ink", "paper"), ("ink", "raised"), ("soft", "paper"), ("soft", "raised"), ("accent", "paper")]
    texts += [("accent", "raised"), ("on-accent", "accent"), ("ink", "mark"), ("warn", "warn-paper")]
    for text, ground in texts:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    # The edge of what is typed into.
    assert contrast(colours["edge"], colours["paper"]) >= 3
