"""The page in a browser, of a real server of the test corpus with the packaged reader."""

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from tests.serve.page.browser import Browser, chromium
from tests.serve.processes import serving

pytestmark = pytest.mark.long
QUESTION = "How is the mayor of Bralgate chosen?"
DESK = (1280, 900)


@pytest.fixture(scope="module")
def tab():
    with chromium() as found:
        yield found


def opened(tab: Browser, url: str, size: tuple[int, int] = DESK) -> Browser:
    """The page, with its card shown."""
    tab.look(*size)
    tab.driver.get(url)
    tab.until(lambda: tab("#stores").is_displayed() or tab("#keys").is_displayed())
    return tab


def asked(tab: Browser, question: str = QUESTION) -> None:
    """Ask by keyboard alone and wait for the answers' end."""
    tab("#question").send_keys(question, Keys.ENTER)
    tab.until(lambda: tab("#stop").is_displayed())
    ended(tab)


def ended(tab: Browser) -> None:
    tab.until(lambda: tab("#send").is_displayed())
    assert not tab("#problem").is_displayed(), tab("#problem").text
    assert not tab.all("[aria-busy]")


def active(tab: Browser) -> str:
    return tab.script("return document.activeElement.id")


def test_a_question_is_answered_with_and_without_and_its_source_opens_in_its_document(tab, url):
    opened(tab, url)
    assert active(tab) == "question"
    asked(tab)
    assert "8 years" in tab("#with .text").text
    assert tab("#alone .text").text
    assert not tab.all("#alone .cite")
    assert "cites" in tab("#status").get_attribute("textContent")
    assert tab("#sources .cited .title").text == "Bralgate"
    cite = tab("#with button.cite")
    assert cite.get_attribute("aria-label") == "Source 1: Bralgate"
    cite.send_keys(Keys.ENTER)
    tab.until(lambda: tab.all("#text mark"))
    assert tab("#text mark").text.startswith("The mayor of Bralgate is chosen every 8 years")
    assert active(tab) == "passage-title"
    link = tab("#original").get_attribute("href")
    assert "/documents/file-" in link
    assert "The mayor of Bralgate" in httpx.get(link).text
    tab.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    tab.until(lambda: not tab("#passage").is_displayed())
    assert tab.script("return document.activeElement.className") == "cite"
    assert tab.complaints() == []


def test_a_smaller_part_is_asked_when_the_slider_is_let_go(tab, url):
    opened(tab, url)
    assert tab("#passages").text == "all 40"
    asked(tab)
    alone = tab("#alone .text").text
    tab("#size").send_keys(Keys.HOME)
    assert tab("#passages").text == "about 5"
    assert tab("#size").get_attribute("aria-valuetext") == "about 5 passages"
    tab.until(lambda: tab("#stop").is_displayed())
    ended(tab)
    tab.until(lambda: len(tab.all("#tried tr")) == 2)
    assert [one.text for one in tab.all("#tried th")] == ["all 40", "about 5"]
    assert tab("#alone .text").text == alone
    assert len(tab.all("#sources li")) <= 3


def test_stop_ends_both_answers_and_the_next_question_is_answered(tab, url):
    opened(tab, url)
    tab("#question").send_keys("Tell all that is known of every town.", Keys.ENTER)
    tab.until(lambda: tab("#stop").is_displayed())
    tab("#stop").click()
    tab.until(lambda: tab("#send").is_displayed())
    assert [one.text for one in tab.all(".answer .note")] == ["Stopped", "Stopped"]
    assert active(tab) == "question"
    tab("#question").clear()
    asked(tab)
    assert "8 years" in tab("#with .text").text


def test_a_key_is_asked_for_and_kept_until_the_tab_is_closed(tab, store):
    with serving(store, "--api-key", "sesame") as locked:
        tab.look(*DESK)
        tab.driver.get(locked)
        tab.until(lambda: tab("#keys").is_displayed() or tab("#problem").is_displayed())
        tab.until(lambda: tab("#keys").is_displayed())
        tab("#key").send_keys("wrong", Keys.ENTER)
        tab.until(lambda: "does not know that key" in tab("#keys-why").text)
        tab("#key").send_keys("sesame", Keys.ENTER)
        tab.until(lambda: tab("#stores").is_displayed())
        asked(tab)
        tab("#sources button").click()
        tab.until(lambda: tab.all("#text mark"))
        assert not tab("#original").is_displayed()  # A link sends no key.
        tab.driver.refresh()
        tab.until(lambda: tab("#stores").is_displayed())
        assert tab.script("return Object.keys(localStorage).length + document.cookie.length") == 0
    tab("#question").send_keys(QUESTION, Keys.ENTER)
    tab.until(lambda: tab("#problem").is_displayed())
    assert tab("#problem").text == "The service does not answer: is it still running?"
