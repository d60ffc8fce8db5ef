"""The keys of the configuration file: their names, their defaults, and the schema that is published of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from simulator.config.fields import documented_keys
from simulator.config.load import LOG_FORMATS, default_config
from simulator.config.model import SimulatorConfig
from simulator.config.schemas import config_schema
from simulator.config.ws_options import WebSocketOptions
from simulator.telemetry.log import known_formats

FLEET = [{"file": "keba", "numberOfStations": 1}]


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested dicts by dotted path."""
    if isinstance(value, dict) and value:
        leaves: dict[str, Any] = {}
        for key, member in value.items():
            leaves |= flatten(member, f"{path}.{key}" if path else key)
        return leaves
    return {path: value}


DEFAULTS = {
    "supervisionUrls": [],
    "supervisionUrlDistribution": "charging-station-affinity",
    "logEnabled": True,
    "logStatisticsInterval": 60,
    "logConsole": False,
    "logFormat": "simple",
    "logRotate": True,
    "logMaxFiles": 7,
    "logMaxSize": None,
    "logLevel": "info",
    "logFile": "combined.log",
    "logErrorFile": "error.log",
    "wireLog.file": "",
    "wireLog.rotate": True,
    "wireLog.maxFiles": 7,
    "wireLog.maxSize": None,
    "wireLog.stations": [],
    "wireLog.actions": [],
    "wireLog.direction": "both",
    "wireLog.memory": 16 * 1024 * 1024,
    "worker.processType": "workerSet",
    "worker.startDelay": 500,
    "worker.elementStartDelay": 0,
    "worker.startRate": None,
    "worker.elementsPerWorker": 1,
    "worker.poolMinSize": 4,
    "worker.poolMaxSize": 16,
    "worker.poolStrategy": "FAIR_SHARE",
    "worker.resourceLimits": {},
    "worker.processes": "auto",
    "uiServer.enabled": True,
    "uiServer.type": "ws",
    "uiServer.version": "1.1",
    "uiServer.options.host": "localhost",
    "uiServer.options.port": 8080,
    "uiServer.options.path": None,
    "uiServer.options.backlog": None,
    "uiServer.options.exclusive": False,
    "uiServer.options.ipv6Only": False,
    "uiServer.options.readableAll": False,
    "uiServer.options.writableAll": False,
    "uiServer.authentication.enabled": False,
    "uiServer.authentication.type": "basic-auth",
    "uiServer.authentication.username": "",
    "uiServer.authentication.password": "",
    "uiServer.accessPolicy.requireTlsForNonLoopback": True,
    "uiServer.accessPolicy.trustedProxies": [],
    "uiServer.accessPolicy.allowLoopbackProxy": False,
    "uiServer.accessPolicy.allowedHosts": [],
    "uiServer.accessPolicy.allowedOrigins": [],
    "uiServer.tls": None,
    "uiServer.metrics.enabled": False,
    "uiServer.metrics.softSampleCap": 5000,
    "uiServer.securityHeaders.strictTransportSecurity": False,
    "performanceStorage.enabled": False,
    "performanceStorage.type": "jsonfile",
    "performanceStorage.uri": "file:///performanceRecords.json",
    "performanceStorage.interval": 60,
    "autoReconnectMaxRetries": None,
    "persistState": True,
    "transport": "auto",
    "timerGrid": 50,
    "stagger": True,
    "$schemaVersion": 1,
}


def test_every_key_has_its_documented_default() -> None:
    config = default_config(Path("config.json"), {"stationTemplateUrls": FLEET}, environ={}).config
    values = flatten(json.loads(msgspec.json.encode(config)))
    assert values.pop("stationTemplateUrls") == [{**FLEET[0], "provisionedNumberOfStations": 0}]
    assert values == DEFAULTS


def test_a_file_with_every_key_at_its_default_is_fine() -> None:
    document: dict[str, Any] = {"stationTemplateUrls": FLEET}
    for path, default in DEFAULTS.items():
        section = document
        *sections, name = path.split(".")
        for part in sections:
            section = section.setdefault(part, {})
        section[name] = default
    loaded = default_config(Path("config.json"), document, environ={})
    reference = default_config(Path("config.json"), {"stationTemplateUrls": FLEET}, environ={})
    assert loaded.config == reference.config
    assert all("does nothing yet" in problem.message for problem in loaded.problems)


def test_every_key_is_described_with_its_place() -> None:
    keys = dict(documented_keys(SimulatorConfig))
    assert all(key.description for key in keys.values())
    assert keys["stationTemplateUrls[].file"].required
    assert keys["uiServer.options.port"].default == 8080
    assert not keys["worker.processes"].acts


def test_the_schema_is_valid_and_its_defaults_fit_it() -> None:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for definition in (schema, *schema["$defs"].values()):
        for name, prop in definition["properties"].items():
            assert prop["description"], name
            if "default" in prop:
                whole = {**prop, "$defs": schema["$defs"]}
                assert jsonschema.Draft202012Validator(whole).is_valid(prop["default"]), name


def test_the_schema_says_which_keys_do_nothing_yet() -> None:
    schema = config_schema()
    assert "does nothing yet" in schema["$defs"]["WorkerConfig"]["properties"]["processes"]["description"]
    assert "does nothing yet" not in schema["properties"]["supervisionUrls"]["description"]


def test_the_formats_are_those_that_the_log_knows() -> None:
    assert known_formats() == LOG_FORMATS


@pytest.mark.parametrize("secret", ["supersecret"])
def test_secrets_show_in_no_repr(secret: str) -> None:
    document = {
        "stationTemplateUrls": FLEET,
        "uiServer": {"authentication": {"enabled": True, "username": "admin", "password": secret}},
    }
    config = default_config(Path("config.json"), document, environ={}).config
    options = WebSocketOptions(auth=f"me:{secret}", passphrase=secret, key=secret, headers={"X": secret})
    assert secret not in repr(config)
    assert secret not in repr(options)


def test_options_of_equal_content_are_one_key_of_a_cache() -> None:
    options = [WebSocketOptions(headers={"A": "1", "B": "2"}), WebSocketOptions(headers={"B": "2", "A": "1"})]
    assert len(set(options)) == 1
    assert WebSocketOptions(headers={"A": "2"}) not in set(options)


def test_schema_of_editors_accepts_what_the_loader_accepts() -> None:
    document = json.loads('{"$schema": "x.json", "supervisionUrls": "ws://h", "stationTemplateUrls": []}')
    document |= {
        "log": {"level": "debug"},
        "worker": {"elementAddDelay": 1},
        "performanceStorage": {"URI": "file:///x"},
    }
    assert jsonschema.Draft202012Validator(config_schema()).is_valid(document)
