"""The page in a browser, of a real server of the test corpus with the packaged reader."""

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from tests.serve.page.browser import Browser, chromium
from tests.serve.processes import serving

pytestmark = pytest.mark.long
QUESTION = "How is the mayor of Bralgate chosen?"
DESK, PHONE = (1280, 900), (390, 844)


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


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESK, PHONE, (320, 640)])
def test_it_fits_the_screen_and_can_be_hit_with_a_thumb(tab, url, size, dark, tmp_path):
    opened(tab, url, size)
    tab.look(*size, dark)
    asked(tab)
    assert tab.script("return document.documentElement.scrollWidth") <= size[0]
    ground = tab.script("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(25, 23, 21)" if dark else "rgb(251, 248, 243)")
    small = [
        one.text for one in tab.all("button:not(.cite)") if one.is_displayed() and one.size["height"] < 44
    ]
    assert small == []
    tab.save(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_markup_in_a_passage_is_shown_as_it_is_written(tab, url):
    opened(tab, url)
    evil = "<img src=x onerror='document.title=\"taken\"'><script>document.title='taken'</script>"
    code = """
      const [text, done] = arguments;
      const found = {id: "file-0.0", file_id: "file-0", chunk: 0, start: 0, text, title: text, domain: text,
        doc_id: "d", url: "javascript:alert(1)", metadata: {[text]: text}, before: [], after: []};
      window.fetch = async () => new Response(JSON.stringify(found));
      import("/page/passage.js").then((page) => page.open(found)).then(done);
    """
    tab.driver.execute_async_script(code, evil)
    assert tab("#text mark").text == evil
    assert tab("#passage-title").text == evil
    assert not tab("#original").is_displayed()
    assert not tab.all("#passage img, #passage script")
    assert tab.driver.title != "taken"
    with pytest.raises(Exception, match="TrustedHTML"):
        tab.script("document.body.innerHTML = arguments[0]", evil)
