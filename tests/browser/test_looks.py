"""How the pages look: themes, keys, names for those who do not see them, and pictures for those who do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fixtures import ARTIFACTS, Open
from tests.browser.fleet import Running, Simulator, ask, until
from tests.browser.pages import connector, messages, rows

pytestmark = pytest.mark.browser

FLEET = 60
#: The station whose page is shown.
LONG = "CS-ABB-00002"


#: Wall seconds that a fleet is watched before its picture is taken: lines need some points.
WATCH = float(os.environ.get("BROWSER_WATCH", "10"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A busy fleet, twenty times as fast as life, with a station that charges for long; the URL of its dashboard."""
    folder = tmp_path_factory.mktemp("demo")
    running = Running(
        *("demo", "--stations", str(FLEET), "--port", "0", "--seed", "7", "--speed", "20", "--data-dir", str(folder))
    )
    url = running.line(r"dashboard: (\S+)")

    def act(procedure: str, name: str, **payload: Any) -> None:
        station = ask(url, "listChargingStations", {"search": name, "fields": []})["chargingStations"][0]
        ask(url, procedure, {"hashIds": [station["stationInfo"]["hashId"]], **payload})

    until(lambda: ask(url, "simulatorState")["state"]["statistics"]["states"]["accepted"] == FLEET, "accepted stations")
    act("stopAutomaticTransactionGenerator", LONG)
    act("changeConfiguration", LONG, key="MeterValueSampleInterval", value="15")
    act("startTransaction", LONG, connectorId=1, idTag="04A2B91C5E6F80")
    act("startTransaction", LONG, connectorId=2, idTag="1FC4A693")
    act("stopChargingStation", "CS-ABB-00004")
    act("closeConnection", "CS-ABB-00006")
    act("raiseError", "CS-ABB-00007", connectorId=2, errorCode="GroundFailure")
    yield url
    running.end(at_once=True)


def picture(page: Page, name: str) -> Path:
    """Take a screenshot."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    path = ARTIFACTS / f"{name}.png"
    page.mouse.move(0, 0)
    page.screenshot(path=path)
    return path


def test_the_theme_is_that_of_the_system_until_another_is_chosen(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url, color_scheme="dark")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Dark theme").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


def test_keys_lead_everywhere(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    expect(rows(page)).to_have_count(12)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    page.keyboard.press("Escape")
    press_in_turn(page, "c", "Charts")
    press_in_turn(page, "f", "Fleet")
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("CS-00001")
    page.keyboard.press("2")
    expect(page.get_by_role("tab", name="OCPP keys")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(12)


def press_in_turn(page: Page, second: str, heading: str) -> None:
    """Press g and another key until the page is there: on a busy machine the second may come too late to count."""
    for _ in range(10):
        page.keyboard.press("g")
        page.keyboard.press(second)
        try:
            return expect(page.get_by_role("heading", level=1)).to_have_text(heading, timeout=3_000)
        except AssertionError:
            continue
    raise AssertionError(f"no page {heading}")


@pytest.mark.parametrize("path", ["#/", "#/charts", "station"])
def test_whatever_can_be_used_has_a_name(simulator: Simulator, open_page: Open, path: str) -> None:
    page = open_page(simulator.url if path == "station" else simulator.url + path)
    if path == "station":
        rows(page).first.get_by_role("link").click()
        expect(connector(page)).to_be_visible()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, a[href], [role=grid], canvas")]
          .filter((element) => element.checkVisibility() && !element.closest("[aria-hidden=true]"))
          .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length))
          .map((element) => element.outerHTML)"""
    )
    assert nameless == []


def test_nothing_comes_from_elsewhere_and_no_code_is_inline(simulator: Simulator, open_page: Open) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(simulator.url)
    assert answer is not None
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    expect(rows(page)).to_have_count(12)
    assert [url for url in asked if not url.startswith((simulator.url, simulator.url.replace("http", "ws")))] == []
    assert page.locator("script:not([src]), [style*='expression'], [onclick]").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_of_a_busy_fleet(demo: str, open_page: Open, theme: str) -> None:
    page = open_page(demo, color_scheme=theme)
    expect(page.locator(".count")).to_have_text(f"{FLEET} stations")
    page.wait_for_timeout(WATCH * 1000)
    picture(page, f"fleet-{theme}")
    page.get_by_role("searchbox", name="Search stations").fill(LONG)
    rows(page).first.get_by_role("link").click()
    expect(connector(page)).to_be_visible()
    reading = messages(page).filter(has_text="MeterValues").filter(has_text="call")
    expect(reading).not_to_have_count(0)
    reading.first.click()
    picture(page, f"station-{theme}")
    page.keyboard.press("Escape")
    page.goto(f"{demo}/#/charts")
    expect(page.get_by_role("heading", level=1)).to_have_text("Charts")
    expect(page.locator(".chart-card.whole tbody tr")).not_to_have_count(0)
    picture(page, f"charts-{theme}")


def test_a_narrow_window_shows_everything_below_each_other(demo: str, open_page: Open) -> None:
    page = open_page(demo, viewport={"width": 720, "height": 900})
    expect(rows(page).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    picture(page, "fleet-narrow")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert rows(page).first.get_by_role("link").evaluate("link => link.scrollWidth <= link.clientWidth")
    picture(page, "fleet-phone")
