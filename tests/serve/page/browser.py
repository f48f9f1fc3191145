"""Chromium without a window, as the tests of the page drive it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

# A small machine writes an answer in seconds, a busy one in many.
PATIENCE = 120


class Browser:
    """One tab, and what a test wants to know of it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """Be a screen of so many pixels, light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def __call__(self, selector: str) -> WebElement:
        """The element of a CSS selector."""
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[WebElement]:
        """The elements of a CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def until(self, condition: Callable[[], Any]) -> Any:
        """What a condition gives once it is true."""
        return WebDriverWait(self.driver, PATIENCE, 0.1).until(lambda _: condition())

    def script(self, code: str, *arguments: object) -> Any:
        """What a script gives."""
        return self.driver.execute_script(code, *arguments)

    def complaints(self) -> list[str]:
        """What the console has said since it was asked last."""
        return [one["message"] for one in self.driver.get_log("browser")]

    def save(self, path: Path) -> None:
        """Save a picture of all of the page."""
        self.driver.save_screenshot(str(path))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test fails with what is missing if there is none."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.fail("This test needs Chromium and its driver: apt-get install chromium chromium-driver.")
    options = ChromeOptions()
    options.binary_location = programs[0]
    for one in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(programs[1]))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
