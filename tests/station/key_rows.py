"""The keys of station templates and what each of them shows: one row per key of the documented tables.

A row's ``shows`` takes a template and returns something that a central system or ``simulator check`` sees of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from tests.station import charging_sights as charging
from tests.station import key_sights as see
from tests.station.key_world import ABSENT, Document, merged, ocpp_keys, template_of

Shows = Callable[[Document], Awaitable[Any]]

#: In a table whose default is "none", an empty text or an empty list.
NONE = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One key. ``at_default`` and ``at_off`` are what ``shows`` must return without the key and with ``off``.

    ``given`` is merged into the template both times; in a section of entries it is the entry.
    """

    section: str
    key: str
    default: Any
    off: Any
    shows: Shows
    at_default: Any
    at_off: Any
    given: Mapping[str, Any] = {}
    base: Mapping[str, Any] = {}

    def template(self, value: object) -> Document:
        """The template with the key at ``value``."""
        member = {self.key: value}
        if self.section == "template":
            return template_of(self.base, self.given, member)
        place: Callable[[Any], Document] = _PLACES[self.section]
        return template_of(self.base, place(merged(self.given, member)))

    def __str__(self) -> str:
        return f"{self.section}.{self.key}"


_PLACES: Mapping[str, Callable[[Any], Document]] = {
    "generator": lambda content: {"AutomaticTransactionGenerator": content},
    "commandsSupport": lambda content: {"commandsSupport": content},
    "connector": lambda content: {"Connectors": {"1": content}},
    "meter value": lambda content: {"Connectors": {"1": {"MeterValues": [content]}}},
    "configuration key": lambda content: {"Configuration": {"configurationKey": [content]}},
}


def row(section: str) -> Callable[..., Row]:
    """A maker of the rows of one section: key, default, off, shows, at_default, at_off."""

    def make(
        key: str, default: Any, off: Any, shows: Shows, at_default: Any, at_off: Any, **more: Mapping[str, Any]
    ) -> Row:
        return Row(
            section=section,
            key=key,
            default=default,
            off=off,
            shows=shows,
            at_default=at_default,
            at_off=at_off,
            **more,
        )

    return make


_two: Document = {"Connectors": {"0": {}, "1": {}, "2": {}}}
_four = {
    "Connectors": {
        "1": {"bootStatus": "Available"},
        "2": {"bootStatus": "Preparing"},
        "3": {"bootStatus": "SuspendedEV"},
        "4": {"bootStatus": "Finishing"},
    }
}
_endless = {"MeterValues": [{"measurand": "Power.Active.Import", "value": "999999", "fluctuationPercent": 0}]}
_samples_power = ocpp_keys(
    MeterValuesSampledData="Power.Active.Import", MeterValueSampleInterval="60", CurrentLimit="16"
)
#: A meter that shows the most that the connector can deliver.
_greedy = {"Connectors": {"1": _endless}, **_samples_power}
_samples_voltage = ocpp_keys(MeterValuesSampledData="Voltage", MeterValueSampleInterval="60")
_quiet = ocpp_keys(MeterValueSampleInterval="0")
_limited = {"amperageLimitationOcppKey": "MaxCurrent"}
_generating = {"AutomaticTransactionGenerator": {"enable": True}}
_begin_end = {"beginEndMeterValues": True, **_quiet}

