"""The table of keys: every key of the documented tables is there, has its default, and acts or is marked as not acting.

Keys of templates are shown to act in ``tests/station/test_keys_act.py``, keys of the configuration here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from simulator import app
from simulator.config.fields import Key, keys_of
from simulator.config.model import (
    PerformanceStorageConfig,
    SimulatorConfig,
    StationTemplateEntry,
    UiAuthentication,
    UiServerConfig,
    UiServerOptions,
    WorkerConfig,
)
from simulator.energy.meter_values import SampledValueTemplate
from simulator.outbox import Outbox
from simulator.templates.model import (
    CommandsSupport,
    ConfigurationKeyTemplate,
    ConnectorTemplate,
    GeneratorTemplate,
    StationTemplate,
)
from simulator.transport import hub
from simulator.transport.hub import AVAILABLE as HAS_EPOLL
from tests.station.key_rows import STATION_ROWS
from tests.station.key_world import ABSENT, merged, planned
from tests.unit import key_sights as see
from tests.unit import ui_sights as ui

TABLES: Mapping[str, str] = {
    "config": "supervisionUrls supervisionUrlDistribution logStatisticsInterval logConsole logFormat logRotate"
    " logMaxFiles logLevel logFile logErrorFile worker uiServer performanceStorage stationTemplateUrls",
    "worker": "processType startDelay elementStartDelay elementsPerWorker poolMinSize poolMaxSize poolStrategy",
    "uiServer": "enabled type options authentication",
    "uiServer.options": "host port",
    "uiServer.authentication": "enabled type username password",
    "performanceStorage": "enabled type uri",
    "stationTemplateUrls": "file numberOfStations",
    "template": "supervisionUrls supervisionUser supervisionPassword supervisionUrlOcppConfiguration"
    " supervisionUrlOcppKey ocppVersion ocppProtocol ocppStrictCompliance ocppPersistentConfiguration"
    " stationInfoPersistentConfiguration wsOptions authorizationFile baseName nameSuffix fixedName"
    " chargePointModel chargePointVendor chargePointSerialNumberPrefix chargeBoxSerialNumberPrefix"
    " firmwareVersion power powerSharedByConnectors powerUnit currentOutType voltageOut numberOfPhases"
    " numberOfConnectors useConnectorId0 randomConnectors resetTime autoRegister autoReconnectMaxRetries"
    " reconnectExponentialDelay registrationMaxRetries amperageLimitationOcppKey amperageLimitationUnit"
    " enableStatistics mustAuthorizeAtRemoteStart payloadSchemaValidation beginEndMeterValues"
    " outOfOrderEndMeterValues meteringPerTransaction transactionDataMeterValues mainVoltageMeterValues"
    " phaseLineToLineVoltageMeterValues customValueLimitationMeterValues commandsSupport Configuration"
    " AutomaticTransactionGenerator Connectors",
    "commandsSupport": "incomingCommands outgoingCommands",
    "configuration key": "key value readonly visible reboot",
    "generator": "enable minDuration maxDuration minDelayBetweenTwoTransactions maxDelayBetweenTwoTransactions"
    " probabilityOfStart stopAfterHours stopOnConnectionFailure requireAuthorize idTagDistribution",
    "connector": "bootStatus MeterValues",
    "meter value": "measurand unit phase context location value fluctuationPercent minimumValue",
}
"""The keys that users' files are known to have, by section."""

ALSO: Mapping[str, str] = {
    "config": "autoReconnectMaxRetries logEnabled",
    "template": "meterSerialNumberPrefix meterType iccid imsi postTransactionDelay messageTriggerSupport"
    " automaticTransactionGeneratorPersistentConfiguration signedFirmwareOnly conversionEfficiency"
    " forceTransactionOnInvalidIdToken txProfileFallBack automaticVehicle fixedCable evProfilesFile",
    "generator": "weekendRates",
    "worker": "startRate",
    "connector": "maximumPower",
    "performanceStorage": "interval",
}
"""Keys of newer files, and of this program alone, that act."""

