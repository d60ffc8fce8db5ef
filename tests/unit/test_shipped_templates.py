"""The station models and example configurations that ship with the simulator, through the loaders that users have."""

import random
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from simulator.config.load import load_config
from simulator.templates.fleet import plan_fleet, shipped_folder, shipped_templates
from simulator.templates.identity import hash_id, station_id
from simulator.templates.info import StationInfo, resolve_station
from simulator.templates.load import LoadedTemplate, load_template
from simulator.templates.tags import load_tags

FOLDER = shipped_folder()
EXAMPLES = sorted((FOLDER / "examples").glob("*.json"))


class Facts(NamedTuple):
    """What distinguishes a model towards a central system: of the first station of its template."""

    station_id: str
    vendor: str
    model: str
    connectors: int
    current: str
    watts: float
    volts: float
    phases: int
    amperes: float
    generator: bool


FACTS = {
    "abb": Facts("CS-ABB-00001", "ABB", "MD_TERRA_53", 2, "DC", 50_000, 400, 0, 125, False),
    "abb-atg": Facts("CS-ABB-00001", "ABB", "MD_TERRA_53", 2, "DC", 50_000, 400, 0, 125, True),
    "chargex": Facts("CS-CHARGEX-00001", "ChargeX GmbH", "Aqueduct 1.0", 1, "AC", 22_080, 230, 3, 32, False),
    "evlink": Facts("CS-EVLINK-00001", "Schneider Electric", "MONOBLOCK", 1, "AC", 7_360, 231, 1, 32, False),
    "keba": Facts("CS-KEBA-00001", "Keba AG", "KC-P30-ESS400C2-E0R", 1, "AC", 22_080, 230, 3, 32, False),
    "schneider": Facts("CS-SCHNEIDER-00001", "Schneider Electric", "MONOBLOCK", 2, "AC", 44_160, 231, 3, 32, False),
    "schneider-imredd": Facts(
        "CS-SCHNEIDER-00001", "Schneider Electric", "MONOBLOCK", 1, "AC", 22_080, 231, 3, 32, False
    ),
    "siemens": Facts("CS-SIEMENS", "SIEMENS", "SIEMENSXX213", 2, "AC", 44_160, 240, 3, 31, False),
    "virtual": Facts("CS-SIMU-00001", "Ovomaltin", "Simulator connectors", 9, "DC", 50_000, 400, 0, 125, False),
    "virtual-simple": Facts("CS-BASIC-00001", "Ovomaltin", "Simulator simple", 3, "DC", 50_000, 400, 0, 125, False),
    "virtual-simple-atg": Facts("CS-BASIC-00001", "Ovomaltin", "Simulator simple", 3, "DC", 75_000, 400, 0, 188, True),
}

FIVE_PROFILES = "Core,FirmwareManagement,LocalAuthListManagement,SmartCharging,RemoteTrigger"


def load(name: str) -> LoadedTemplate:
    return load_template(FOLDER / f"{name}.station-template.json")


def first_station(loaded: LoadedTemplate) -> StationInfo:
    name = station_id(loaded.template, 1, {})
    return resolve_station(
        loaded, 1, station_id=name, hash_id=hash_id(loaded.template, name), rng=random.Random(1), id_tags=("TAG",)
    )


def ocpp_keys(loaded: LoadedTemplate) -> dict[str, tuple[str | None, bool]]:
    """Value and readonly flag of the configuration keys of a template."""
    return {key.key: (key.value, key.readonly) for key in loaded.template.configuration.configuration_key}


