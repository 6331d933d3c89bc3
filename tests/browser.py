"""A headless Chromium for tests of pages.

`playwright install chromium`, or a Chromium of the system's; tests skip where there is none.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SYSTEM = ("chromium", "chromium-browser", "google-chrome", "chrome")
PHONE = {"width": 390, "height": 844}
"""Of a page on a phone, in CSS pixels."""


# Not of the session: playwright's loop is running in this thread until it is closed, and a test
# after it could run none of its own.
@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A browser; `browser.new_page(...)` opens a page with state of its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        own = Path(driver.chromium.executable_path)
        found = own if own.exists() else next(filter(None, map(shutil.which, SYSTEM)), None)
        if found is None:
            pytest.skip("no Chromium: `playwright install chromium`, or one of the system's")
        # Where tests run as root, in a container, Chromium's own sandbox cannot start.
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
