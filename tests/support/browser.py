"""Debian's Chromium for tests that look at pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.support.needs import missing

CHROMIUM: Final = Path("/usr/bin/chromium")
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NARROW: Final = 390
WIDE: Final = 1280


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    if not CHROMIUM.exists():
        missing("Chromium", install="tools/install-chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def tab(browser: Browser, complaints: list[str], *, width: int = WIDE) -> Iterator[Page]:
    """Open a window; what its console says and what was missing goes into ``complaints``."""
    context = browser.new_context(locale="ko-KR", viewport={"width": width, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "response",
        lambda answer: complaints.append(answer.url) if answer.status >= 400 else None,
    )
    yield page
    context.close()


def click(target: Locator) -> None:
    """Click what leads to another page, and wait until that page is there."""
    with target.page.expect_navigation():
        target.click()


def is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


def keep_picture(page: Page, name: str) -> None:
    """Save a picture of the whole page where the environment names a folder for it."""
    if folder := os.environ.get("DATABANK_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
