"""The table of the fleet: thousands of stations, many of them told something at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fixtures import Open
from tests.browser.fleet import Simulator
from tests.browser.pages import choose, failures, row, rows, state, submit

pytestmark = pytest.mark.browser

MANY = 2_000
SCROLLS = 20


@pytest.fixture(scope="module")
def many(central: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Thousands of idle stations."""
    running = Simulator(tmp_path_factory.mktemp("many"), central, stations=MANY)
    yield running
    running.end(at_once=True)


def test_one_station_is_found_among_thousands(many: Simulator, open_page: Open) -> None:
    page = open_page(many.url)
    expect(page.locator(".count")).to_have_text("2,000 stations")
    # Only what can be seen is there.
    assert rows(page).count() < 80
    page.keyboard.press("/")
    page.keyboard.type("cs-01234")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("CS-01234")
    expect(page.locator(".count")).to_have_text("1 of 2,000 stations")
    page.keyboard.press("Escape")
    expect(page.locator(".count")).to_have_text("2,000 stations")


def test_scrolling_and_searching_thousands_does_not_stall_the_page(many: Simulator, open_page: Open) -> None:
    page = open_page(many.url)
    expect(page.locator(".count")).to_have_text("2,000 stations")
    page.get_by_role("grid", name="Charging stations").focus()
    page.keyboard.press("End")
    expect(row(page, "CS-02000")).to_be_visible()
    body = page.locator(".grid-body").first
    busy = Busy(page)
    for _ in range(SCROLLS):
        body.evaluate("(element) => { element.scrollTop = Math.random() * element.scrollHeight; }")
        page.evaluate("new Promise(requestAnimationFrame)")
    # Some 10 ms were measured for a jump to elsewhere; drawing thousands of rows would take many times that.
    assert busy.since() / SCROLLS < 0.05
    page.get_by_role("searchbox", name="Search stations").press_sequentially("00", delay=20)
    page.get_by_role("button", name="Station", exact=True).click()
    expect(rows(page).first).to_contain_text("CS-00001")
    assert busy.since() < 0.5


class Busy:
    """Tells how many seconds of processor time a page has used: on a busy machine they pass no faster."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._before = 0.0
        self.since()

    def since(self) -> float:
        """Since it was made, or asked for the last time."""
        metrics = {each["name"]: each["value"] for each in self._session.send("Performance.getMetrics")["metrics"]}
        before, self._before = self._before, float(metrics["TaskDuration"])
        return self._before - before


def test_states_filter_and_columns_sort(many: Simulator, open_page: Open) -> None:
    page = open_page(many.url)
    expect(page.locator(".count")).to_have_text("2,000 stations")
    hash_id = many.ask("listChargingStations", {"search": "CS-01999", "fields": []})["chargingStations"][0][
        "stationInfo"
    ]["hashId"]
    many.ask("stopChargingStation", {"hashIds": [hash_id]})
    page.get_by_role("group", name="Filter by state").get_by_role("button", name="Stopped 1").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("CS-01999")
    many.ask("startChargingStation", {"hashIds": [hash_id]})
    expect(rows(page)).to_have_count(0)
    page.get_by_role("group", name="Filter by state").get_by_role("button", name="Stopped 0").click()
    name = page.get_by_role("button", name="Station", exact=True)
    name.click()
    expect(rows(page).first).to_contain_text("CS-00001")
    name.click()
    expect(row(page, "CS-02000")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Station")).to_have_attribute("aria-sort", "descending")


def test_stations_are_chosen_by_keys_and_told_something_together(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    expect(rows(page)).to_have_count(12)
    page.get_by_role("searchbox", name="Search stations").fill("cs-0000")
    page.keyboard.press("Tab")
    page.get_by_role("grid", name="Charging stations").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    actions = page.get_by_role("region", name="Actions on chosen stations")
    expect(actions).to_contain_text("3 chosen")
    actions.get_by_role("button", name="Disconnect").click()
    for number in (1, 2, 3):
        expect(state(page, f"CS-0000{number}")).to_have_text("Offline")
    expect(state(page, "CS-00004")).to_have_text("Available")

    # One more that is connected: some fail, and each says why.
    row(page, "CS-00004").get_by_role("checkbox").click()
    choose(page, "More", "Heartbeat")
    expect(failures(page)).to_contain_text("Heartbeat: 3 of 4 stations failed")
    failures(page).get_by_role("button", name="Show each station").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 succeeded, 3 failed")
    expect(dialog.locator("tbody tr")).to_have_count(4)
    expect(dialog.locator("tbody tr").filter(has_text="CS-00002")).to_contain_text(
        "Not connected to the central system"
    )
    dialog.get_by_role("button", name="Close").click()
    actions.get_by_role("button", name="Connect", exact=True).click()
    for number in (1, 2, 3, 4):
        expect(state(page, f"CS-0000{number}")).to_have_text("Available")


def test_stations_are_added_and_deleted(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    expect(rows(page)).to_have_count(12)
    page.keyboard.press("n")
    page.get_by_role("combobox", name="Template").select_option("ours")
    page.get_by_role("spinbutton", name="How many").fill("3")
    page.get_by_text("More options").click()
    page.get_by_role("textbox", name="End of the name").fill("-NEW")
    submit(page, "Add")
    expect(rows(page)).to_have_count(15)
    page.get_by_role("searchbox", name="Search stations").fill("-new")
    expect(rows(page)).to_have_count(3)
    for number in range(3):
        expect(rows(page).nth(number).locator(".pill")).to_have_text("Available")
    page.get_by_role("checkbox", name="Choose all shown").click()
    page.get_by_role("region", name="Actions on chosen stations").get_by_role("button", name="Delete").click()
    submit(page, "Delete")
    expect(rows(page)).to_have_count(0)
    page.get_by_role("searchbox", name="Search stations").fill("")
    expect(rows(page)).to_have_count(12)


def test_a_wrong_central_system_is_refused_with_its_reason(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    expect(rows(page)).to_have_count(12)
    page.get_by_role("button", name="Add stations").click()
    page.get_by_role("textbox", name="Central system").fill("http://central.example/")
    submit(page, "Add")
    expect(failures(page)).to_contain_text("No stations were added")
    expect(rows(page)).to_have_count(12)
