"""A headless Chromium that looks at pages of this machine, where one is installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PATIENCE = 60
"""Seconds until a page has what is expected of it."""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
)
# MLflow opens a panel with its assistant on the first visit, which takes a quarter of the page.
_NO_ASSISTANT = (
    "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');"
    "localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')"
)


def missing() -> str | None:
    """Return why there is no browser to drive, or None."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed"
    wanted = ("chromium", "chromedriver")
    absent = [name for name in wanted if shutil.which(name) is None]
    return f"no {' and no '.join(absent)} on this machine" if absent else None


class Browser:
    """One window on one site."""

    def __init__(self, driver: Any, site: str) -> None:
        self.driver, self.site = driver, site
        driver.get(f"{site}/health")  # of the same site, and it runs no script of its own
        driver.execute_script(_NO_ASSISTANT)

    def open(self, path: str) -> None:
        """Open a page of the site; one that differs by what follows the # is loaded anew."""
        self.driver.get("about:blank")
        self.driver.get(self.site + path)

    @property
    def text(self) -> str:
        """What the page shows, as text."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def wait_for(self, *texts: str) -> str:
        """Return the page's text as soon as all of these are in it."""
        self._until(lambda: all(text in self.text for text in texts), lambda: self.text)
        return self.text

    def wait_for_element(self, css: str) -> Any:
        """Return the first element of a CSS selector as soon as there is one."""
        self._until(lambda: bool(self.all(css)), lambda: f"no {css}: {self.text}")
        return self.all(css)[0]

    def all(self, css: str) -> list[Any]:
        """Return the elements of a CSS selector."""
        return list(self.driver.find_elements("css selector", css))

    def texts(self, css: str) -> list[str]:
        """Return the texts of the elements of a CSS selector, also of hidden ones."""
        return [str(element.get_attribute("textContent")) for element in self.all(css)]

    def click(self, xpath: str) -> None:
        """Click on the first element of an XPath as soon as there is one."""
        self._until(lambda: bool(self._by_xpath(xpath)), lambda: f"no {xpath}: {self.text}")
        self._by_xpath(xpath)[0].click()

    def picture(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        self.driver.save_screenshot(str(path))

    def _by_xpath(self, xpath: str) -> list[Any]:
        return list(self.driver.find_elements("xpath", xpath))

    def _until(self, is_there: Callable[[], bool], shown: Callable[[], str]) -> None:
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        try:
            WebDriverWait(self.driver, PATIENCE, 0.2).until(lambda _: is_there())
        except TimeoutException:
            raise AssertionError(f"the page shows:\n{shown()[:3000]}") from None


@contextmanager
def browsing(site: str, width: int = 1500, height: int = 1000) -> Iterator[Browser]:
    """Open a window on a site, with a profile of its own that is forgotten."""
    from selenium import webdriver

    with TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in (*_FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield Browser(driver, site)
        finally:
            driver.quit()
