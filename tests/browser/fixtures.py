"""A headless Chromium for the tests of the dashboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.fleet import Running, Simulator

#: Where screenshots go: what the pages look like, and how they looked when a test failed.
ARTIFACTS = Path(os.environ.get("BROWSER_ARTIFACTS", "artifacts/browser"))

#: Milliseconds for what a page shall show or do: on a busy machine many times what it takes on an idle one.
WITHIN = 45_000

expect.set_options(timeout=WITHIN)

#: What the console may say: a page whose simulator is gone tries to reach it.
EXPECTED = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "WebSocket connection to", "ERR_EMPTY_RESPONSE")

Open = Callable[..., Page]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Keep what the page looked like when a test failed."""
    report: Any = yield
    if report.when == "call" and report.failed:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(getattr(item, "pages", [])):
            page.screenshot(path=ARTIFACTS / f"failed-{item.name}-{number}.png")
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of the system; else the one that Playwright has installed."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        # In a container the process is often that of root, whom Chromium does not let use its sandbox.
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open pages; each in a browser profile of its own. A page that complains fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    request.node.pages = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(part in message.text for part in EXPECTED):
            complaints.append(message.text)

    def open_at(url: str, *, allowed: tuple[str, ...] = (), **options: Any) -> Page:
        options = {"viewport": {"width": 1440, "height": 860}, "color_scheme": "light", **options}
        context = browser.new_context(**options)
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(WITHIN)
        page.on("console", lambda message: None if any(part in message.text for part in allowed) else hear(message))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        request.node.pages.append(page)
        page.goto(url)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def central() -> Iterator[str]:
    """A central system that outlives the simulators; its URL."""
    running = Running("csms", "--port", "0")
    yield running.line(r"^(ws://\S+)$")
    running.end()


@pytest.fixture(scope="module")
def simulator(central: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A few idle stations, shared by the tests of a module: each test takes a station of its own."""
    running = Simulator(tmp_path_factory.mktemp("few"), central, stations=12)
    yield running
    running.end()
