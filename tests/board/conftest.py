"""A headless browser for the site, and pages that report their errors."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from lthbench.board.site import BUNDLE

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
expect.set_options(timeout=30_000)  # ms: a busy machine must not make a test fail


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page from disk. At the end, check that no error was logged, and that only pages and their script were
    requested, from disk."""
    said: list[str] = []
    asked: list[str] = []
    contexts: list[Any] = []

    def open_(path: Path, where: str = "", width: int = 1280, scheme: Any = "light") -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.resolve().as_uri() + where)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not said
    assert all(
        urlsplit(url).scheme == "file" and urlsplit(url).path.endswith((".html", f"/{BUNDLE}")) for url in asked
    ), asked
