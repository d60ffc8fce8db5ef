"""OCPP configuration keys of a station."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from simulator.station.keys import ConfigurationKeys, KeyOwner, NoOwner
from simulator.templates.info import resolve_station
from simulator.templates.load import build_template

URL = "ws://central.test/"


class Told(NoOwner):
    """An owner that notes the changes."""

    def __init__(self) -> None:
        self.values: list[tuple[str, str]] = []

    def changed(self, lowered: str, value: str, within: float) -> None:
        """One more."""
        self.values.append((lowered, value))


def keys(*entries: dict[str, Any], owner: KeyOwner | None = None, **template: Any) -> ConfigurationKeys:
    document = {
        "baseName": "CS",
        "chargePointVendor": "Acme",
        "chargePointModel": "One",
        "power": 22_000,
        "numberOfConnectors": 2,
        "Connectors": {"0": {}, "1": {}, "2": {}},
        "Configuration": {"configurationKey": list(entries)},
        **template,
    }
    loaded = build_template(document, Path("test.station-template.json"))
    info = resolve_station(loaded, 1, station_id="CS-1", hash_id="h", rng=random.Random(1))
    return ConfigurationKeys(info, URL, owner or NoOwner())


def test_what_a_template_sets_comes_before_defaults_and_is_found_in_any_case() -> None:
    made = keys({"key": "heartbeatinterval", "value": "17"}, {"key": "Vendor", "value": "x"})
    assert [key.name for key in made.all()][:2] == ["heartbeatinterval", "Vendor"]
    assert made.number("HeartbeatInterval") == 17
    assert len([key for key in made.all() if key.name.lower() == "heartbeatinterval"]) == 1


def test_the_number_of_connectors_is_always_the_stations_own() -> None:
    made = keys({"key": "NumberOfConnectors", "value": "9", "readonly": False})
    assert made.number("NumberOfConnectors") == 2
    assert made.change("NumberOfConnectors", "3") == "Rejected"


@pytest.mark.parametrize(
    ("name", "value", "status", "stored"),
    [
        ("Unknown", "1", "NotSupported", None),
        ("SupportedFeatureProfiles", "Core", "Rejected", None),
        ("HeartbeatInterval", "0", "Accepted", "0"),
        ("HeartbeatInterval", " 42 ", "Accepted", "42"),
        ("HeartbeatInterval", "-1", "Rejected", None),
        ("HeartbeatInterval", "1.5", "Rejected", None),
        ("HeartbeatInterval", "", "Rejected", None),
        ("HeartbeatInterval", "٣", "Rejected", None),
        ("LocalPreAuthorize", "TRUE", "Accepted", "true"),
        ("localpreauthorize", "False", "Accepted", "false"),
        ("LocalPreAuthorize", "1", "Rejected", None),
        ("MeterValuesSampledData", "Voltage.L1, Power.Active.Import", "Accepted", "Voltage.L1, Power.Active.Import"),
        ("MeterValuesSampledData", "", "Accepted", ""),
        ("MeterValuesSampledData", "Voltage,Nonsense", "Rejected", None),
        ("StopTxnSampledData", "Voltage.L9", "Rejected", None),
        ("ConnectorPhaseRotation", "0.RST,1.RTS", "Accepted", "0.RST,1.RTS"),
        ("ConnectorPhaseRotation", "1.XYZ", "Rejected", None),
        ("ConnectionUrl", "wss://elsewhere.test:8443/x", "RebootRequired", "wss://elsewhere.test:8443/x"),
        ("ConnectionUrl", "elsewhere.test", "Rejected", None),
        ("Vendor", "anything at all", "Accepted", "anything at all"),
    ],
)  # fmt: skip
def test_changes(name: str, value: str, status: str, stored: str | None) -> None:
    told = Told()
    made = keys({"key": "Vendor", "value": "x"}, owner=told, supervisionUrlOcppConfiguration=True)
    before = made.text(name)
    assert made.change(name, value) == status
    assert made.text(name) == (before if stored is None else stored)
    assert told.values == ([] if stored is None or stored == before else [(name.lower(), stored)])


def test_a_key_that_needs_a_reboot_says_so_also_when_nothing_changes() -> None:
    made = keys({"key": "Vendor", "value": "x", "reboot": True})
    assert made.change("VENDOR", "x") == "RebootRequired"


def test_values_that_cannot_be_read_count_as_absent() -> None:
    made = keys({"key": "MessageTimeout", "value": "soon"}, {"key": "LocalPreAuthorize"}, {"key": "Empty"})
    assert made.number("MessageTimeout", 30) == 30
    assert not made.flag("LocalPreAuthorize")
    assert made.text("Empty", "default") == "default"
    assert made.items("Empty") == []


def test_keys_that_a_template_makes() -> None:
    made = keys(
        supervisionUrlOcppConfiguration=True,
        supervisionUrlOcppKey="BackOffice",
        amperageLimitationOcppKey="MaxAmps",
        amperageLimitationUnit="cA",
    )
    assert made.text("BackOffice") == URL
    assert made.text("MaxAmps") == "1600"  # 22 kW over two connectors and three phases of 230 V
    assert made.text("ConnectorPhaseRotation") == "1.RST,2.RST"
    assert keys(currentOutType="DC").text("ConnectorPhaseRotation") == "1.NotApplicable,2.NotApplicable"


def test_a_profile_without_commands_is_not_offered() -> None:
    assert "RemoteTrigger" in keys().items("SupportedFeatureProfiles")
    made = keys(commandsSupport={"incomingCommands": {"Reset": True}, "outgoingCommands": {}})
    assert made.items("SupportedFeatureProfiles") == ["Core"]


def test_the_station_itself_writes_any_key() -> None:
    told = Told()
    made = keys(owner=told)
    made.set("HeartbeatInterval", "60")
    made.set("HeartbeatInterval", "60")
    made.set("New", "1")
    assert told.values == [("heartbeatinterval", "60"), ("new", "1")]
    assert made.text("new") == "1"
