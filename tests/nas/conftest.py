"""Settings for the tests of nas."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WAIT_MS = 300_000  # a busy machine is no failure


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One browser for a file of tests, driven as a reader would; not for all files: it keeps an event loop running."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs a browser: apt-get install chromium")
    driver = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=False, timeout=WAIT_MS)
        yield browser
        browser.close()
