"""Reading the configuration file: legacy names, options, environment, and what is said about mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.config.load import LoadedConfig, default_config, load_config
from simulator.config.problems import ConfigurationError, Problem

FLEET = [{"file": "keba", "numberOfStations": 1}]


def load(document: dict[str, Any], **environ: str) -> LoadedConfig:
    return default_config(Path("config.json"), {"stationTemplateUrls": FLEET, **document}, environ=environ)


def problems_of(document: dict[str, Any], **environ: str) -> list[Problem]:
    try:
        return load(document, **environ).problems
    except ConfigurationError as error:
        return error.problems


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "config.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# -- other spellings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "attribute", "value"),
    [
        ({"supervisionURLs": "ws://a"}, "supervision_urls", ("ws://a",)),
        ({"supervisionUrls": ["ws://a", "", "ws://b"]}, "supervision_urls", ("ws://a", "ws://b")),
        ({"supervisionUrls": ""}, "supervision_urls", ()),
        ({"workerProcess": "staticPool"}, "worker.process_type", "staticPool"),
        ({"workerStartDelay": 7}, "worker.start_delay", 7),
        ({"elementStartDelay": 7}, "worker.element_start_delay", 7),
        ({"chargingStationsPerWorker": 7}, "worker.elements_per_worker", 7),
        ({"workerPoolMinSize": 7}, "worker.pool_min_size", 7),
        ({"workerPoolMaxSize": 7}, "worker.pool_max_size", 7),
        ({"workerPoolSize": 7}, "worker.pool_max_size", 7),
        ({"workerPoolStrategy": "ROUND_ROBBIN"}, "worker.pool_strategy", "ROUND_ROBIN"),
        ({"workerStartDelay": 7, "worker": {"startDelay": 8}}, "worker.start_delay", 8),
        ({"worker": {"elementAddDelay": 9}}, "worker.element_start_delay", 9),
        ({"worker": {"elementsPerWorker": "all"}}, "worker.elements_per_worker", "all"),
        ({"worker": {"processes": 2}}, "worker.processes", 2),
        ({"performanceStorage": {"URI": "file:///x"}}, "performance_storage.uri", "file:///x"),
        ({"log": {"level": "debug"}}, "log_level", "debug"),
        ({"log": {"level": "debug"}, "logLevel": "error"}, "log_level", "debug"),
        ({"log": {"enabled": False}}, "log_enabled", False),
        ({"log": {"file": "a", "errorFile": "b"}}, "log_error_file", "b"),
        ({"log": {"console": True, "format": "JSON", "rotate": False}}, "log_format", "json"),
        ({"log": {"maxFiles": "14d", "maxSize": "20m"}}, "log_max_files", "14d"),
        ({"log": {"maxFiles": "14d", "maxSize": "20m"}}, "log_max_size", 20 * 1024 * 1024),
        ({"log": {"statisticsInterval": -1}}, "log_statistics_interval", -1),
        ({"logLevel": "WARNING"}, "log_level", "warning"),
        ({"logLevel": "warn"}, "log_level", "warning"),
        ({"logLevel": "silly"}, "log_level", "debug"),
        ({"logFormat": "fancy"}, "log_format", "simple"),
        ({"autoReconnectMaxRetries": -1}, "auto_reconnect_max_retries", -1),
        ({"uiServer": None, "worker": {"startDelay": None}}, "worker.start_delay", 500),
        (
            {"uiServer": {"accessPolicy": {"trustedProxies": "10.0.0.1"}}},
            "ui_server.access_policy.trusted_proxies",
            ("10.0.0.1",),
        ),
        (
            {"uiServer": {"securityHeaders": {"strictTransportSecurity": "max-age=1"}}},
            "ui_server.security_headers.strict_transport_security",
            "max-age=1",
        ),
        ({"worker": {"startDelay": 5.0}}, "worker.start_delay", 5),
    ],
)
def test_every_spelling_has_its_effect(document: dict[str, Any], attribute: str, value: object) -> None:
    found: Any = load(document).config
    for name in attribute.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)


def test_entries_may_be_written_the_old_way() -> None:
    config = default_config(
        Path("c"), {"stationTemplateURLs": [{"file": "a", "numberOfStation": 3}]}, environ={}
    ).config  # fmt: skip
    assert config.station_template_urls[0].number_of_stations == 3


OLD_NAMES = {
    "supervisionURLs": "ws://a", "workerProcess": "workerSet", "workerStartDelay": 1, "elementStartDelay": 1,
    "chargingStationsPerWorker": 1, "workerPoolMinSize": 1, "workerPoolMaxSize": 1, "workerPoolSize": 1,
    "workerPoolStrategy": "FAIR_SHARE", "statisticsDisplayInterval": 1, "consoleLog": True, "errorFile": "x",
    "useWorkerPool": True, "autoReconnectTimeout": 1, "connectionTimeout": 1, "distributeStationToTenantEqually": True,
    "distributeStationsToTenantsEqually": True, "uiWebSocketServer": {"enabled": True}, "autoReconnectMaxRetries": 3,
}  # fmt: skip


@pytest.mark.parametrize("name", OLD_NAMES)
def test_an_old_name_is_one_warning(name: str) -> None:
    problems = [problem for problem in problems_of({name: OLD_NAMES[name]}) if "nothing yet" not in problem.message]
    assert [(problem.path, problem.severity) for problem in problems] == [(name, "warning")]


@pytest.mark.parametrize(
    "document",
    [{"log": {"level": "debug"}}, {"logFile": "x.log"}, {"performanceStorage": {"enabled": False, "URI": "file:///x"}}],
)
def test_names_of_today_and_of_the_first_day_pass_silently(document: dict[str, Any]) -> None:
    assert problems_of(document) == []


# -- mistakes ----------------------------------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"supervisionUrls": 5}, "supervisionUrls", 'write "5" in quotes'),
    ({"supervisionUrls": ["ws://a", 5]}, "supervisionUrls[1]", "expected a text, got 5"),
    ({"supervisionUrls": "http://a"}, "supervisionUrls", "write ws://a"),
    ({"supervisionUrls": ["https://a:1/b"]}, "supervisionUrls", "write wss://a:1/b"),
    ({"supervisionUrls": ["ws://a", "localhost:80"]}, "supervisionUrls[1]", "write ws://localhost:80"),
    ({"supervisionUrls": "ftp://a"}, "supervisionUrls", 'unknown scheme "ftp"'),
    ({"supervisionUrls": "ws://"}, "supervisionUrls", "names no host"),
    ({"supervisionUrls": "ws://a b"}, "supervisionUrls", "white space"),
    ({"supervisionUrls": "ws://a:99999"}, "supervisionUrls", "not a URL"),
    ({"supervisionUrls": "ws://a:0"}, "supervisionUrls", "port 0"),
    ({"supervisionUrls": "ws://[::1"}, "supervisionUrls", "not a URL"),
    ({"supervisionUrls": "ws://a/#b"}, "supervisionUrls", "write ws://a/"),
    ({"supervisionURLs": "http://a"}, "supervisionURLs", "write ws://a"),
    ({"supervisionUrlDistribution": "roundrobin"}, "supervisionUrlDistribution", 'did you mean "round-robin"?'),
    ({"supervisionUrlDistribution": True}, "supervisionUrlDistribution", "expected one of"),
    ({"supervisionUrlDistribution": "sequential"}, "supervisionUrlDistribution", "expected one of"),
    ({"logStatisticsInterval": "60"}, "logStatisticsInterval", "write 60 without quotes"),
    ({"logStatisticsInterval": 1.5}, "logStatisticsInterval", "expected a whole number, got 1.5"),
    ({"logConsole": "true"}, "logConsole", "write true without quotes"),
    ({"logConsole": "no"}, "logConsole", "write false without quotes"),
    ({"logConsole": 1}, "logConsole", "write true"),
    ({"logRotate": []}, "logRotate", "expected true or false, got []"),
    ({"logMaxFiles": -1}, "logMaxFiles", "at least 0"),
    ({"logMaxFiles": "a week"}, "logMaxFiles", 'such as "14d"'),
    ({"log": {"maxFiles": "14w"}}, "log.maxFiles", 'such as "14d"'),
    ({"logMaxSize": "20 MB"}, "logMaxSize", 'such as "20m"'),
    ({"logLevel": "loud"}, "logLevel", '"warning", got "loud"'),
    ({"logLevel": 3}, "logLevel", "expected one of"),
    ({"log": {"level": "infos"}}, "log.level", 'did you mean "info"?'),
    ({"log": []}, "log", "an object in braces"),
    ({"log": {"level": 1}}, "log.level", "expected one of"),
    ({"logFile": ""}, "logFile", "is empty"),
    ({"logFormat": 1}, "logFormat", 'write "1" in quotes'),
    ({"wireLog": {"memory": -1}}, "wireLog.memory", "got -1; for example 16777216, the default"),
    ({"worker": []}, "worker", "expected an object in braces, got []"),
    ({"worker": {"processType": "workerset"}}, "worker.processType", 'did you mean "workerSet"?'),
    ({"workerProcess": "workerset"}, "workerProcess", 'did you mean "workerSet"?'),
    ({"worker": {"startDelay": -1}}, "worker.startDelay", "at least 0, got -1"),
    ({"workerStartDelay": "x"}, "workerStartDelay", "expected a whole number"),
    ({"worker": {"elementAddDelay": "x"}}, "worker.elementAddDelay", "expected a whole number"),
    ({"worker": {"elementsPerWorker": 0}}, "worker.elementsPerWorker", "at least 1"),
    ({"worker": {"elementsPerWorker": "autos"}}, "worker.elementsPerWorker", 'did you mean "auto"?'),
    ({"worker": {"processes": -1}}, "worker.processes", 'from 0 to 1024 or "auto"'),
    ({"worker": {"poolMinSize": 0}}, "worker.poolMinSize", "at least 1"),
    ({"worker": {"poolStrategy": "FAIR"}}, "worker.poolStrategy", "FAIR_SHARE"),
    ({"uiServer": {"enabled": "yes"}}, "uiServer.enabled", "write true without quotes"),
    ({"uiServer": {"type": "wss"}}, "uiServer.type", 'did you mean "ws"?'),
    ({"uiServer": {"version": 2}}, "uiServer.version", "expected one of"),
    ({"uiServer": {"options": {"port": 65536}}}, "uiServer.options.port", "from 0 to 65535, got 65536"),
    ({"uiServer": {"options": {"port": "8080"}}}, "uiServer.options.port", "write 8080 without quotes"),
    ({"uiServer": {"options": {"host": 1}}}, "uiServer.options.host", "expected a text"),
    ({"uiServer": {"options": []}}, "uiServer.options", "expected an object"),
    ({"uiServer": {"authentication": {"enabled": True, "password": "x"}}}, "uiServer.authentication.username", "add a"),
    ({"uiServer": {"authentication": {"enabled": True, "username": "a"}}}, "uiServer.authentication.password", "add a"),
    ({"uiServer": {"authentication": {"username": "a:b"}}}, "uiServer.authentication.username", "colon"),
    ({"uiServer": {"authentication": {"type": "digest"}}}, "uiServer.authentication.type", "expected one of"),
    ({"uiServer": {"authentication": {"password": 4711}}}, "uiServer.authentication.password", "got something else"),
    ({"uiServer": {"accessPolicy": {"trustedProxies": [1]}}}, "uiServer.accessPolicy.trustedProxies[0]", "a text"),
    ({"uiServer": {"metrics": {"softSampleCap": 0}}}, "uiServer.metrics.softSampleCap", "at least 1"),
    ({"uiServer": {"securityHeaders": {"strictTransportSecurity": True}}},
     "uiServer.securityHeaders.strictTransportSecurity", "expected a text or false"),
    ({"performanceStorage": {"type": "mongo"}}, "performanceStorage.type", 'did you mean "mongodb"?'),
    ({"performanceStorage": {"enabled": True, "type": "mongodb"}}, "performanceStorage.uri", "mongodb://user:"),
    ({"performanceStorage": {"enabled": True, "uri": "mongodb://h"}}, "performanceStorage.uri", "write file://"),
    ({"performanceStorage": {"enabled": True, "URI": "mongodb://h"}}, "performanceStorage.URI", "write file://"),
    ({"performanceStorage": True}, "performanceStorage", "expected an object in braces, got true"),
    ({"stationTemplateUrls": None}, "stationTemplateUrls", "is missing"),
    ({"stationTemplateUrls": []}, "stationTemplateUrls", "names no template"),
    ({"stationTemplateUrls": {}}, "stationTemplateUrls", "expected a list"),
    ({"stationTemplateUrls": "keba"}, "stationTemplateUrls", 'write ["keba"]'),
    ({"stationTemplateUrls": ["keba"]}, "stationTemplateUrls[0]", "expected an object"),
    ({"stationTemplateUrls": [None]}, "stationTemplateUrls[0]", "got null"),
    ({"stationTemplateUrls": [{"numberOfStations": 1}]}, "stationTemplateUrls[0].file", "is missing"),
    ({"stationTemplateUrls": [{"file": " "}]}, "stationTemplateUrls[0].file", "is empty"),
    ({"stationTemplateUrls": [{"file": 1}]}, "stationTemplateUrls[0].file", "expected a text"),
    ({"stationTemplateUrls": [*FLEET, {"file": "a", "numberOfStations": "x"}]},
     "stationTemplateUrls[1].numberOfStations", 'expected a whole number from 0 to 1000000, got "x"'),
    ({"stationTemplateUrls": [{"file": "a", "numberOfStations": -1}]}, "stationTemplateUrls[0].numberOfStations", "-1"),
    ({"stationTemplateUrls": [{"file": "a", "numberOfStation": 1.5}]}, "stationTemplateUrls[0].numberOfStation", "1.5"),
    ({"autoReconnectMaxRetries": -2}, "autoReconnectMaxRetries", "at least -1"),
    ({"persistState": 0}, "persistState", "write false"),
    ({"transport": "tcp"}, "transport", "expected one of"),
    ({"$schemaVersion": 2}, "$schemaVersion", "newer than the version known here, 1"),
    ({"$schemaVersion": "1"}, "$schemaVersion", "write 1 without quotes"),
    ({"$schema": 1}, "$schema", "expected a text"),
    ({"logStatisticsInterval": 10**30}, "logStatisticsInterval", "too large"),
    ({"logStatisticsInterval": float("nan")}, "logStatisticsInterval", "NaN is no JSON number"),
    ({"logStatisticsInterval": float("inf")}, "logStatisticsInterval", "too large"),
    ({"logFile": "\ud800"}, "logFile", "surrogate"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "path", "text"), BAD, ids=[f"{path}-{n}" for n, (_, path, _) in enumerate(BAD)])
def test_a_mistake_is_one_line_with_its_place_and_the_mend(document: dict[str, Any], path: str, text: str) -> None:
    errors = [problem for problem in problems_of(document) if problem.severity == "error"]
    assert [error.path for error in errors] == [path]
    line = str(errors[0])
    assert line.startswith(f"config.json: {path}: ")
    assert text in line
    assert "\n" not in line


UNKNOWN = [
    ({"supervisionUrl": "ws://a"}, "supervisionUrl", "supervisionUrls"),
    ({"LogLevel": "info"}, "LogLevel", "logLevel"),
    ({"worker": {"startdelay": 1}}, "worker.startdelay", "startDelay"),
    ({"log": {"levl": 1}}, "log.levl", "level"),
    ({"uiServer": {"options": {"hots": 1}}}, "uiServer.options.hots", "host"),
    ({"stationTemplateUrls": [{**FLEET[0], "numberofstations": 1}]},
     "stationTemplateUrls[0].numberofstations", "numberOfStations"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "path", "near"), UNKNOWN)
def test_an_unknown_key_is_a_warning_that_names_the_nearest(document: dict[str, Any], path: str, near: str) -> None:
    problems = {problem.path: problem for problem in load(document).problems}
    assert problems[path].severity == "warning"
    assert problems[path].suggestion == f'did you mean "{near}"?'


def test_all_mistakes_are_told_at_once_with_the_warnings() -> None:
    document = {
        "logLevel": "loud",
        "worker": {"startDelay": -1, "proces": 1},
        "uiServer": {"options": {"port": "x"}},
        "stationTemplateUrls": [{"file": "a", "numberOfStations": -1}, {"file": ""}],
        "supervisionUrls": ["http://x"],
    }
    with pytest.raises(ConfigurationError) as caught:
        load(document)
    errors = {problem.path for problem in caught.value.problems if problem.severity == "error"}
    assert errors == {
        "logLevel", "worker.startDelay", "uiServer.options.port", "stationTemplateUrls[0].numberOfStations",
        "stationTemplateUrls[1].file", "supervisionUrls",
    }  # fmt: skip
    assert any(problem.path == "worker.proces" for problem in caught.value.problems)
    assert len(str(caught.value).splitlines()) == len(errors)


@pytest.mark.parametrize("name", ["$comment", "_note", "//", "comment"])
def test_notes_to_oneself_pass_silently(name: str) -> None:
    assert problems_of({name: "mine", "worker": {name: "mine"}}) == []


def test_keys_that_do_nothing_yet_are_warned_about_unless_they_switch_off() -> None:
    document = {
        "worker": {"processes": 2, "startDelay": 1},
        "uiServer": {"enabled": False, "options": {"port": 1}},
        "persistState": False,
    }
    assert [problem.path for problem in problems_of(document)] == ["worker.processes"]


def test_passwords_in_urls_are_not_repeated() -> None:
    assert "hunter2" not in str(problems_of({"supervisionUrls": "http://me:hunter2@host/#x"}))


# -- files -------------------------------------------------------------------------------------------------------------

GOOD = json.dumps({"stationTemplateUrls": FLEET})


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "the file is empty"),
        ("  \n", "the file is empty"),
        ("[]", "a configuration is an object in braces"),
        ("5", "a configuration is an object in braces"),
        ("null", "a configuration is an object in braces"),
        ('{\n  "a": 1,\n}', "comma before the closing bracket"),
        ('{"a": [1,]}', "comma before the closing bracket"),
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3: a comma is missing"),
        ('{\n  // mine\n  "a": 1}', "line 2, column 3: a comment"),
        ("{'a': 1}", "line 1, column 2: a single quote"),
        ('{"a": True}', "line 1, column 7: True is no JSON value"),
        ('{"a": 1', "ends too early"),
        ('{"a" 1}', "line 1, column 6: not JSON"),
        ("{} {}", "line 1, column 4: not JSON"),
        (b'{"a": "\xff"}', "line 1: the file is not UTF-8 text"),
        ("{}".encode("utf-16"), "not UTF-8"),
        ("[" * 100_000, "nested"),
        ('{"a":' + "[" * 70 + "]" * 70 + "}", "nested more than 64 levels"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: str | bytes, text: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ConfigurationError) as caught:
        load_config(path, environ={})
    assert str(caught.value).startswith(str(path))
    assert text in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, text in ((tmp_path / "none.json", "no such file"), (tmp_path, "is a folder"), (Path("\0"), "cannot be")):
        with pytest.raises(ConfigurationError, match=text):
            load_config(path, environ={})


def test_a_byte_order_mark_and_repeated_keys_do_no_harm(tmp_path: Path) -> None:
    content = '{"logLevel": "info", "worker": {"startDelay": 1, "startDelay": 2}, "logLevel": "debug", ' + GOOD[1:]
    loaded = load_config(write(tmp_path, b"\xef\xbb\xbf" + content.encode()), environ={})
    assert (loaded.config.log_level, loaded.config.worker.start_delay) == ("debug", 2)
    assert {problem.path for problem in loaded.problems} == {"logLevel", "worker.startDelay"}
    assert all("more than once" in problem.message for problem in loaded.problems)


# -- options and environment -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "attribute", "value"),
    [
        ("worker.startDelay=7", "worker.start_delay", 7),
        ("logLevel=debug", "log_level", "debug"),
        ('logLevel="debug"', "log_level", "debug"),
        ("log.level=debug", "log_level", "debug"),
        ("supervisionUrls=ws://a", "supervision_urls", ("ws://a",)),
        ('supervisionUrls=["ws://a","ws://b"]', "supervision_urls", ("ws://a", "ws://b")),
        ("uiServer.authentication.password=1234", "ui_server.authentication.password", "1234"),
        ("uiServer.authentication.password=a=b", "ui_server.authentication.password", "a=b"),
        ("uiServer.version=2.0", "ui_server.version", "2.0"),
        ("worker=null", "worker.start_delay", 500),
        ("workerStartDelay=9", "worker.start_delay", 9),
        ("stationTemplateUrls[0].numberOfStations=5", "station_template_urls.0.number_of_stations", 5),
        ("stationTemplateUrls[1].file=abb", "station_template_urls.1.file", "abb"),
    ],
)
def test_options_go_before_the_file(tmp_path: Path, override: str, attribute: str, value: object) -> None:
    path = write(tmp_path, GOOD)
    found: Any = load_config(path, overrides=[override], environ={}).config
    for name in attribute.split("."):
        found = found[int(name)] if name.isdigit() else getattr(found, name)
    assert found == value


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("worker.startDelay=x", '--set: worker.startDelay: expected a whole number of at least 0, got "x"'),
        ("worker.startDelay", '--set: "worker.startDelay" is not of the form path=value'),
        ("=5", '--set: "=5" is not of the form path=value'),
        ("a..b=5", "is not of the form path=value"),
        ("stationTemplateUrls[7].file=x", "--set: stationTemplateUrls[7]: there is no such entry; the list has 1"),
        ("worker[0]=x", "--set: worker: expected an object in braces"),
        ("stationTemplateUrls[0].file.a=x", "stationTemplateUrls[0].file has no keys"),
        ("worker.startDelay=1e999", "--set: worker.startDelay: the number is too large"),
    ],
)
def test_mistakes_in_options_name_the_option(tmp_path: Path, override: str, line: str) -> None:
    path = write(tmp_path, GOOD)
    with pytest.raises(ConfigurationError) as caught:
        load_config(path, overrides=[override], environ={})
    assert line in str(caught.value)
    assert str(path) not in str(caught.value)


def test_what_is_set_can_be_told_from_a_default() -> None:
    loaded = load({"workerStartDelay": 500, "log": {"level": "info"}})
    assert loaded.is_given("worker.startDelay")
    assert loaded.is_given("logLevel")
    assert not loaded.is_given("worker.elementStartDelay")


def test_cloud_foundry_says_where_to_listen() -> None:
    options = load({}, VCAP_APPLICATION="{}", PORT="61001").config.ui_server.options
    assert (options.host, options.port) == ("0.0.0.0", 61001)
    assert load({}, PORT="61001").config.ui_server.options.port == 8080


def test_the_routes_of_cloud_foundry_are_let_in() -> None:
    application = '{"application_uris": ["fleet.example.test", "other.example/path"]}'
    given = {"uiServer": {"accessPolicy": {"allowedHosts": "mine", "requireTlsForNonLoopback": True}}}
    policy = load({}, VCAP_APPLICATION=application, PORT="1").config.ui_server.access_policy
    assert not policy.require_tls_for_non_loopback
    assert policy.allowed_hosts == ("fleet.example.test", "other.example")
    assert policy.allowed_origins == ("https://fleet.example.test", "https://other.example")
    policy = load(given, VCAP_APPLICATION=application, PORT="1").config.ui_server.access_policy
    assert policy.require_tls_for_non_loopback
    assert policy.allowed_hosts == ("mine", "fleet.example.test", "other.example")
    for nonsense in ("", "1", "[]", '{"uris": 1}', '{"uris": [1]}'):
        assert load({}, VCAP_APPLICATION=nonsense, PORT="1").config.ui_server.access_policy.allowed_hosts == ()


@pytest.mark.parametrize("port", ["", "x", "99999"])
def test_a_bad_port_of_the_environment_is_told(port: str) -> None:
    problems = [p for p in problems_of({}, VCAP_APPLICATION="{}", PORT=port) if p.severity == "error"]
    assert [problem.file for problem in problems] == ["environment"]


# -- anything ----------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["supervisionUrls", "log", "level", "logLevel", "logMaxFiles", "logMaxSize", "worker", "startDelay", "uiServer",
     "options", "accessPolicy", "trustedProxies", "performanceStorage", "type", "uri", "enabled", "file",
     "stationTemplateUrls", "numberOfStations", "elementsPerWorker", "authentication", "workerStartDelay"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["auto", "ws://a", "14d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5),
    max_leaves=12,
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(document=st.dictionaries(NAMES | st.text(max_size=5), JSON, max_size=6) | JSON)
def test_no_document_crashes_the_loader(tmp_path: Path, document: Any) -> None:
    path = write(tmp_path, json.dumps(document))
    try:
        loaded = load_config(path, environ={})
    except ConfigurationError as error:
        assert all(str(problem) for problem in error.problems)  # noqa: PT017
    else:
        assert loaded.config.station_template_urls


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(content=st.binary(max_size=60) | st.text(alphabet='{}[]",:1.eE-ntf \n/\\u0', max_size=40).map(str.encode))
def test_no_bytes_crash_the_loader(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ConfigurationError):
        load_config(path, environ={})
