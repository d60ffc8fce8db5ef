"""The page of one station: what happens there, and what is done to it."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.fixtures import Open
from tests.browser.fleet import Simulator
from tests.browser.pages import choose, connector, failures, messages, open_station, state, submit

pytestmark = pytest.mark.browser


def test_a_station_is_stopped_and_started(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    open_station(page, simulator, "CS-00001")
    head = page.locator(".station-head")
    expect(head.locator(".pill")).to_have_text("Available")
    head.get_by_role("button", name="Stop").click()
    expect(head.locator(".pill")).to_have_text("Stopped")
    expect(head.get_by_role("button", name="Connect")).to_be_disabled()
    head.get_by_role("button", name="Start").click()
    expect(head.locator(".pill")).to_have_text("Available")


def test_a_closed_connection_stays_closed_over_a_reload_until_it_is_opened(
    simulator: Simulator, open_page: Open
) -> None:
    page = open_page(simulator.url)
    open_station(page, simulator, "CS-00002")
    head = page.locator(".station-head")
    head.get_by_role("button", name="Disconnect").click()
    expect(head.locator(".pill")).to_have_text("Offline")
    page.reload()
    expect(head.locator(".pill")).to_have_text("Offline")
    expect(page.get_by_role("heading", level=1)).to_have_text("CS-00002")
    choose(page, "Send", "Heartbeat")
    expect(failures(page)).to_contain_text("Not connected to the central system")
    failures(page).get_by_role("button", name="Close").click()
    expect(failures(page)).to_have_count(0)
    head.get_by_role("button", name="Connect", exact=True).click()
    expect(head.locator(".pill")).to_have_text("Available")


def test_a_vehicle_charges_from_plug_to_unplug_and_the_messages_pass(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    open_station(page, simulator, "CS-00003")
    card = connector(page)
    expect(card.locator(".pill")).to_have_text("Available")
    card.get_by_role("button", name="Plug in").click()
    expect(card.locator(".pill")).to_have_text("Preparing")
    card.get_by_role("button", name="Present tag").click()
    page.get_by_role("textbox", name="Tag").fill("TAG-A")
    submit(page, "Present tag")
    expect(card.locator(".pill")).to_have_text("Charging")
    expect(card).to_contain_text(re.compile(r"Transaction \d+"))
    expect(card).to_contain_text("TAG-A")
    # Only the newest messages are drawn, and readings come every second.
    page.get_by_role("combobox", name="Action").select_option("StartTransaction")
    expect(messages(page).filter(has_text="StartTransaction")).not_to_have_count(0)
    page.get_by_role("combobox", name="Action").select_option("")
    # The log moves, and the curve with it.
    expect(messages(page).filter(has_text="MeterValues")).not_to_have_count(0)
    expect(card.locator("dd").first).to_have_text(re.compile(r"\d.* k?W"))

    card.get_by_role("button", name="Stop transaction").click()
    page.get_by_role("combobox", name="Reason").select_option("EmergencyStop")
    submit(page, "Stop transaction")
    expect(card.locator(".pill")).to_have_text("Finishing")
    expect(card).to_contain_text("No transaction")
    stop = messages(page).filter(has_text="StopTransaction").filter(has_text="EmergencyStop")
    stop.click()
    shown = page.get_by_role("region", name="The message")
    assert json.loads(shown.locator("pre").inner_text())[3]["reason"] == "EmergencyStop"
    card.get_by_role("button", name="Unplug").click()
    expect(card.locator(".pill")).to_have_text("Available")


def test_messages_are_filtered_paused_and_copied(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    open_station(page, simulator, "CS-00004")
    expect(messages(page).filter(has_text="BootNotification")).to_have_count(2)
    page.get_by_role("combobox", name="Action").select_option("BootNotification")
    expect(messages(page)).to_have_count(2)
    page.get_by_role("combobox", name="Direction").select_option("received")
    expect(messages(page)).to_have_count(1)
    messages(page).click()
    page.get_by_role("region", name="The message").get_by_role("button", name="Copy").click()
    expect(page.locator(".toast")).to_contain_text("copied")
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))[2]["status"] == "Accepted"

    page.get_by_role("combobox", name="Direction").select_option("")
    page.get_by_role("combobox", name="Action").select_option("")
    before = messages(page).count()
    page.get_by_role("button", name="Pause").click()
    choose(page, "Send", "Heartbeat")
    expect(page.get_by_role("button", name="Go on (2 new)")).to_be_visible()
    assert messages(page).count() == before
    page.get_by_role("button", name="Go on").click()
    expect(messages(page).filter(has_text="Heartbeat")).to_have_count(2)
    page.get_by_role("searchbox", name="Search messages").fill("currenttime")
    expect(messages(page).filter(has_text="Heartbeat")).to_have_count(1)


def test_a_fault_is_raised_seen_in_the_fleet_and_cleared(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    open_station(page, simulator, "CS-00005")
    card = connector(page, 2)
    card.get_by_role("button", name="Raise error").click()
    page.get_by_role("combobox", name="Error").select_option("GroundFailure")
    submit(page, "Raise error")
    expect(card.locator(".pill")).to_have_text("Faulted")
    expect(card).to_contain_text("GroundFailure")
    page.get_by_role("link", name="Back to the fleet").click()
    expect(state(page, "CS-00005")).to_have_text("Faulted")
    page.go_back()
    connector(page, 2).get_by_role("button", name="Clear error").click()
    expect(connector(page, 2).locator(".pill")).to_have_text("Available")


def test_a_key_is_found_and_changed_and_a_bad_value_is_refused(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    open_station(page, simulator, "CS-00006")
    page.get_by_role("tab", name="OCPP keys").click()
    page.get_by_role("searchbox", name="Search keys").fill("heartbeatint")
    keys = page.get_by_role("grid", name="OCPP keys").locator(".grid-row")
    expect(keys).to_have_count(1)
    keys.get_by_role("button", name="Change HeartbeatInterval").click()
    page.get_by_role("textbox", name="Value").fill("77")
    submit(page, "Change OCPP key")
    expect(keys).to_contain_text("77")
    keys.get_by_role("button", name="Change HeartbeatInterval").click()
    page.get_by_role("textbox", name="Value").fill("soon")
    submit(page, "Change OCPP key")
    expect(failures(page)).to_contain_text("Rejected")
    expect(keys).to_contain_text("77")


@pytest.mark.parametrize(
    ("item", "fill", "action"),
    [
        ("BootNotification", {}, "BootNotification"),
        ("Authorize…", {"Tag": "TAG-B"}, "Authorize"),
        ("FirmwareStatusNotification…", {}, "FirmwareStatusNotification"),
        ("DiagnosticsStatusNotification…", {}, "DiagnosticsStatusNotification"),
        ("LogStatusNotification…", {}, "LogStatusNotification"),
        ("SecurityEventNotification…", {}, "SecurityEventNotification"),
    ],
)
def test_messages_are_sent_by_hand(
    simulator: Simulator, open_page: Open, item: str, fill: dict[str, str], action: str
) -> None:
    page = open_page(simulator.url)
    open_station(page, simulator, "CS-00007")
    page.get_by_role("button", name="Clear").click()
    choose(page, "Send", item)
    for label, value in fill.items():
        page.get_by_label(label).fill(value)
    if item.endswith("…"):
        submit(page, "Send")
    expect(messages(page).filter(has_text=action)).not_to_have_count(0)
    expect(failures(page)).to_have_count(0)


def test_what_is_missing_in_a_form_is_said_where_it_is_missing(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    open_station(page, simulator, "CS-00007")
    choose(page, "Send", "DataTransfer…")
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    vendor = page.get_by_role("textbox", name="Vendor")
    expect(vendor).to_be_focused()
    expect(vendor).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_power_cycle_boots_the_station_again(simulator: Simulator, open_page: Open) -> None:
    page = open_page(simulator.url)
    open_station(page, simulator, "CS-00008")
    page.get_by_role("button", name="Clear").click()
    choose(page, "Actions", "Power cycle")
    submit(page, "Power cycle")
    expect(messages(page).filter(has_text="BootNotification")).to_have_count(2)
    expect(page.locator(".station-head .pill")).to_have_text("Available")


def test_a_station_that_is_not_there_is_said_so(simulator: Simulator, open_page: Open) -> None:
    page = open_page(f"{simulator.url}#/stations/{'0' * 96}")
    expect(page.get_by_role("region", name="Connectors")).to_contain_text("not there")
