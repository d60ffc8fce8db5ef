"""The link to the simulator: lost, found again, guarded by a password."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.fixtures import Open
from tests.browser.fleet import Running, Simulator
from tests.browser.forwarding import WithoutCredentials
from tests.browser.pages import connector, messages, open_station, rows

pytestmark = pytest.mark.browser


def test_the_page_waits_for_a_simulator_that_is_gone_and_catches_up(
    central: str, tmp_path: Path, open_page: Open
) -> None:
    simulator = Simulator(tmp_path, central, stations=5)
    try:
        page = open_page(simulator.url)
        expect(rows(page)).to_have_count(5)
        simulator.end()
        expect(page.locator("#banner")).to_contain_text("The simulator is not there")
        expect(rows(page)).to_have_count(5)
        page.get_by_role("button", name="Add stations").click()
        expect(page.locator(".toast.failed")).to_contain_text("no connection to the simulator")
        simulator.start(8)
        expect(page.locator("#banner")).to_be_empty()
        expect(rows(page)).to_have_count(8)
    finally:
        simulator.end()


def test_the_page_of_a_station_goes_on_after_a_crash_of_the_simulator(
    central: str, tmp_path: Path, open_page: Open
) -> None:
    simulator = Simulator(tmp_path, central, stations=2)
    try:
        page = open_page(simulator.url)
        open_station(page, simulator, "CS-00002")
        simulator.end(at_once=True)
        expect(page.locator("#banner")).to_contain_text("The simulator is not there")
        simulator.start(2)
        expect(page.locator("#banner")).to_be_empty()
        connector(page).get_by_role("button", name="Plug in").click()
        expect(connector(page).locator(".pill")).to_have_text("Preparing")
        expect(messages(page).filter(has_text="Preparing")).not_to_have_count(0)
    finally:
        simulator.end()


def test_an_outage_of_the_central_system_is_said(tmp_path: Path, open_page: Open) -> None:
    central = Running("csms", "--port", "0")
    simulator = Simulator(tmp_path, central.line(r"^(ws://\S+)$"), stations=3)
    try:
        page = open_page(simulator.url)
        expect(rows(page)).to_have_count(3)
        notice = page.locator(".notice")
        expect(notice).to_be_hidden()
        simulator.ask("stopChargingStation", {"hashIds": [hash_id_of(simulator, "CS-00003")]})
        central.end(at_once=True)
        expect(notice).to_contain_text("All 2 stations have no connection to the central system.")
        notice.get_by_role("button", name="Show them").click()
        expect(rows(page)).to_have_count(2)
    finally:
        simulator.end(at_once=True)
        central.end(at_once=True)


def hash_id_of(simulator: Simulator, name: str) -> str:
    """The identity of a station."""
    found = simulator.ask("listChargingStations", {"search": name, "fields": []})["chargingStations"][0]
    hash_id: str = found["stationInfo"]["hashId"]
    return hash_id


def test_a_password_is_asked_for_and_a_browser_that_knows_it_is_let_in(
    central: str, tmp_path: Path, open_page: Open
) -> None:
    simulator = Simulator(tmp_path, central, stations=2, login=("operator", "pass wörd+/="))
    try:
        stranger = open_page("about:blank", allowed=("401",))
        answer = stranger.request.get(simulator.url)
        assert answer.status == 401
        known = open_page(simulator.url, http_credentials={"username": "operator", "password": "pass wörd+/="})
        expect(rows(known)).to_have_count(2)
    finally:
        simulator.end()


def test_where_the_browser_keeps_credentials_from_websockets_the_page_asks_for_them(
    central: str, tmp_path: Path, open_page: Open
) -> None:
    simulator = Simulator(tmp_path, central, stations=2, login=("operator", "pass wörd+/="))
    try:
        with WithoutCredentials(simulator.port) as way:
            credentials = {"username": "operator", "password": "pass wörd+/="}
            page = open_page(way.url, allowed=("401",), http_credentials=credentials)
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("Sign in")
            dialog.get_by_role("textbox", name="User").fill("operator")
            dialog.get_by_role("textbox", name="Password").fill("pass wörd+/=")
            dialog.get_by_role("button", name="Sign in").click()
            expect(rows(page)).to_have_count(2)
    finally:
        simulator.end()
