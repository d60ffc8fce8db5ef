"""Station templates: keys and defaults, other spellings, and what is said about mistakes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.config.fields import documented_keys
from simulator.config.problems import ConfigurationError, Problem
from simulator.templates.fleet import shipped_folder
from simulator.templates.load import LoadedTemplate, build_template, load_template
from simulator.templates.model import StationTemplate
from simulator.templates.publish import published_schemas
from simulator.templates.schemas import template_schema

LEAST: dict[str, Any] = {
    "baseName": "CS-TEST",
    "chargePointModel": "Model",
    "chargePointVendor": "Vendor",
    "power": 22080,
    "Connectors": {"0": {}, "1": {}},
}
FILE = Path("here/mine.station-template.json")


def load(document: dict[str, Any]) -> LoadedTemplate:
    return build_template({**copy.deepcopy(LEAST), **document}, FILE)


def problems_of(document: dict[str, Any]) -> list[Problem]:
    try:
        return load(document).problems
    except ConfigurationError as error:
        return error.problems


def connector(**definition: Any) -> dict[str, Any]:
    return {"Connectors": {"1": definition}}


def entry(**members: Any) -> dict[str, Any]:
    return connector(MeterValues=[members])


def generator(**members: Any) -> dict[str, Any]:
    return {"AutomaticTransactionGenerator": members}


def key(**members: Any) -> dict[str, Any]:
    return {"Configuration": {"configurationKey": [members]}}


def ws(**options: Any) -> dict[str, Any]:
    return {"wsOptions": options}


# -- keys and defaults -------------------------------------------------------------------------------------------------

DEFAULTS = {
    "$schemaVersion": 1,
    "supervisionUrls": [],
    "supervisionUser": None,
    "supervisionPassword": None,
    "supervisionUrlOcppConfiguration": False,
    "supervisionUrlOcppKey": "ConnectionUrl",
    "autoStart": True,
    "ocppVersion": "1.6",
    "ocppProtocol": "json",
    "ocppStrictCompliance": False,
    "ocppPersistentConfiguration": True,
    "stationInfoPersistentConfiguration": True,
    "automaticTransactionGeneratorPersistentConfiguration": True,
    "wsOptions": {
        "headers": {}, "origin": None, "auth": None, "handshakeTimeout": None, "maxPayload": 16 * 1024 * 1024,
        "perMessageDeflate": False, "localAddress": [], "family": 0, "ca": [], "cert": None, "key": None, "pfx": None,
        "passphrase": None, "servername": None, "rejectUnauthorized": True, "minVersion": None, "ciphers": None,
    },
    "authorizationFile": None,
    "nameSuffix": "",
    "fixedName": False,
    "chargePointSerialNumberPrefix": None,
    "chargeBoxSerialNumberPrefix": None,
    "meterSerialNumberPrefix": None,
    "meterType": None,
    "firmwareVersion": None,
    "firmwareVersionPattern": None,
    "firmwareUpgrade": None,
    "signedFirmwareOnly": False,
    "revokedFirmwareSigners": [],
    "iccid": None,
    "imsi": None,
    "powerUnit": "W",
    "powerSharedByConnectors": False,
    "currentOutType": "AC",
    "voltageOut": None,
    "numberOfPhases": None,
    "conversionEfficiency": 1,
    "numberOfConnectors": [],
    "useConnectorId0": True,
    "randomConnectors": False,
    "resetTime": 60,
    "autoRegister": False,
    "autoReconnectMaxRetries": None,
    "reconnectExponentialDelay": False,
    "registrationMaxRetries": -1,
    "amperageLimitationOcppKey": None,
    "amperageLimitationUnit": "A",
    "enableStatistics": True,
    "mustAuthorizeAtRemoteStart": True,
    "forceTransactionOnInvalidIdToken": False,
    "payloadSchemaValidation": True,
    "beginEndMeterValues": False,
    "outOfOrderEndMeterValues": False,
    "meteringPerTransaction": True,
    "transactionDataMeterValues": False,
    "stopTransactionsOnStopped": True,
    "resumeTransactions": False,
    "txProfileFallBack": True,
    "automaticVehicle": True,
    "fixedCable": False,
    "postTransactionDelay": 0,
    "mainVoltageMeterValues": True,
    "phaseLineToLineVoltageMeterValues": True,
    "customValueLimitationMeterValues": True,
    "coherentMeterValues": True,
    "evProfilesFile": None,
    "randomSeed": None,
    "commandsSupport": {"incomingCommands": {}, "outgoingCommands": {}},
    "messageTriggerSupport": {},
    "securityEvents": None,
    "authorizationKeyAsText": False,
    "certificateKeyType": "EC",
    "x509Certificates": {},
    "Configuration": {"configurationKey": []},
    "AutomaticTransactionGenerator": None,
    "Evses": {},
}  # fmt: skip

GENERATOR_DEFAULTS = {
    "enable": False,
    "minDuration": 60,
    "maxDuration": 120,
    "minDelayBetweenTwoTransactions": 15,
    "maxDelayBetweenTwoTransactions": 30,
    "probabilityOfStart": 1,
    "stopAfterHours": 0.25,
    "stopAbsoluteDuration": False,
    "stopOnConnectionFailure": False,
    "requireAuthorize": True,
    "idTagDistribution": "round-robin",
    "arrival": None,
    "stay": None,
    "energyWanted": None,
    "weekdayRates": [],
    "weekendRates": [],
}


def plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def test_every_key_has_its_documented_default() -> None:
    loaded = load({"AutomaticTransactionGenerator": {}})
    values = plain(loaded.template)
    assert values.pop("AutomaticTransactionGenerator") == GENERATOR_DEFAULTS
    assert values.pop("Connectors") == {
        number: {"bootStatus": None, "MeterValues": [], "maximumPower": None} for number in ("0", "1")
    }
    assert values.pop("power") == [22080]
    for name in ("baseName", "chargePointModel", "chargePointVendor"):
        assert values.pop(name) == LEAST[name]
    assert values | {"AutomaticTransactionGenerator": None} == DEFAULTS
    assert loaded.problems == []


def test_a_file_with_every_key_at_its_default_is_fine() -> None:
    document = {name: value for name, value in DEFAULTS.items() if value != []}
    loaded = load({**document, "Evses": None, "Configuration": {"configurationKey": []}})
    assert plain(loaded.template) == plain(load({}).template)
    assert all("does nothing yet" in problem.message for problem in loaded.problems)


def test_one_configuration_key_has_its_defaults() -> None:
    (found,) = load(key(key="A")).template.configuration_keys
    assert plain(found) == {"key": "A", "value": None, "readonly": False, "visible": True, "reboot": False}


def test_every_key_is_described_with_its_place() -> None:
    keys = dict(documented_keys(StationTemplate))
    assert all(key.description for key in keys.values())
    assert keys["Connectors.<id>.MeterValues[].fluctuationPercent"].default == 5
    assert keys["Configuration.configurationKey[].visible"].default is True
    assert keys["wsOptions.rejectUnauthorized"].acts
    assert not keys["x509Certificates"].acts


def test_the_schema_is_valid_its_defaults_fit_it_and_it_takes_the_shipped_files() -> None:
    schema = template_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for definition in (schema, *schema["$defs"].values()):
        for name, prop in definition["properties"].items():
            assert prop["description"], name
            if "default" in prop:
                whole = {**prop, "$defs": schema["$defs"]}
                assert jsonschema.Draft202012Validator(whole).is_valid(prop["default"]), name
    for file in shipped_folder().glob("*.station-template.json"):
        assert jsonschema.Draft202012Validator(schema).is_valid(json.loads(file.read_text())), file


def test_the_published_schemas_are_up_to_date() -> None:
    for name, text in published_schemas().items():
        file = shipped_folder() / "schemas" / name
        assert file.read_text(encoding="utf-8") == text, "run: python -m simulator.templates.publish"


# -- other spellings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "attribute", "value"),
    [
        ({"supervisionUrl": "ws://a"}, "supervision_urls", ("ws://a",)),
        ({"supervisionUrls": ["ws://a", "ws://b"]}, "supervision_urls", ("ws://a", "ws://b")),
        ({"supervisionUrls": ""}, "supervision_urls", ()),
        ({"idTagsFile": "tags.json"}, "authorization_file", "tags.json"),
        ({"authorizationFile": ""}, "authorization_file", None),
        ({"idTagsFile": "b.json", "authorizationFile": "a.json"}, "authorization_file", "a.json"),
        ({"remoteAuthorization": False}, "must_authorize_at_remote_start", False),
        ({"power": 3.7, "powerUnit": "kW"}, "power", (3.7,)),
        ({"power": [3700, 7400]}, "power", (3700.0, 7400.0)),
        ({"numberOfConnectors": 1}, "number_of_connectors", (1,)),
        ({"numberOfConnectors": [1, 1]}, "number_of_connectors", (1, 1)),
        ({"resetTime": None}, "reset_time", 60),
        ({"resetTime": 0}, "reset_time", 0.0),
        ({"voltageOut": 231.5}, "voltage_out", 231.5),
        (key(key="A", value=300), "configuration_keys.0.value", "300"),
        (key(key="A", value=True), "configuration_keys.0.value", "true"),
        (key(key="A", value=1.5), "configuration_keys.0.value", "1.5"),
        (key(key="A", value=""), "configuration_keys.0.value", ""),
        (entry(fluctuationPercent="10"), "connectors.1.meter_values.0.fluctuation_percent", "10"),
        (entry(value="230"), "connectors.1.meter_values.0.value", "230"),
        (entry(minimum=5), "connectors.1.meter_values.0.minimum_value", 5.0),
        (entry(minimumValue=6, minimum=5), "connectors.1.meter_values.0.minimum_value", 6.0),
        (entry(), "connectors.1.meter_values.0.measurand", "Energy.Active.Import.Register"),
        (ws(headers={"A": 1, "B": ["x", "y"]}), "ws_options.headers", {"A": "1", "B": "x, y"}),
        (ws(perMessageDeflate={"threshold": 1}), "ws_options.per_message_deflate", True),
        (ws(handshakeTimeout=5000), "ws_options.handshake_timeout", 5000),
        (ws(ca="-----BEGIN CERTIFICATE-----"), "ws_options.ca", ("-----BEGIN CERTIFICATE-----",)),
        ({"commandsSupport": {"incomingCommands": {"Reset": False}}}, "commands_support.outgoing_commands", {}),
        (generator(minDuration=5, idTagDistribution="random"), "automatic_transaction_generator.min_duration", 5.0),
    ],
)  # fmt: skip
def test_every_spelling_has_its_effect(document: dict[str, Any], attribute: str, value: object) -> None:
    found: Any = load(document).template
    for name in attribute.split("."):
        found = found[int(name)] if name.isdigit() else getattr(found, name)
    assert found == value
    assert type(found) is type(value)


def test_templates_of_today_pass_silently() -> None:
    document = {
        "$schemaVersion": 1,
        "idTagsFile": "idtags.json",
        "remoteAuthorization": True,
        "ocppStrictCompliance": True,
        **entry(measurand="Voltage", unit="V", fluctuationPercent="5", value="230"),
        "AutomaticTransactionGenerator": {"enable": True, "stopAbsoluteDuration": True},
    }
    assert problems_of(document) == []


def test_connectors_of_evses_are_numbered_one_after_the_other() -> None:
    document = {
        "Connectors": None,
        "Evses": {
            "0": {"Connectors": {"0": {}}},
            "10": {"Connectors": {"1": {"bootStatus": "Faulted"}}},
            "2": {"Connectors": {"1": {"maximumPower": 7400}}, "MeterValues": [{"measurand": "SoC"}]},
        },
    }
    loaded = load(document)
    connectors = loaded.template.connectors
    assert sorted(connectors) == [0, 1, 2]
    assert (connectors[1].maximum_power, connectors[1].meter_values[0].measurand) == (7400, "SoC")
    assert connectors[2].boot_status == "Faulted"
    assert "Evses" in loaded.raw
    assert loaded.problems == []


def test_empty_sections_of_commands_allow_everything() -> None:
    support = load(
        {"commandsSupport": {"incomingCommands": {"Reset": True, "ClearCache": False}}}
    ).template.commands_support
    assert support.allows_incoming("Reset")
    assert not support.allows_incoming("ClearCache")
    assert not support.allows_incoming("UnlockConnector")
    assert support.allows_outgoing("Heartbeat")


def test_the_hash_is_of_the_content_not_of_the_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    hashes = []
    for indent, document in ((None, LEAST), (4, LEAST), (None, {**LEAST, "power": 1000})):
        path.write_text(json.dumps(document, indent=indent))
        hashes.append(load_template(path).template_hash)
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 96


def test_certificates_are_found_from_the_folder_of_the_template(tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.pem").write_text("x")
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**LEAST, "wsOptions": {"ca": ["certs/ca.pem"]}}))
    assert load_template(path).template.ws_options.ca == (str(tmp_path / "certs" / "ca.pem"),)


# -- mistakes ----------------------------------------------------------------------------------------------------------

URL = "supervisionUrls"
ENTRY = "Connectors.1.MeterValues[0]"
ATG = "AutomaticTransactionGenerator"
KEY = "Configuration.configurationKey[0]"
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"baseName": None}, "baseName", "is missing; add it"),
    ({"baseName": ""}, "baseName", "is empty"),
    ({"baseName": " "}, "baseName", "is empty"),
    ({"baseName": 5}, "baseName", 'write "5" in quotes'),
    ({"baseName": "CS\n"}, "baseName", "white space"),
    ({"nameSuffix": " B"}, "nameSuffix", "white space"),
    ({"fixedName": "true"}, "fixedName", "write true without quotes"),
    ({"chargePointModel": None}, "chargePointModel", "is missing"),
    ({"chargePointModel": "x" * 21}, "chargePointModel", "21 characters, and OCPP allows 20"),
    ({"chargePointVendor": None}, "chargePointVendor", "is missing"),
    ({"chargePointVendor": ""}, "chargePointVendor", "is empty"),
    ({"chargePointVendor": "x" * 21}, "chargePointVendor", "OCPP allows 20"),
    ({"firmwareVersion": "x" * 51}, "firmwareVersion", "OCPP allows 50"),
    ({"firmwareVersion": 1.1}, "firmwareVersion", 'write "1.1" in quotes'),
    ({"iccid": "x" * 21}, "iccid", "OCPP allows 20"),
    ({"imsi": "x" * 21}, "imsi", "OCPP allows 20"),
    ({"meterType": "x" * 26}, "meterType", "OCPP allows 25"),
    ({"amperageLimitationOcppKey": "x" * 51}, "amperageLimitationOcppKey", "OCPP allows 50"),
    ({"supervisionUrlOcppKey": "x" * 51}, "supervisionUrlOcppKey", "at most 50 fit"),
    ({URL: "http://a"}, URL, "write ws://a"),
    ({URL: ["ws://a", "wss:/b"]}, f"{URL}[1]", "names no host"),
    ({URL: {}}, URL, "expected a text or a list"),
    ({"supervisionUrl": "a:1"}, "supervisionUrl", "write ws://a:1"),
    ({"supervisionUser": "a:b", "supervisionPassword": "x"}, "supervisionUser", "colon"),
    ({"supervisionPassword": 5, "supervisionUser": "a"}, "supervisionPassword", "got something else"),
    ({"ocppVersion": "2.0.1"}, "ocppVersion", 'expected "1.6", got "2.0.1"'),
    ({"ocppVersion": 1.6}, "ocppVersion", 'write "1.6" in quotes'),
    ({"ocppProtocol": "soap"}, "ocppProtocol", 'expected "json"'),
    ({"ocppStrictCompliance": "yes"}, "ocppStrictCompliance", "write true without quotes"),
    ({"idTagsFile": 5}, "idTagsFile", "expected a text"),
    ({"remoteAuthorization": 0}, "remoteAuthorization", "write false"),
    ({"power": 0}, "power", "a number above 0"),
    ({"power": "22"}, "power", "write 22 without quotes"),
    ({"power": []}, "power", "expected a number above 0"),
    ({"power": [7400, -1]}, "power", "expected a number above 0"),
    ({"powerUnit": "kw"}, "powerUnit", 'did you mean "kW"?'),
    ({"currentOutType": "dc"}, "currentOutType", 'did you mean "DC"?'),
    ({"voltageOut": 0}, "voltageOut", "a number above 0, got 0"),
    ({"voltageOut": "230"}, "voltageOut", "write 230 without quotes"),
    ({"numberOfPhases": 2}, "numberOfPhases", "expected one of 0, 1, 3, got 2"),
    ({"numberOfPhases": 0}, "numberOfPhases", "1 or 3 phases, got 0"),
    ({"conversionEfficiency": 1.5}, "conversionEfficiency", "above 0, at most 1, got 1.5"),
    ({"numberOfConnectors": 0}, "numberOfConnectors", "from 1 to 1000"),
    ({"numberOfConnectors": 1.5}, "numberOfConnectors", "whole number"),
    ({"numberOfConnectors": ["2"]}, "numberOfConnectors", "whole number"),
    ({"numberOfConnectors": 10**9}, "numberOfConnectors", "from 1 to 1000"),
    ({"resetTime": -1}, "resetTime", "at least 0"),
    ({"autoReconnectMaxRetries": -2}, "autoReconnectMaxRetries", "at least -1"),
    ({"registrationMaxRetries": "x"}, "registrationMaxRetries", "whole number"),
    ({"amperageLimitationUnit": "a"}, "amperageLimitationUnit", 'did you mean "A"?'),
    ({"enableStatistics": "on"}, "enableStatistics", "write true without quotes"),
    ({"postTransactionDelay": -1}, "postTransactionDelay", "at least 0"),
    ({"randomSeed": -1}, "randomSeed", "from 0 to 4294967295"),
    ({"$schemaVersion": 2}, "$schemaVersion", "newer than the version known here"),
    (ws(maxPayload=0), "wsOptions.maxPayload", "above 0"),
    (ws(handshakeTimeout="30s"), "wsOptions.handshakeTimeout", "whole number"),
    (ws(family=5), "wsOptions.family", "expected one of 0, 4, 6"),
    (ws(auth="me"), "wsOptions.auth", "user:password"),
    (ws(key="-----BEGIN KEY-----"), "wsOptions.key", "without a certificate"),
    (ws(cert="no/such.pem"), "wsOptions.cert", "neither PEM text nor a file"),
    (ws(ca=["-----BEGIN", "nope"]), "wsOptions.ca[1]", "neither PEM text nor a file"),
    (ws(pfx="nope"), "wsOptions.pfx", "neither a file nor base64"),
    (ws(minVersion="TLS1.2"), "wsOptions.minVersion", 'did you mean "TLSv1'),
    (ws(headers={"A": {}}), "wsOptions.headers.A", "got something else"),
    (ws(passphrase=1), "wsOptions.passphrase", "got something else"),
    ({"wsOptions": []}, "wsOptions", "expected an object in braces"),
    ({"commandsSupport": {"incomingCommands": []}}, "commandsSupport.incomingCommands", "expected an object"),
    ({"commandsSupport": {"incomingCommands": {"Reset": 1}}}, "commandsSupport.incomingCommands.Reset", "write true"),
    ({"messageTriggerSupport": {"Heartbeat": "x"}}, "messageTriggerSupport.Heartbeat", "true or false"),
    ({"firmwareUpgrade": {"failureStatus": "Failed"}}, "firmwareUpgrade.failureStatus", "expected one of"),
    ({"firmwareVersionPattern": "(1"}, "firmwareVersionPattern", "is no regular expression"),
    ({"firmwareVersionPattern": "(1)", "firmwareUpgrade": {"versionUpgrade": {"patternGroup": 2}}},
     "firmwareUpgrade.versionUpgrade.patternGroup", "has 1 group(s)"),
    ({"Configuration": []}, "Configuration", "expected an object"),
    ({"Configuration": {"configurationKey": {}}}, "Configuration.configurationKey", "expected a list"),
    (key(value="x"), f"{KEY}.key", "is missing"),
    (key(key=""), f"{KEY}.key", "is empty"),
    (key(key="k" * 51), f"{KEY}.key", "51 characters, and OCPP allows 50"),
    (key(key="k", value="v" * 501), f"{KEY}.value", "501 characters, and OCPP allows 500"),
    (key(key="k", value=[]), f"{KEY}.value", "expected a text or a number or true or false, got []"),
    (key(key="k", readonly="false"), f"{KEY}.readonly", "write false without quotes"),
    (generator(minDuration=200), f"{ATG}.minDuration", "200 is above maxDuration 120"),
    (generator(maxDuration=5), f"{ATG}.minDuration", "60 is above maxDuration 5"),
    (generator(minDelayBetweenTwoTransactions=31), f"{ATG}.minDelayBetweenTwoTransactions", "is above"),
    (generator(probabilityOfStart=1.1), f"{ATG}.probabilityOfStart", "from 0 to 1, got 1.1"),
    (generator(probabilityOfStart="1"), f"{ATG}.probabilityOfStart", "write 1 without quotes"),
    (generator(stopAfterHours=-1), f"{ATG}.stopAfterHours", "at least 0"),
    (generator(idTagDistribution="roundrobin"), f"{ATG}.idTagDistribution", 'did you mean "round-robin"?'),
    (generator(enable="true"), f"{ATG}.enable", "write true without quotes"),
    ({"AutomaticTransactionGenerator": True}, ATG, "expected an object"),
    ({"Connectors": None}, "Connectors", "no connector is defined"),
    ({"Connectors": {}}, "Connectors", "no connector is defined"),
    ({"Connectors": {"0": {}}}, "Connectors", "no connector is defined"),
    ({"Connectors": []}, "Connectors", "expected an object"),
    ({"Connectors": {"1": []}}, "Connectors.1", "expected an object"),
    ({"Connectors": {"1": {}, "3": {}}}, "Connectors.2", "without gaps"),
    ({"Connectors": {"2": {}}}, "Connectors.1", "without gaps"),
    ({"Connectors": {"1": {}, "one": {}}}, "Connectors.one", "expected a number as the name"),
    ({"Connectors": {"1": {}, "01": {}}}, "Connectors.01", "expected a number as the name"),
    ({"Connectors": {"1": {}, "-1": {}}}, "Connectors.-1", "expected a number as the name"),
    (connector(bootStatus="available"), "Connectors.1.bootStatus", 'did you mean "Available"?'),
    (connector(bootStatus="Occupied"), "Connectors.1.bootStatus", "expected one of"),
    (connector(maximumPower=0), "Connectors.1.maximumPower", "above 0"),
    (connector(MeterValues={}), "Connectors.1.MeterValues", "expected a list"),
    (connector(MeterValues=[1]), ENTRY, "expected an object"),
    (entry(measurand="Energy.Active.Import"), f"{ENTRY}.measurand", "did you mean"),
    (entry(measurand="Nonsense!"), f"{ENTRY}.measurand", "expected one of"),
    (entry(unit="kwh"), f"{ENTRY}.unit", 'did you mean "kWh"?'),
    (entry(phase="L4"), f"{ENTRY}.phase", "expected one of"),
    (entry(context="Sample"), f"{ENTRY}.context", "did you mean"),
    (entry(location="ev"), f"{ENTRY}.location", 'did you mean "EV"?'),
    (entry(format="raw"), f"{ENTRY}.format", 'did you mean "Raw"?'),
    (entry(value="much"), f"{ENTRY}.value", "expected a number"),
    (entry(value=-1), f"{ENTRY}.value", "no negative value"),
    (entry(value=True), f"{ENTRY}.value", "expected a number or a text, got true"),
    (entry(measurand="SoC", value=101), f"{ENTRY}.value", "at most 100"),
    (entry(fluctuationPercent=101), f"{ENTRY}.fluctuationPercent", "from 0 to 100"),
    (entry(fluctuationPercent="5 %"), f"{ENTRY}.fluctuationPercent", "from 0 to 100"),
    (entry(minimumValue="x"), f"{ENTRY}.minimumValue", "expected a number"),
    (entry(minimum="x"), f"{ENTRY}.minimum", "expected a number"),
    (entry(minimum=[]), f"{ENTRY}.minimum", "expected a number"),
    ({"Evses": {"1": {"Connectors": {"1": {}}}}}, "Evses", "in place of Connectors"),
    ({"Connectors": None, "Evses": {"1": {}}}, "Evses.1", "that has Connectors"),
    ({"Connectors": None, "Evses": {"x": {"Connectors": {"1": {}}}}}, "Evses.x", "expected a number"),
    ({"Connectors": None, "Evses": []}, "Evses", "expected an object"),
    ({"Connectors": None, "Evses": {"1": {"Connectors": {"1": {"bootStatus": "x"}}}}},
     "Evses.1.Connectors.1.bootStatus", "expected one of"),
    ({"Connectors": None, "Evses": {"1": {"Connectors": {"1": {}}, "MeterValues": [{"unit": "kwh"}]}}},
     "Evses.1.MeterValues[0].unit", 'did you mean "kWh"?'),
]  # fmt: skip


@pytest.mark.parametrize(("document", "path", "text"), BAD, ids=[f"{path}-{n}" for n, (_, path, _) in enumerate(BAD)])
def test_a_mistake_is_one_line_with_its_place_and_the_mend(document: dict[str, Any], path: str, text: str) -> None:
    errors = [problem for problem in problems_of(document) if problem.severity == "error"]
    assert [error.path for error in errors] == [path]
    line = str(errors[0])
    assert line.startswith(f"{FILE}: {path}: ")
    assert text in line
    assert "\n" not in line


WARNED: list[tuple[dict[str, Any], str, str]] = [
    ({"basename": "x"}, "basename", 'did you mean "baseName"?'),
    ({"Connector": {}}, "Connector", 'did you mean "Connectors"?'),
    ({"Connectors": {"1": {"metervalues": []}}}, "Connectors.1.metervalues", 'did you mean "MeterValues"?'),
    (ws(headrs={}), "wsOptions.headrs", 'did you mean "headers"?'),
    (ws(agent={}), "wsOptions.agent", "does nothing here"),
    (generator(mindelay=1), f"{ATG}.mindelay", "unknown key"),
    (key(key="A", visibel=True), f"{KEY}.visibel", 'did you mean "visible"?'),
    ({"supervisionUrl": "ws://a"}, "supervisionUrl", 'write "supervisionUrls" instead'),
    ({"idTagsFile": "a", "authorizationFile": "b"}, "idTagsFile", "is set too: ignored"),
    ({"supervisionUser": "a"}, "supervisionUser", "without supervisionPassword"),
    ({"supervisionPassword": "a"}, "supervisionPassword", "without supervisionUser"),
    ({"chargePointSerialNumberPrefix": "x" * 18}, "chargePointSerialNumberPrefix", "17 leave room"),
    ({"chargeBoxSerialNumberPrefix": "x" * 26}, "chargeBoxSerialNumberPrefix", "17 leave room"),
    ({"meterSerialNumberPrefix": "x" * 18}, "meterSerialNumberPrefix", "17 leave room"),
    ({"power": None}, "power", "32 A per phase and connector is assumed"),
    ({"power": None, "currentOutType": "DC"}, "power", "50 kW is assumed"),
    ({"power": 22}, "power", 'should powerUnit be "kW"?'),
    ({"currentOutType": "DC", "numberOfPhases": 3}, "numberOfPhases", "direct current has no phases"),
    ({"numberOfConnectors": 2}, "numberOfConnectors", "2 connectors and 1 definitions"),
    ({"numberOfConnectors": [1, 3]}, "numberOfConnectors", "3 connectors and 1 definitions"),
    ({"Connectors": {"0": {"bootStatus": "Charging"}, "1": {}}}, "Connectors.0.bootStatus", "never Charging"),
    (connector(status="Available"), "Connectors.1.status", "write bootStatus instead"),
    (entry(measurand="Voltage", unit="A"), f"{ENTRY}.unit", "write V"),
    ({"Configuration": {"configurationKey": [{"key": "A"}, {"key": "a"}]}}, "Configuration.configurationKey[1].key",
     "set twice"),
    ({"commandsSupport": {"incomingCommands": {"Rest": True}}}, "commandsSupport.incomingCommands.Rest",
     'did you mean "Reset"?'),
    ({"commandsSupport": {"incomingCommands": {"Heartbeat": True}}}, "commandsSupport.incomingCommands.Heartbeat",
     "a command of the station"),
    ({"commandsSupport": {"outgoingCommands": {"Heartbeat": True}}},
     "commandsSupport.outgoingCommands.BootNotification", "never registered"),
    ({"ocppStrictCompliance": True, "outOfOrderEndMeterValues": True}, "outOfOrderEndMeterValues", "no effect"),
    ({"x509Certificates": {}}, "x509Certificates", "does nothing yet"),
    ({"firmwareVersion": "1.2", "firmwareVersionPattern": "^v"}, "firmwareVersionPattern", "does not fit"),
    ({"firmwareUpgrade": {"versionUpgrade": {"patternGroup": 1}}}, "firmwareUpgrade.versionUpgrade.patternGroup",
     "no effect without firmwareVersionPattern"),
    ({"Connectors": None, "Evses": {"1": {"Connectors": {"1": {}, "2": {}}}}}, "Evses.1", "share its power"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "path", "text"), WARNED, ids=[path for _, path, _ in WARNED])
def test_what_does_no_harm_is_one_warning(document: dict[str, Any], path: str, text: str) -> None:
    (problem,) = load(document).problems
    assert (problem.path, problem.severity) == (path, "warning")
    assert text in str(problem)


def test_all_mistakes_are_told_at_once() -> None:
    document = {
        "baseName": None,
        "power": "x",
        "ocppVersion": "2.0.1",
        "AutomaticTransactionGenerator": {"minDuration": 300},
        "Configuration": {"configurationKey": [{"key": "k" * 60}, {"key": "ok"}, {"value": "x"}]},
        "Connectors": {"1": {"MeterValues": [{"unit": "x y"}, {"value": -1}], "bootStatus": 5}},
    }
    errors = {problem.path for problem in problems_of(document) if problem.severity == "error"}
    assert errors == {
        "baseName", "power", "ocppVersion", f"{ATG}.minDuration", f"{KEY}.key", "Configuration.configurationKey[2].key",
        "Connectors.1.MeterValues[0].unit", "Connectors.1.MeterValues[1].value", "Connectors.1.bootStatus",
    }  # fmt: skip


def test_a_switch_that_is_off_needs_no_warning() -> None:
    assert problems_of({"coherentMeterValues": False, "ocppPersistentConfiguration": False}) == []


# -- anything ----------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from([*DEFAULTS, *LEAST, "0", "1", "idTagsFile", "minimum", "unit", "value", "key", "status"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1.6", "DC", "ws://a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5),
    max_leaves=12,
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(document=st.dictionaries(NAMES | st.text(max_size=5), JSON, max_size=6) | JSON)
def test_no_document_crashes_the_loader(tmp_path: Path, document: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    try:
        load_template(path)
    except ConfigurationError as error:
        assert all(str(problem) for problem in error.problems)  # noqa: PT017


@settings(max_examples=300, deadline=None)
@given(name=NAMES, value=JSON)
def test_no_value_of_a_key_crashes_the_loader(name: str, value: Any) -> None:
    for problem in problems_of({name: value}):
        assert str(problem)


@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(st.sampled_from(["bootStatus", "MeterValues", "maximumPower", "status"]), JSON))
def test_no_connector_crashes_the_loader(value: Any) -> None:
    problems_of({"Connectors": {"1": value}})
    problems_of({"Connectors": None, "Evses": {"1": {"Connectors": {"1": value}}}})
