"""What tests look for on the pages."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.browser.fleet import Simulator


def rows(page: Page) -> Locator:
    """The rows of the fleet that are drawn."""
    return page.get_by_role("grid", name="Charging stations").locator(".grid-row")


def row(page: Page, name: str) -> Locator:
    """The row of a station."""
    return rows(page).filter(has_text=name)


def state(page: Page, name: str) -> Locator:
    """The state in the row of a station."""
    return row(page, name).locator(".pill")


def connector(page: Page, number: int = 1) -> Locator:
    """The card of a connector."""
    return page.get_by_role("region", name=f"Connector {number}", exact=True)


def messages(page: Page) -> Locator:
    """The messages that are drawn."""
    return page.get_by_role("grid", name="OCPP messages").locator(".grid-row")


def failures(page: Page) -> Locator:
    """What failed, until it is closed."""
    return page.locator(".toast.failed")


def open_station(page: Page, simulator: Simulator, name: str) -> None:
    """Go to the page of a station by way of its row."""
    page.goto(simulator.url)
    page.get_by_role("searchbox", name="Search stations").fill(name)
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(connector(page)).to_be_visible()


def submit(page: Page, name: str) -> None:
    """Press the button that does what a dialog is about."""
    page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def choose(page: Page, button: str, item: str) -> None:
    """Choose from a menu."""
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()