def test_every_model_is_shipped() -> None:
    assert shipped_templates() == sorted(f"{name}.station-template.json" for name in FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_a_shipped_template_loads_without_a_word(name: str) -> None:
    assert load(name).problems == []


@pytest.mark.parametrize("name", FACTS)
def test_identity_and_electrical_data(name: str) -> None:
    loaded = load(name)
    station = first_station(loaded)
    template, facts = loaded.template, FACTS[name]
    generator = template.automatic_transaction_generator
    assert generator is not None
    assert (
        Facts(
            station.station_id,
            template.charge_point_vendor,
            template.charge_point_model,
            station.number_of_connectors,
            station.current_out_type,
            station.maximum_power,
            station.voltage_out,
            station.number_of_phases,
            round(station.maximum_amperage),
            generator.enable,
        )
        == facts
    )
    # Every connector that a central system sees has a meter with an energy register.
    assert sorted(station.connectors) == list(range(facts.connectors + 1))
    for number, connector in station.connectors.items():
        measurands = {entry.measurand for entry in connector.meter_values}
        assert ("Energy.Active.Import.Register" in measurands) == (number > 0)


@pytest.mark.parametrize(
    ("name", "index", "expected"),
    [
        (
            "schneider",
            1,
            "0058d8b50e422cce5bbd0c0a4ad13d5d657e8a88670dcf04c1b2b563fea3db5b96a3686278b374ed050e21baef89060e",
        ),
        (
            "schneider",
            2,
            "331d024fea36e3e2483a0e5dc9376234241c8c099ad201a441437b23622c308555183f37cbc84a1818c1c45aaae50896",
        ),
        ("keba", 1, "459b3d893c783f082823c3812e0910e3aecc3dcf08ab2ed36ab587c456fddb4023866795a85c627b4e3c50364ad7df46"),
        (
            "siemens",
            1,
            "256627d21bf834004d09a1c7b438a328ba667a2742882df6c2ae20764c8208237e1f0e5b0cf44f46fc836bb9046932f6",
        ),
    ],
)
def test_hash_ids_are_those_of_existing_fleets(name: str, index: int, expected: str) -> None:
    template = load(name).template
    assert hash_id(template, station_id(template, index, {})) == expected


@pytest.mark.parametrize(("name", "twin"), [("abb", "abb-atg"), ("virtual-simple", "virtual-simple-atg")])
def test_a_model_with_generator_is_the_same_station(name: str, twin: str) -> None:
    assert first_station(load(name)).hash_id == first_station(load(twin)).hash_id


@pytest.mark.parametrize("name", FACTS)
def test_feature_profiles(name: str) -> None:
    expected: dict[str, Any] = {"siemens": ("Core,LocalAuthListManagement", True), "chargex": None}
    assert ocpp_keys(load(name)).get("SupportedFeatureProfiles") == expected.get(name, (FIVE_PROFILES, True))


@pytest.mark.parametrize(
    ("name", "key", "unit", "prefix"),
    [
        ("keba", "MaxAvailableCurrent", "mA", None),
        ("evlink", "maxintensitysocket", "A", "EV.2S7P04"),
        ("schneider", "maxintensitysocket", "A", "EV.2S22P44"),
        ("schneider-imredd", "maxintensitysocket", "A", "EV.2S22P04"),
    ],
)
def test_vendor_keys_and_serial_numbers(name: str, key: str, unit: str, prefix: str | None) -> None:
    loaded = load(name)
    template = loaded.template
    assert (template.amperage_limitation_ocpp_key, template.amperage_limitation_unit) == (key, unit)
    serial_number = first_station(loaded).charge_box_serial_number
    if prefix is None:
        assert serial_number is None
        assert not template.supervision_url_ocpp_configuration
    else:
        assert serial_number is not None
        assert serial_number.startswith(prefix)
        assert len(serial_number) == 25
        assert template.supervision_url_ocpp_configuration
        assert template.supervision_url_ocpp_key == "ocppcentraladdress"


def test_chargex_does_not_know_every_command() -> None:
    template = load("chargex").template
    known = ("Reset", "ClearCache", "UnlockConnector", "GetConfiguration", "ChangeConfiguration")
    for action in (*known, "RemoteStartTransaction", "RemoteStopTransaction"):
        assert template.commands_support.allows_incoming(action), action
    unknown = ("ChangeAvailability", "SetChargingProfile", "ClearChargingProfile", "GetDiagnostics", "TriggerMessage")
    for action in unknown:
        assert not template.commands_support.allows_incoming(action), action
    assert template.begin_end_meter_values
    assert template.out_of_order_end_meter_values


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("siemens", ["Unavailable", None]),
        ("virtual-simple", ["Available", "Preparing", "Faulted"]),
        ("virtual-simple-atg", ["Available", "Preparing", "Faulted"]),
        (
            "virtual",
            [
                "Available",
                "Preparing",
                "SuspendedEVSE",
                "SuspendedEV",
                "Finishing",
                "Reserved",
                "Charging",
                "Unavailable",
                "Faulted",
            ],
        ),
    ],
)
def test_boot_statuses(name: str, statuses: list[str | None]) -> None:
    connectors = load(name).template.connectors
    assert [connectors[number].boot_status for number in range(1, len(statuses) + 1)] == statuses


def test_the_tag_list_has_different_tags_that_ocpp_allows() -> None:
    tags, problems = load_tags(FOLDER / "authorization-tags.json")
    assert problems == []
    # idTags compare case-insensitively (OCPP 1.6 §7.28).
    assert len({tag.upper() for tag in tags}) == len(tags) == 20


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_configuration_loads_without_a_word(path: Path) -> None:
    config = load_config(path, environ={})
    plan = plan_fleet(config, environ={})
    assert config.problems == []
    assert plan.problems == []
    assert all(entry.id_tags for entry in plan.entries)
    assert {entry.supervision_urls for entry in plan.entries} == {("ws://localhost:8010",)}


@pytest.mark.parametrize(
    ("example", "fleet"),
    [
        ("config-five-models", {"siemens": 1, "keba": 2, "abb": 2, "evlink": 4, "schneider": 1}),
        ("config-load", {"virtual-simple-atg": 200}),
    ],
)
def test_the_fleets_of_the_examples(example: str, fleet: dict[str, int]) -> None:
    config = load_config(FOLDER / "examples" / f"{example}.json", environ={})
    stations = plan_fleet(config, environ={}).stations
    assert Counter(station.loaded_template.name for station in stations) == fleet
    assert len({station.hash_id for station in stations}) == len(stations)
