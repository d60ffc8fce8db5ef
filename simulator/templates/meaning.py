"""What makes a template wrong although each of its values is right by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from simulator.config.load import report_urls
from simulator.config.model import SCHEMA_VERSION
from simulator.config.problems import Place, Report, did_you_mean, show_value
from simulator.energy.meter_values import entry_problems, parse_measurands
from simulator.ocpp.v16.messages import CENTRAL_SYSTEM_ACTIONS, CHARGE_POINT_ACTIONS
from simulator.templates.identity import MAX_PREFIX
from simulator.templates.model import SecondsTemplate, StationTemplate

# OCPP 1.6 §6.3 (BootNotification.req) and §7.24 (KeyValue): what has more characters cannot be sent.
_LONGEST = {
    "chargePointModel": 20,
    "chargePointVendor": 20,
    "firmwareVersion": 50,
    "iccid": 20,
    "imsi": 20,
    "meterType": 25,
    "amperageLimitationOcppKey": 50,
    "supervisionUrlOcppKey": 50,
}
_PREFIXES = ("chargePointSerialNumberPrefix", "chargeBoxSerialNumberPrefix", "meterSerialNumberPrefix")
_STATION_STATUSES = ("Available", "Unavailable", "Faulted")
_MEASURAND_KEYS = (
    "MeterValuesSampledData",
    "MeterValuesAlignedData",
    "StartTxnSampledData",
    "StopTxnSampledData",
    "StopTxnAlignedData",
)


def check_meaning(template: StationTemplate, document: dict[str, Any], report: Report) -> None:
    """Report what no schema says. ``document``: what ``template`` was made from."""
    if template.schema_version > SCHEMA_VERSION:
        report.error(
            ("$schemaVersion",), f"newer than the version known here, {SCHEMA_VERSION}", "use a newer simulator"
        )
    _check_texts(document, report)
    report_urls(template.supervision_urls, ("supervisionUrls",), report)
    _check_credentials(template, report)
    _check_electrics(template, document, report)
    _check_connectors(template, report)
    _check_meter_values(template, report)
    _check_keys(template, report)
    _check_generator(template, report)
    _check_commands(template, report)
    _check_firmware(template, report)
    if template.out_of_order_end_meter_values and template.ocpp_strict_compliance:
        report.warning(
            ("outOfOrderEndMeterValues",), "has no effect under ocppStrictCompliance", "set one of them to false"
        )


def _check_texts(document: dict[str, Any], report: Report) -> None:
    for name in ("baseName", "chargePointModel", "chargePointVendor"):
        if isinstance(value := document.get(name), str) and not value.strip():
            report.error((name,), "is empty", "every station needs it")
    for name, longest in _LONGEST.items():
        if len(value := document.get(name, "")) > longest:
            report.error(
                (name,), f"{len(value)} characters, and OCPP allows {longest}", f'for example "{value[:longest]}"'
            )
    for name in _PREFIXES:
        if len(value := document.get(name, "")) > MAX_PREFIX:
            report.warning(
                (name,),
                f"{len(value)} characters, and {MAX_PREFIX} leave room for a serial number: the rest is cut",
                f'for example "{value[:MAX_PREFIX]}"',
            )
    for name in ("baseName", "nameSuffix"):
        value = document.get(name, "")
        if value.strip() and (value != value.strip() or not value.isprintable()):
            report.error(
                (name,), f"{show_value(value)} begins or ends with white space or is not printable", "take it out"
            )


def _check_credentials(template: StationTemplate, report: Report) -> None:
    user, password = template.supervision_user, template.supervision_password
    if user is not None and ":" in user:
        report.error(("supervisionUser",), "a user name cannot hold a colon (RFC 7617)", "take the colon out")
    if user is not None and password is None and not report.broken(("supervisionPassword",)):
        report.warning(("supervisionUser",), "has no effect without supervisionPassword", "add supervisionPassword")
    if user is None and password is not None and not report.broken(("supervisionUser",)):
        report.warning(("supervisionPassword",), "has no effect without supervisionUser", "add supervisionUser")
    options = template.ws_options
    if options.auth is not None and ":" not in options.auth:
        report.error(("wsOptions", "auth"), "is not of the form user:password", "add a colon and the password")
    if options.key is not None and options.cert is None and not report.broken(("wsOptions", "cert")):
        report.error(("wsOptions", "key"), "is a key without a certificate", "add cert")


def _check_electrics(template: StationTemplate, document: dict[str, Any], report: Report) -> None:
    phases, direct = template.number_of_phases, template.current_out_type == "DC"
    if phases == 0 and not direct and not report.broken(("currentOutType",)):
        report.error(
            ("numberOfPhases",), "alternating current has 1 or 3 phases, got 0", 'or set currentOutType to "DC"'
        )
    if phases and direct:
        report.warning(("numberOfPhases",), "ignored: direct current has no phases", "take it out or write 0")
    if not template.power and not report.broken(("power",)):
        assumed = "50 kW" if direct else "32 A per phase and connector"
        report.warning(("power",), f"is missing, {assumed} is assumed", "add the power of the station")
    if template.power and template.power_unit == "W" and max(template.power) < 500 and "powerUnit" not in document:
        report.warning(("power",), f"{max(template.power):g} W for a whole station", 'should powerUnit be "kW"?')


def _check_connectors(template: StationTemplate, report: Report) -> None:
    place: Place = ("Connectors",)
    if report.broken(place) or report.broken(("Evses",)):
        return
    defined = sorted(number for number in template.connectors if number > 0)
    if not defined:
        report.error(place, "no connector is defined", 'for example {"0": {}, "1": {}}')
        return
    most = max(template.number_of_connectors, default=len(defined))
    missing = [number for number in range(1, min(most, len(defined)) + 1) if number not in template.connectors]
    if missing and not template.random_connectors and most <= len(defined):
        report.error(
            (*place, str(missing[0])),
            "is missing",
            "number the connectors 1, 2, 3… without gaps, or set randomConnectors",
        )
    if most > len(defined) and not template.random_connectors:
        report.warning(
            ("numberOfConnectors",),
            f"{most} connectors and {len(defined)} definitions: each connector gets one picked at random",
            "define as many, or set randomConnectors to true",
        )
    station = template.connectors.get(0)
    if station is not None and station.boot_status not in (None, *_STATION_STATUSES):
        report.warning(
            (*place, "0", "bootStatus"),
            f"connector 0 is never {station.boot_status}",
            f"write one of {', '.join(_STATION_STATUSES)}",
        )


def _check_meter_values(template: StationTemplate, report: Report) -> None:
    for number, connector in template.connectors.items():
        for position, entry in enumerate(connector.meter_values):
            for problem in entry_problems(entry):
                place: Place = ("Connectors", str(number), "MeterValues", position, problem.member)
                if report.broken(place):
                    continue
                # A measurand or a unit of the standard that the meter does not know costs that entry, not the station.
                tell = report.warning if problem.member in ("measurand", "unit") else report.error
                tell(place, problem.message, problem.suggestion)


def _check_keys(template: StationTemplate, report: Report) -> None:
    seen: dict[str, str] = {}
    for position, key in enumerate(template.configuration_keys):
        place: Place = ("Configuration", "configurationKey", position)
        if report.broken((*place, "key")):
            continue
        if not key.key:
            report.error((*place, "key"), "is empty", "every key needs a name")
        elif len(key.key) > 50:
            report.error((*place, "key"), f"{len(key.key)} characters, and OCPP allows 50", "shorten it")
        if len(key.value or "") > 500:
            report.error((*place, "value"), f"{len(key.value or '')} characters, and OCPP allows 500", "shorten it")
        if (other := seen.get(key.key.casefold())) is not None:
            report.warning(
                (*place, "key"), f'"{key.key}" is set twice ("{other}"): the last one counts', "keep one of them"
            )
        seen[key.key.casefold()] = key.key
        if key.key in _MEASURAND_KEYS:
            unsupported = parse_measurands(key.value).unsupported
            if unsupported:
                names = ", ".join(unsupported)
                report.warning((*place, "value"), f"the meter does not deliver {names}", "take it out")


def _check_generator(template: StationTemplate, report: Report) -> None:
    generator = template.automatic_transaction_generator
    if generator is None:
        return
    place: Place = ("AutomaticTransactionGenerator",)
    pairs = (
        ("minDuration", generator.min_duration, "maxDuration", generator.max_duration),
        (
            "minDelayBetweenTwoTransactions",
            generator.min_delay_between_two_transactions,
            "maxDelayBetweenTwoTransactions",
            generator.max_delay_between_two_transactions,
        ),
    )
    for least_name, least, most_name, most in pairs:
        if least > most and not report.broken((*place, least_name)) and not report.broken((*place, most_name)):
            report.error((*place, least_name), f"{least:g} is above {most_name} {most:g}", "swap them")
    for name, spread, unit in (
        ("arrival", generator.arrival, "Seconds"),
        ("stay", generator.stay, "Seconds"),
        ("energyWanted", generator.energy_wanted, "Wh"),
    ):
        if spread is None or report.broken((*place, name)):
            continue
        if isinstance(spread, SecondsTemplate):
            least, mean, most_or_none = spread.min_seconds, spread.mean_seconds, spread.max_seconds
        else:
            least, mean, most_or_none = spread.min_wh, spread.mean_wh, spread.max_wh
        if least > mean or (most_or_none is not None and most_or_none < mean):
            report.error((*place, name, f"mean{unit}"), f"{mean:g} is not between the least and the most", "mend them")
    for name, rates in (("weekdayRates", generator.weekday_rates), ("weekendRates", generator.weekend_rates)):
        if len(rates) not in (0, 24) and not report.broken((*place, name)):
            report.error((*place, name), f"{len(rates)} numbers, a day has 24 hours", "write one for each hour")
        if rates and generator.arrival is None:
            report.warning((*place, name), "has no effect without arrival", 'for example {"meanSeconds": 3600}')
        other = generator.weekend_rates if name == "weekdayRates" else generator.weekday_rates
        if rates and not any(rates) and not any(other) and not report.broken((*place, name)):
            report.error((*place, name), "no hour is above 0, so that no vehicle ever comes", "raise some of them")
    if generator.energy_wanted is not None and not template.coherent_meter_values:
        report.warning((*place, "energyWanted"), "has no effect without vehicles", "set coherentMeterValues to true")


def _check_firmware(template: StationTemplate, report: Report) -> None:
    pattern, upgrade = template.firmware_version_pattern, template.firmware_upgrade
    place: Place = ("firmwareVersionPattern",)
    group = upgrade.version_upgrade.pattern_group if upgrade is not None else None
    if pattern is None:
        if group is not None and not report.broken(place):
            report.warning(
                ("firmwareUpgrade", "versionUpgrade", "patternGroup"),
                "has no effect without firmwareVersionPattern: the last number of firmwareVersion is raised",
                r'for example "firmwareVersionPattern": "^(\\d+)\\.(\\d+)\\.(\\d+)$"',
            )
        return
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        report.error(place, f"is no regular expression: {error}", r'for example "^(\\d+)\\.(\\d+)\\.(\\d+)$"')
        return
    if group is not None and group > compiled.groups:
        report.error(
            ("firmwareUpgrade", "versionUpgrade", "patternGroup"),
            f"{group}, and firmwareVersionPattern has {compiled.groups} group(s)",
            "write a smaller number",
        )
    if template.firmware_version and not compiled.search(template.firmware_version):
        report.warning(place, f'does not fit firmwareVersion "{template.firmware_version}"', "mend one of them")


def _check_commands(template: StationTemplate, report: Report) -> None:
    support = template.commands_support
    place: Place = ("commandsSupport",)
    for section, names, known in (
        ("incomingCommands", support.incoming_commands, CENTRAL_SYSTEM_ACTIONS),
        ("outgoingCommands", support.outgoing_commands, CHARGE_POINT_ACTIONS),
    ):
        for name in names:
            if name not in known:
                report.warning(
                    (*place, section, name), _unknown_command(name, section), did_you_mean(name, sorted(known))
                )
    if not support.allows_outgoing("BootNotification") and not template.auto_register:
        report.warning(
            (*place, "outgoingCommands", "BootNotification"),
            "a station that sends none is never registered",
            "set it to true, or autoRegister to true",
        )


def _unknown_command(name: str, section: str) -> str:
    others: Iterable[str] = CHARGE_POINT_ACTIONS if section == "incomingCommands" else CENTRAL_SYSTEM_ACTIONS
    if name in others:
        return f"a command of the {'station' if section == 'incomingCommands' else 'central system'}: ignored"
    return "unknown command, ignored"