SHOWN_BY: Mapping[str, str] = {
    "config.$schemaVersion": "tests/unit/test_config_load.py::test_a_mistake_is_one_line_with_its_place_and_the_mend",
    "config.logMaxSize": "tests/unit/test_telemetry_log.py::test_a_full_file_is_followed_by_another_of_the_day",
    "config.wireLog": "tests/process/test_wire_log.py::test_messages_are_in_files_in_memory_and_shown_while_they_come",
    "config.persistState": "tests/process/test_run_state.py::test_stop_simulator_counts_for_the_next_run",
    "stationTemplateUrls.provisionedNumberOfStations": "tests/ui/test_follow.py"
    "::test_stations_that_are_meant_to_be_added_are_shown",
    "config.stagger": "tests/unit/test_key_table.py::test_timing_of_the_fleet_reaches_its_clock_and_its_stations",
    "config.timerGrid": "tests/unit/test_key_table.py::test_timing_of_the_fleet_reaches_its_clock_and_its_stations",
    "config.transport": "tests/unit/test_key_table.py::test_the_transport_is_the_one_that_is_asked_for",
    "uiServer.tls": "tests/ui/test_tls.py::test_https_and_only_http_1_1",
    "uiServer.accessPolicy": "tests/ui/test_access.py"
    "::test_a_wide_server_answers_to_addresses_and_names_that_are_allowed",
    "uiServer.metrics": "tests/ui/test_app.py::test_metrics_can_be_switched_off",
    "uiServer.securityHeaders": "tests/ui/test_app.py::test_strict_transport_security_is_sent_only_over_tls",
    "uiServer.options.path": "tests/ui/test_server.py::test_a_unix_socket_serves_and_is_removed",
    "uiServer.options.backlog": "tests/ui/test_listeners.py::test_so_many_connections_may_wait",
    "uiServer.options.ipv6Only": "tests/ui/test_listeners.py"
    "::test_an_ipv6_address_takes_ipv4_connections_unless_told_otherwise",
    "uiServer.options.readableAll": "tests/ui/test_listeners.py::test_a_unix_socket_is_for_whom_the_options_say",
    "uiServer.options.writableAll": "tests/ui/test_listeners.py::test_a_unix_socket_is_for_whom_the_options_say",
    "template.$schemaVersion": "tests/unit/test_templates_load.py"
    "::test_a_mistake_is_one_line_with_its_place_and_the_mend",
    "template.resumeTransactions": "tests/station/test_restarts.py"
    "::test_a_transaction_that_the_process_died_in_goes_on_where_the_template_says_so",
    "template.firmwareVersionPattern": "tests/unit/test_firmware_version.py::test_the_next_version",
    "template.firmwareUpgrade": "tests/station/test_firmware.py::test_a_template_may_let_the_download_fail",
    "template.revokedFirmwareSigners": "tests/station/test_signed_firmware.py::test_a_revoked_signer_is_refused",
    "template.coherentMeterValues": "tests/station/test_vehicles.py"
    "::test_without_vehicles_every_value_is_drawn_by_itself",
    "template.randomSeed": "tests/station/test_vehicles.py"
    "::test_a_random_seed_repeats_vehicles_and_values_whatever_the_seed_of_the_run",
    "template.securityEvents": "tests/station/test_security_events.py::test_the_template_can_switch_them_off",
    "template.authorizationKeyAsText": "tests/station/test_security_keys.py"
    "::test_the_digits_themselves_can_be_the_password",
    "template.certificateKeyType": "tests/process/test_security.py"
    "::test_a_certificate_asked_for_under_profile_2_serves_profile_3_and_the_next_run",
    "template.Evses": "tests/unit/test_templates_load.py::test_connectors_of_evses_are_numbered_one_after_the_other",
    "template.autoStart": "tests/ui/test_flags.py::test_a_station_without_auto_start_waits_to_be_started",
    "template.stopTransactionsOnStopped": "tests/ui/test_flags.py"
    "::test_a_stop_ends_transactions_unless_the_template_says_no",
    "generator.stopAbsoluteDuration": "tests/station/test_generator.py"
    "::test_hours_that_count_pauses_and_hours_that_do_not",
    "generator.arrival": "tests/station/test_generator.py::test_vehicles_come_stay_and_take_what_their_drivers_want",
    "generator.stay": "tests/station/test_generator.py::test_vehicles_come_stay_and_take_what_their_drivers_want",
    "generator.energyWanted": "tests/station/test_generator.py"
    "::test_vehicles_come_stay_and_take_what_their_drivers_want",
    "generator.weekdayRates": "tests/station/test_generator.py::test_a_day_has_its_morning",
}
"""Keys that act and whose table is elsewhere: the test that shows it."""