_t = row("template")
TEMPLATE_ROWS = [
    _t("supervisionUrls", NONE, "ws://other.test/x", see.dialled, ["central.test"], ["other.test"]),
    _t("supervisionUser", NONE, "me", see.authorization, None, "me:secret", given={"supervisionPassword": "secret"}),
    _t("supervisionPassword", NONE, "secret", see.authorization, None, "me:secret", given={"supervisionUser": "me"}),
    _t("supervisionUrlOcppConfiguration", False, True, see.moved, ["central.test"] * 2, ["central.test", "moved.test"]),
    _t(
        "supervisionUrlOcppKey",
        "ConnectionUrl",
        "MyUrl",
        see.names_of_url_keys,
        ["ConnectionUrl"],
        ["MyUrl"],
        given={"supervisionUrlOcppConfiguration": True},
    ),
    _t("ocppVersion", "1.6", "2.0.1", see.errors, [], ['ocppVersion: expected "1.6", got "2.0.1"']),
    _t("ocppProtocol", "json", "soap", see.errors, [], ['ocppProtocol: expected "json", got "soap"']),
    _t(
        "ocppStrictCompliance",
        False,
        True,
        charging.last_two,
        ["StopTransaction", "MeterValues"],
        ["MeterValues", "StopTransaction"],
        given={**_begin_end, "outOfOrderEndMeterValues": True},
    ),
    _t("ocppPersistentConfiguration", True, False, see.keeps_a_changed_key, True, False),
    _t(
        "stationInfoPersistentConfiguration",
        True,
        False,
        see.keeps_its_serial_number,
        True,
        False,
        given={"chargePointSerialNumberPrefix": "CP"},
    ),
    _t("wsOptions", NONE, {"headers": {"X-Tenant": "blue"}}, see.header("x-tenant"), None, "blue"),
    _t("authorizationFile", NONE, "tags.json", charging.first_tag, "00000000", "TAG-1", given=_generating),
    _t("baseName", NONE, "OTHER", see.station_name, ["baseName: is missing"], "OTHER-00001"),
    _t("nameSuffix", NONE, "-B", see.station_name, "CS-00001", "CS-00001-B"),
    _t("fixedName", False, True, see.station_name, "CS-00001", "CS"),
    _t("chargePointModel", NONE, "Two", see.booted("chargePointModel"), ["chargePointModel: is missing"], "Two"),
    _t("chargePointVendor", NONE, "You", see.booted("chargePointVendor"), ["chargePointVendor: is missing"], "You"),
    _t("chargePointSerialNumberPrefix", NONE, "CP", see.serial("chargePointSerialNumber"), None, ("CP", 25)),
    _t("chargeBoxSerialNumberPrefix", NONE, "CB", see.serial("chargeBoxSerialNumber"), None, ("CB", 25)),
    _t("firmwareVersion", NONE, "1.2", see.booted("firmwareVersion"), None, "1.2"),
    _t("power", NONE, 6900, see.value_of("MaxCurrent"), "32", "10", given=_limited),
    _t(
        "powerSharedByConnectors",
        False,
        True,
        charging.power_sample,
        "11040",
        "22080",
        given=merged(_greedy, {"Connectors": {"2": {}}}),
    ),
    _t("powerUnit", "W", "kW", see.value_of("MaxCurrent"), "10", "10000", given={**_limited, "power": 6900}),
    _t("currentOutType", "AC", "DC", see.value_of("MaxCurrent"), "32", "55", given=_limited),
    _t("voltageOut", {"AC": 230, "DC": 400}, 115, see.amperages, ("32", "55"), ("64", "192"), given=_limited),
    _t(
        "numberOfPhases",
        {"AC": 3, "DC": 0},
        1,
        see.rotations,
        ("1.RST", "1.NotApplicable"),
        ("1.NotApplicable", "1.NotApplicable"),
    ),
    _t("numberOfConnectors", NONE, 1, see.reported_connectors, [0, 1, 2], [0, 1], given=_two),
    _t("useConnectorId0", True, False, see.reported_connectors, [0, 1], [1]),
    _t("randomConnectors", False, True, see.boots_as_defined, True, False, given=_four),
    _t("resetTime", 60, 5, see.time_away, 60, 5),
    _t("autoRegister", False, True, see.reports_though_rejected, False, True),
    _t("autoReconnectMaxRetries", -1, 2, see.attempts_within(600, most=5), 5, 2),
    _t("reconnectExponentialDelay", False, True, see.attempts_within(0.95, most=2), 0, 2),
    _t("registrationMaxRetries", -1, 2, see.boots_within(95), 10, 3),
    _t("amperageLimitationOcppKey", NONE, "CurrentLimit", charging.power_sample, "22080", "11040", given=_greedy),
    _t("amperageLimitationUnit", "A", "dA", see.value_of("MaxCurrent"), "32", "320", given=_limited),
    _t("enableStatistics", True, False, see.keeps_statistics, True, False),
    _t("mustAuthorizeAtRemoteStart", True, False, charging.authorizes_remote_start, True, False),
    _t("payloadSchemaValidation", True, False, see.answer_to_a_strange_member, "FormationViolation", None),
    _t(
        "beginEndMeterValues",
        False,
        True,
        charging.contexts,
        [],
        ["Transaction.Begin", "Transaction.End"],
        given=_quiet,
    ),
    _t(
        "outOfOrderEndMeterValues",
        False,
        True,
        charging.last_two,
        ["MeterValues", "StopTransaction"],
        ["StopTransaction", "MeterValues"],
        given=_begin_end,
    ),
    _t("meteringPerTransaction", True, False, charging.second_starts_at_zero, True, False),
    _t("transactionDataMeterValues", False, True, charging.sends_transaction_data, False, True),
    _t("mainVoltageMeterValues", True, False, charging.has_phase(None), True, False, given=_samples_voltage),
    _t(
        "phaseLineToLineVoltageMeterValues",
        True,
        False,
        charging.has_phase("L1-L2"),
        True,
        False,
        given=_samples_voltage,
    ),
    _t("customValueLimitationMeterValues", True, False, charging.power_sample, "22080", "999999", given=_greedy),
    _t(
        "commandsSupport",
        NONE,
        {"incomingCommands": {"Reset": True}},
        see.answer_to("GetConfiguration"),
        None,
        "NotSupported",
    ),
    _t(
        "Configuration",
        NONE,
        {"configurationKey": [{"key": "VendorKey", "value": "7"}]},
        see.value_of("VendorKey"),
        None,
        "7",
    ),
    _t("AutomaticTransactionGenerator", NONE, {"enable": True}, charging.starts_by_itself, False, True),
    _t(
        "Connectors",
        NONE,
        {"0": {}, "1": {}, "2": {}},
        see.reported_connectors,
        ["Connectors: no connector is defined"],
        [0, 1, 2],
    ),
]

