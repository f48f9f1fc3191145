"""The report in a browser: on a desk, on a phone, and printed."""

import base64

import pytest
import yaml
from pypdf import PdfReader

from pipelines.evaluate.report import write_report
from tests.pipelines.evaluate.simulated import Simulated
from tests.serve.page.browser import chromium

pytestmark = pytest.mark.long
SIZES = {"desk": (1280, 900), "phone": (390, 844), "narrow": (320, 640)}
STUDY = Simulated(
    parameters=(135_000_000, 360_000_000, 1_700_000_000),
    documents=20,
    questions=100,
    quantizations=("none", "nf4"),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    STUDY.tables().write(folder)
    about = {"title": "What a larger datastore buys", "command": "ralm eval scaling --config " + "long-" * 60}
    (folder / "study.yaml").write_text(yaml.safe_dump(about))
    write_report(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def tab():
    with chromium() as found:
        yield found


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen_and_everything_is_seen(tab, page, size, tmp_path):
    tab.look(*SIZES[size])
    tab.driver.get(page.as_uri())
    assert tab.complaints() == []
    width = SIZES[size][0]
    assert tab.script("return document.documentElement.scrollWidth") <= width
    # A table that is wider than the screen is moved within its own frame, by keyboard too.
    for frame in tab.all(".table"):
        assert frame.rect["width"] <= width
        assert frame.get_attribute("tabindex") == "0"
    for drawing in tab.all(".drawing svg"):
        assert 240 <= drawing.rect["width"] <= width
        assert drawing.rect["height"] > 150
    tab.save(tmp_path / f"{size}.png")
    assert (tmp_path / f"{size}.png").stat().st_size > 20_000


def test_letters_of_a_drawing_can_be_read_on_a_phone(tab, page):
    tab.look(*SIZES["phone"])
    tab.driver.get(page.as_uri())
    scale = tab.script(
        "const svg = document.querySelector('.drawing svg');"
        "return svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"
    )
    # Letters are 7.5 points or more.
    assert 7.5 * scale >= 9


def test_links_lead_to_sections_and_folded_tables_open(tab, page):
    tab.look(*SIZES["desk"])
    tab.driver.get(page.as_uri())
    for link in tab.all("nav a"):
        target = link.get_attribute("href").rsplit("#")[1]
        assert tab(f"section#{target} h2").text == link.text
    folded = tab("details")
    assert not tab("details table").is_displayed()
    folded.find_element("css selector", "summary").click()
    assert tab("details table").is_displayed()


def test_it_prints_without_folds_and_links_and_no_drawing_is_cut(tab, page, tmp_path):
    tab.driver.get(page.as_uri())
    printed = tab.driver.execute_cdp_cmd(
        "Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True}
    )
    path = tmp_path / "report.pdf"
    path.write_bytes(base64.b64decode(printed["data"]))
    pages = [one.extract_text() for one in PdfReader(path).pages]
    text = " ".join("\n".join(pages).split())
    assert len(pages) <= 16
    assert "What a larger datastore buys" in pages[0]
    assert "the ways on the front" in text
    assert "all 48 ways" not in text
    rules = "return getComputedStyle(document.querySelector('figure')).breakInside"
    tab.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert tab.script(rules) == "avoid"
    assert not tab("nav").is_displayed()
    tab.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_it_loads_nothing_and_needs_no_script(tab, page):
    tab.driver.get(page.as_uri())
    assert tab.script("return performance.getEntriesByType('resource').length") == 0
    assert tab.script("return document.scripts.length") == 0
    assert tab.script("return document.querySelectorAll('.drawing[role=img]:not([aria-label])').length") == 0