TAKEN_AS_IT_IS = {"meter value.format", "uiServer.options.exclusive"}
"""Keys that say what is so anyway: samples are Raw, keys of OCPP have them signed; a port has one owner."""

MODELS: Mapping[str, type[msgspec.Struct]] = {
    "config": SimulatorConfig,
    "worker": WorkerConfig,
    "uiServer": UiServerConfig,
    "uiServer.options": UiServerOptions,
    "uiServer.authentication": UiAuthentication,
    "performanceStorage": PerformanceStorageConfig,
    "stationTemplateUrls": StationTemplateEntry,
    "template": StationTemplate,
    "commandsSupport": CommandsSupport,
    "configuration key": ConfigurationKeyTemplate,
    "generator": GeneratorTemplate,
    "connector": ConnectorTemplate,
    "meter value": SampledValueTemplate,
}

SETTLED_LATER = {
    "template.autoReconnectMaxRetries": "absent means the configuration's value, and -1 where that is absent too",
    "template.voltageOut": "absent means the value of the kind of current",
    "template.numberOfPhases": "absent means the value of the kind of current",
}
"""Keys whose documented default is not that of the model; their rows show that it holds."""


class ConfigRow(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the configuration, as :class:`tests.station.key_rows.Row`; ``later``: the work that it belongs to."""

    section: str
    key: str
    default: Any
    off: Any = None
    shows: see.Sight | None = None
    at_default: Any = None
    at_off: Any = None
    given: Mapping[str, Any] = {}
    later: str = ""

    def config(self, *value: object) -> dict[str, Any]:
        """The configuration without the key, or with it at ``value``."""
        member = {self.key: value[0]} if value else {}
        if self.section == "stationTemplateUrls":
            base = {"file": "one", "numberOfStations": 1}
            return {"stationTemplateUrls": [merged(base, member) if value else _without(base, self.key)]}
        for section in reversed(self.section.split(".") if self.section != "config" else []):
            member = {section: member}
        return merged(self.given, member)

    def __str__(self) -> str:
        return f"{self.section}.{self.key}"


def _without(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def acts(
    section: str, key: str, default: Any, off: Any, shows: see.Sight, at_default: Any, at_off: Any, **given: Any
) -> ConfigRow:
    """A row of a key that acts."""
    return ConfigRow(
        section=section,
        key=key,
        default=default,
        off=off,
        shows=shows,
        at_default=at_default,
        at_off=at_off,
        given=given,
    )


def later(what: str, section: str, **defaults: Any) -> Iterator[ConfigRow]:
    """Rows of keys that belong to later work."""
    return (ConfigRow(section=section, key=key, default=default, later=what) for key, default in defaults.items())


POOLS = "worker processes"
_records = "performanceRecords.json"
_stores: dict[str, Any] = {"performanceStorage": {"enabled": True}}
_account = {"username": "admin", "password": "secret"}
_admin = {"enabled": True, **_account}


def _ui(authentication: Mapping[str, Any]) -> dict[str, Any]:
    return {"uiServer": {"authentication": dict(authentication)}}


_paced = {"startDelay": 1000}
_two_urls = ["ws://a/", "ws://b/"]
_two_entries = [{"file": "one", "numberOfStations": 1}, {"file": "two", "numberOfStations": 2}]

CONFIG_ROWS = [
    acts("config", "supervisionUrls", None, "ws://other.test/", see.hosts, ["central.test"], ["other.test"]),
    acts(
        "config",
        "supervisionUrlDistribution",
        "charging-station-affinity",
        "round-robin",
        see.urls,
        ["ws://a/", "ws://a/", "ws://b/"],
        ["ws://a/", "ws://b/", "ws://a/"],
        supervisionUrls=_two_urls,
        stationTemplateUrls=_two_entries,
    ),
    acts("config", "logStatisticsInterval", 60, 20, see.statistics_lines, 2, 6),
    acts("config", "logConsole", False, True, see.on_screen, False, True),
    acts("config", "logFormat", "simple", "json", see.is_json, False, True),
    acts("config", "logRotate", True, False, see.dated, True, False),
    acts("config", "logMaxFiles", 7, 3, see.old_files, 7, 3),
    acts("config", "logLevel", "info", "error", see.messages, ["a fact", "a fault"], ["a fault"]),
    acts("config", "logFile", "combined.log", "all.log", see.log_name, "combined", "all"),
    acts("config", "logEnabled", True, False, see.anything, True, False),
    acts("config", "autoReconnectMaxRetries", None, 2, see.attempts, 5, 2),
    acts("config", "logErrorFile", "error.log", "faults.log", see.error_log_name, "error", "faults"),
    acts("config", "worker", WorkerConfig(), {"elementStartDelay": 1000}, see.starts, [0, 0, 0, 0], [0, 1, 2, 3]),
    acts(
        "config",
        "stationTemplateUrls",
        None,
        [{"file": "one", "numberOfStations": 2}],
        see.stations,
        ["stationTemplateUrls: is missing"],
        ["CS-00001", "CS-00002"],
        stationTemplateUrls=ABSENT,
    ),
    acts("config", "uiServer", UiServerConfig(), {"enabled": False}, ui.there_is_one, True, False),
    acts("config", "performanceStorage", PerformanceStorageConfig(), {"enabled": True}, see.stored, [], [_records]),
    acts(
        "worker",
        "processType",
        "workerSet",
        "staticPool",
        see.starts,
        [0, 1, 2, 3],
        [0, 0, 1, 1],
        worker={**_paced, "poolMaxSize": 2},
    ),
    acts("worker", "startDelay", 500, 2000, see.starts, [0, 0, 0, 0], [0, 2, 4, 6]),
    acts("worker", "elementStartDelay", 0, 1000, see.starts, [0, 0, 0, 0], [0, 1, 2, 3]),
    acts("worker", "startRate", None, 0.5, see.starts, [0, 0, 0, 0], [0, 2, 4, 6]),
    acts("worker", "elementsPerWorker", 1, 2, see.starts, [0, 1, 2, 3], [0, 0, 1, 1], worker=_paced),
    acts(
        "worker",
        "poolMaxSize",
        16,
        2,
        see.starts,
        [0, 1, 2, 3],
        [0, 0, 1, 1],
        worker={**_paced, "processType": "staticPool"},
    ),
    *later(POOLS, "worker", poolMinSize=4, poolStrategy="FAIR_SHARE"),
    acts("uiServer", "enabled", True, False, ui.there_is_one, True, False),
    acts("uiServer", "type", "ws", "http", ui.shown_type, "ws", "http"),
    acts("uiServer", "options", UiServerOptions(), {"port": 81}, ui.address, ("localhost", 8080), ("localhost", 81)),
    acts("uiServer", "authentication", UiAuthentication(), _admin, ui.answers, [200] * 4, [401, 200, 401, 401]),
    acts("uiServer.options", "host", "localhost", "::1", ui.address, ("localhost", 8080), ("::1", 8080)),
    acts("uiServer.options", "port", 8080, 81, ui.address, ("localhost", 8080), ("localhost", 81)),
    acts(
        "uiServer.authentication", "enabled", False, True, ui.answers, [200] * 4, [401, 200, 401, 401], **_ui(_account)
    ),
    acts(
        "uiServer.authentication",
        "type",
        "basic-auth",
        "protocol-basic-auth",
        ui.shown_authentication,
        "basic-auth",
        "protocol-basic-auth",
        **_ui(_admin),
    ),
    acts(
        "uiServer.authentication",
        "username",
        None,
        "root",
        ui.answers,
        [401, 401, 401, 401],
        [401, 401, 200, 401],
        **_ui({**_admin, "username": "nobody"}),
    ),
    acts(
        "uiServer.authentication",
        "password",
        None,
        "other",
        ui.answers,
        [401] * 4,
        [401, 401, 401, 200],
        **_ui({**_admin, "password": "x"}),
    ),
    acts("performanceStorage", "enabled", False, True, see.stored, [], [_records]),
    acts(
        "performanceStorage",
        "type",
        "jsonfile",
        "sqlite",
        see.stored,
        [_records],
        ["performanceRecords.sqlite"],
        **_stores,
    ),
    acts(
        "performanceStorage",
        "uri",
        f"file:///{_records}",
        "file:///performance.json",
        see.stored,
        [_records],
        ["performance.json"],
        **_stores,
    ),
    acts("performanceStorage", "interval", 60, 20, see.storings, 2, 6, **_stores),
    acts(
        "stationTemplateUrls",
        "file",
        None,
        "two",
        see.stations,
        ["stationTemplateUrls[0].file: is missing"],
        ["CS-00001-2"],
    ),
    acts(
        "stationTemplateUrls",
        "numberOfStations",
        0,
        2,
        see.stations,
        ["stationTemplateUrls: comes to no station"],
        ["CS-00001", "CS-00002"],
    ),
]

ROWS = [*CONFIG_ROWS, *STATION_ROWS]


def test_every_key_that_acts_is_shown() -> None:
    """A key of a model has a row, or a test of its own that is named here, or says that it does nothing yet."""
    acting = {f"{section}.{key.name}" for section, model in MODELS.items() for key in keys_of(model) if key.acts}
    rows = {str(row) for row in ROWS}
    assert acting - rows - TAKEN_AS_IT_IS == SHOWN_BY.keys()
    for place in SHOWN_BY.values():
        file, _, test = place.partition("::")
        text = (Path(__file__).parents[2] / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {re.escape(test)}\(", text, re.MULTILINE), place


def model_key(section: str, name: str) -> Key:
    return next(key for key in keys_of(MODELS[section]) if key.name == name)


def test_there_is_one_row_for_each_key() -> None:
    tables = (*TABLES.items(), *ALSO.items())
    documented = [f"{section}.{key}" for section, keys in tables for key in keys.split()]
    assert sorted(map(str, ROWS)) == sorted(documented)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_default_is_the_documented_one(row: Any) -> None:
    if str(row) in SETTLED_LATER:
        assert model_key(row.section, row.key).default is None
        return
    default = model_key(row.section, row.key).default
    if row.default is None:  # "none" in a table: nothing, an empty text, an empty list, an empty section
        empty = default if isinstance(default, msgspec.Struct) else None
        assert default in (None, "", (), {}, empty and type(empty)())
    else:
        assert default == row.default


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_key_is_marked_as_not_acting_only_if_it_belongs_to_later_work(row: Any) -> None:
    is_later = bool(getattr(row, "later", ""))
    assert model_key(row.section, row.key).acts is not is_later


@pytest.mark.parametrize("row", [row for row in CONFIG_ROWS if not row.later], ids=str)
async def test_the_key_of_the_configuration_acts(row: ConfigRow, autojump_clock: MockClock) -> None:
    assert row.shows is not None
    assert row.at_default != row.at_off
    assert await row.shows(row.config()) == row.at_default
    assert await row.shows(row.config(row.off)) == row.at_off


@pytest.mark.parametrize(("transport", "hubs"), [(None, HAS_EPOLL), ("hub", HAS_EPOLL), ("websocket", False)])
async def test_the_transport_is_the_one_that_is_asked_for(
    transport: str | None, hubs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    @asynccontextmanager
    async def open_hub(outbox: Outbox) -> AsyncIterator[Any]:
        opened.append(True)
        async with hub.open_hub(outbox) as made:
            yield made

    monkeypatch.setattr(app, "open_hub", open_hub)
    with planned(config={"transport": transport} if transport else {}) as (loaded, plan):
        await app.Simulator(loaded, plan, app.RunOptions(duration=0)).run()
    assert bool(opened) is hubs


@pytest.mark.parametrize(("grid", "staggered"), [(0, False), (200, True)])
async def test_timing_of_the_fleet_reaches_its_clock_and_its_stations(grid: int, staggered: bool) -> None:
    with planned(config={"timerGrid": grid, "stagger": staggered}) as (loaded, plan):
        simulator = app.Simulator(loaded, plan, app.RunOptions(duration=0))
        await simulator.run()
    assert simulator.clock._step == grid / 1000
    assert {station.services.stagger for station in simulator.fleet} == {staggered}