TEMPLATE_ROWS += [
    _t("meterSerialNumberPrefix", NONE, "MT", see.serial("meterSerialNumber"), None, ("MT", 25)),
    _t("meterType", NONE, "DIN", see.booted("meterType"), None, "DIN"),
    _t("iccid", NONE, "8949", see.booted("iccid"), None, "8949"),
    _t("imsi", NONE, "2620", see.booted("imsi"), None, "2620"),
    _t("postTransactionDelay", 0, 30, charging.status_after_transaction, "Available", "Finishing"),
    _t("messageTriggerSupport", NONE, {"Heartbeat": False}, see.trigger_of_heartbeat, "Accepted", "NotImplemented"),
]

_refused = ocpp_keys(StopTransactionOnInvalidId="true", MaxEnergyOnInvalidId="0")
_direct = {**_samples_power, "currentOutType": "DC", "coherentMeterValues": False, "Connectors": {"1": _endless}}
_fetch = {"location": "http://127.0.0.1:1/firmware.bin", "retrieveDate": "2030-01-01T00:00:00Z"}
TEMPLATE_ROWS += [
    _t(
        "automaticTransactionGeneratorPersistentConfiguration",
        True,
        False,
        see.keeps_what_the_generator_counts,
        True,
        False,
        given=_generating,
    ),
    _t("signedFirmwareOnly", False, True, see.answer_to("UpdateFirmware", **_fetch), None, "NotSupported"),
    _t("conversionEfficiency", 1, 0.5, charging.power_sample, "22080", "11040", given=_direct),
    _t(
        "forceTransactionOnInvalidIdToken",
        False,
        True,
        charging.goes_on_though_refused,
        False,
        True,
        given=_refused,
    ),
    _t("txProfileFallBack", True, False, charging.limits_after_a_tx_profile, [6, 10], [6, 32]),
    _t("automaticVehicle", True, False, charging.starts_without_a_vehicle_of_ours, True, False),
    _t("evProfilesFile", NONE, "vehicles.json", charging.powers_stay_below(2000), False, True, given=_samples_power),
    _t("fixedCable", False, True, see.status_of("UnlockConnector", connectorId=1), "Unlocked", "NotSupported"),
]

_c = row("commandsSupport")
COMMANDS_ROWS = [
    _c("incomingCommands", NONE, {"Reset": True}, see.answer_to("GetConfiguration"), None, "NotSupported"),
    _c(
        "outgoingCommands",
        NONE,
        {"BootNotification": True},
        see.actions,
        ["BootNotification", "StatusNotification"],
        ["BootNotification"],
    ),
]

_k = row("configuration key")
_vendor_key = {"key": "VendorKey", "value": "1"}
_change = see.change_of("VendorKey")
CONFIGURATION_ROWS = [
    _k(
        "key",
        NONE,
        "Other",
        see.value_of("Other"),
        ["Configuration.configurationKey[0].key: is missing"],
        "1",
        given=_vendor_key,
    ),
    _k("value", NONE, "7", see.value_of("VendorKey"), None, "7", given=_vendor_key),
    _k("readonly", False, True, _change, "Accepted", "Rejected", given=_vendor_key),
    _k("visible", True, False, see.value_of("VendorKey"), "1", None, given=_vendor_key),
    _k("reboot", False, True, _change, "Accepted", "RebootRequired", given=_vendor_key),
]

_g = row("generator")
_on = {"enable": True}
_tags = {"authorizationFile": "tags.json"}
GENERATOR_ROWS = [
    _g("enable", False, True, charging.starts_by_itself, False, True),
    _g("minDuration", 60, 119, charging.shortest(charging.durations, below=100), True, False, given=_on),
    _g("maxDuration", 120, 61, charging.longest(charging.durations, above=80), True, False, given=_on),
    _g("minDelayBetweenTwoTransactions", 15, 29, charging.shortest(charging.pauses, below=25), True, False, given=_on),
    _g("maxDelayBetweenTwoTransactions", 30, 16, charging.longest(charging.pauses, above=20), True, False, given=_on),
    _g("probabilityOfStart", 1, 0, charging.starts_by_itself, True, False, given=_on),
    _g("stopAfterHours", 0.25, 0.05, charging.starts_between(300, 2000), True, False, given=_on),
    _g(
        "stopOnConnectionFailure",
        False,
        True,
        charging.starts_offline,
        True,
        False,
        given={**_on, "requireAuthorize": False},
    ),
    _g("requireAuthorize", True, False, charging.authorizes, True, False, given=_on, base=_tags),
    _g(
        "idTagDistribution",
        "round-robin",
        "connector-affinity",
        charging.tags,
        ["TAG-1", "TAG-2", "TAG-3"],
        ["TAG-1"] * 3,
        given=_on,
        base=_tags,
    ),
]

_by_vehicle = {**_on, "arrival": {"meanSeconds": 3600}, "stopAfterHours": 96}
GENERATOR_ROWS += [
    _g("weekendRates", NONE, [0.0001] * 24, charging.charges_on_a_weekend, True, False, given=_by_vehicle),
]

_n = row("connector")
_energy_only = ocpp_keys(MeterValueSampleInterval="60")
CONNECTOR_ROWS = [
    _n("bootStatus", NONE, "Preparing", see.first_status, "Available", "Preparing"),
    _n("maximumPower", NONE, 6999, charging.power_sample, "22080", "6999", given=_endless, base=_samples_power),
    _n("MeterValues", NONE, [{"unit": "kWh"}], charging.sampled("unit"), ["Wh"], ["kWh"], base=_energy_only),
]

_m = row("meter value")
_both = ocpp_keys(
    MeterValuesSampledData="Power.Active.Import,Energy.Active.Import.Register", MeterValueSampleInterval="60"
)
_power_entry = {"measurand": "Power.Active.Import", "value": 9000}
METER_VALUE_ROWS = [
    _m(
        "measurand",
        "Energy.Active.Import.Register",
        "Power.Active.Import",
        charging.located("Cable"),
        ["Energy.Active.Import.Register"],
        ["Power.Active.Import"],
        given={"location": "Cable"},
        base=_both,
    ),
    _m("unit", NONE, "kWh", charging.sampled("unit"), ["Wh"], ["kWh"], base=_energy_only),
    _m(
        "phase",
        NONE,
        "L1-N",
        charging.phases_at("400"),
        [None, "L1-N", "L2-N", "L3-N"],
        ["L1-N"],
        given={"measurand": "Voltage", "value": 400, "fluctuationPercent": 0},
        base=_samples_voltage,
    ),
    _m("context", NONE, "Sample.Clock", charging.sampled("context"), [None], ["Sample.Clock"], base=_energy_only),
    _m("location", NONE, "Cable", charging.sampled("location"), [None], ["Cable"], base=_energy_only),
    _m(
        "value",
        NONE,
        "6000",
        charging.powers_are("6000"),
        False,
        True,
        given={"measurand": "Power.Active.Import", "fluctuationPercent": 0},
        base=_samples_power,
    ),
    _m("fluctuationPercent", 5, 0, charging.powers_are("9000"), False, True, given=_power_entry, base=_samples_power),
    _m(
        "minimumValue",
        NONE,
        20000,
        charging.powers_reach("20000"),
        False,
        True,
        given={"measurand": "Power.Active.Import"},
        base=_samples_power,
    ),
]

STATION_ROWS: list[Row] = [
    *TEMPLATE_ROWS,
    *COMMANDS_ROWS,
    *CONFIGURATION_ROWS,
    *GENERATOR_ROWS,
    *CONNECTOR_ROWS,
    *METER_VALUE_ROWS,
]

__all__ = ["ABSENT", "NONE", "STATION_ROWS", "Row"]
