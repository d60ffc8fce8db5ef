"""Reads the configuration file: legacy names, options of the command line, the environment, all problems at once."""

from __future__ import annotations

import json
import re
import select
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from simulator.config.checking import Checker, report_idle_keys
from simulator.config.model import SCHEMA_VERSION, SimulatorConfig
from simulator.config.problems import Place, Problem, Report, did_you_mean, show_path
from simulator.config.reading import parse_json, read_json, tidy
from simulator.config.schemas import IGNORED_KEYS, LEGACY_KEYS, config_schema
from simulator.config.storage_uris import storage_problem
from simulator.config.urls import show_url, url_problem

LOG_SECTION = {
    "enabled": "logEnabled",
    "file": "logFile",
    "errorFile": "logErrorFile",
    "level": "logLevel",
    "console": "logConsole",
    "format": "logFormat",
    "rotate": "logRotate",
    "maxFiles": "logMaxFiles",
    "maxSize": "logMaxSize",
    "statisticsInterval": "logStatisticsInterval",
}
OTHER_LOG_LEVELS = {
    "warn": "warning",
    "err": "error",
    "critical": "crit",
    "http": "info",
    "verbose": "info",
    "silly": "debug",
}
LOG_FORMATS = ("simple", "json", "cli", "prettyPrint", "logstash")
SIZE_UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3}
STRATEGIES = {"ROUND_ROBBIN": "ROUND_ROBIN"}


class LoadedConfig(msgspec.Struct, frozen=True):
    """A configuration, where it came from, and what is to be said about it.

    ``given`` holds the paths of the keys that the file, an option or the environment sets (``worker.startDelay``).
    """

    config: SimulatorConfig
    path: Path
    problems: list[Problem]
    given: frozenset[str] = frozenset()

    def is_given(self, path: str) -> bool:
        """Whether a key is set, rather than at its default."""
        return path in self.given


def load_config(path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str]) -> LoadedConfig:
    """Read a configuration file.

    ``overrides`` are ``path=value`` texts of the command line (``uiServer.options.port=8081``): a value is read as JSON
    and, where it is none, as text. Raises ConfigurationError with all problems if there is an error among them.
    """
    report = Report(str(path))
    document = read_json(path, report)
    if not isinstance(document, dict):
        report.error((), "a configuration is an object in braces", 'for example {"stationTemplateUrls": []}')
        document = {}
    report.raise_errors()
    _apply_overrides(document, overrides, report)
    return _resolve(document, path, environ, report)


def default_config(path: Path, document: Mapping[str, Any], *, environ: Mapping[str, str]) -> LoadedConfig:
    """A configuration that is in no file; ``path`` stands for it in messages and in the search for templates."""
    report = Report(str(path))
    return _resolve(tidy(dict(document), report), path, environ, report)


@cache
def config_checker() -> Checker:
    """The checker of configuration files."""
    return Checker(config_schema())


def _resolve(document: dict[str, Any], path: Path, environ: Mapping[str, str], report: Report) -> LoadedConfig:
    _fold_legacy_keys(document, report)
    _fold_sections(document, report)
    _fold_environment(document, environ, report)
    config_checker().check(document, report)
    report_idle_keys(SimulatorConfig, document, report)
    given = frozenset(show_path(place) for place in _places(document))
    _normalise(document, report)
    _find_tls_files(document, path.parent, report)
    config = msgspec.convert(document, SimulatorConfig)
    _check_meaning(config, document, report)
    report.raise_errors()
    return LoadedConfig(config, path, report.problems, given)


# -- other spellings ---------------------------------------------------------------------------------------------------


def _fold_legacy_keys(document: dict[str, Any], report: Report) -> None:
    for name in IGNORED_KEYS:
        if document.pop(name, None) is not None:
            report.warning((name,), "has no meaning any more, ignored", "take it out")
    for name, place in LEGACY_KEYS.items():
        if name not in document:
            continue
        value = document.pop(name)
        target: Any = document
        for part in place[:-1]:
            target = target.setdefault(part, {})
        if not isinstance(target, dict):
            continue
        now = show_path(place)
        if place[-1] in target:
            report.warning((name,), f"old name of {now}, which is set too: ignored", "take it out")
            continue
        report.warning((name,), f"old name of {now}", f'write "{now}" instead')
        target[place[-1]] = value
        report.moved((name,), place)
    if "autoReconnectMaxRetries" in document:
        report.warning(("autoReconnectMaxRetries",), "better set in the templates", "it holds for those that do not")


def _fold_sections(document: dict[str, Any], report: Report) -> None:
    section = document.get("log")
    if isinstance(section, dict):
        for name, flat in LOG_SECTION.items():
            if name in section:
                _move(document, section, name, ("log",), flat, (), report)
        if not section:
            del document["log"]
    if isinstance(worker := document.get("worker"), dict):
        _alias(worker, "elementAddDelay", "elementStartDelay", ("worker",), report)
        if isinstance(strategy := worker.get("poolStrategy"), str):
            worker["poolStrategy"] = STRATEGIES.get(strategy, strategy)
    if isinstance(storage := document.get("performanceStorage"), dict):
        _alias(storage, "URI", "uri", ("performanceStorage",), report)
    entries = document.get("stationTemplateUrls")
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            _alias(entry, "numberOfStation", "numberOfStations", ("stationTemplateUrls", position), report)
    if isinstance(level := document.get("logLevel"), str):
        known = OTHER_LOG_LEVELS.get(level.lower(), level.lower())
        document["logLevel"] = known
        if level.lower() in OTHER_LOG_LEVELS:
            report.warning(("logLevel",), f'"{level}" is taken for "{known}"', f'write "{known}"')


def _alias(section: dict[str, Any], alias: str, name: str, path: Place, report: Report) -> None:
    if alias in section:
        if name in section:
            report.warning((*path, alias), f"another name of {name}, which is set too: ignored", "take one of them out")
            del section[alias]
        else:
            _move(section, section, alias, path, name, path, report)


def _move(
    target: dict[str, Any],
    source: dict[str, Any],
    name: str,
    path: Place,
    new_name: str,
    new_path: Place,
    report: Report,
) -> None:
    target[new_name] = source.pop(name)
    report.moved((*path, name), (*new_path, new_name))


def _fold_environment(document: dict[str, Any], environ: Mapping[str, str], report: Report) -> None:
    """Cloud Foundry says with VCAP_APPLICATION that it is there and with PORT where to listen, on every address."""
    if "VCAP_APPLICATION" not in environ:
        return
    port = environ.get("PORT", "")
    place: Place = ("uiServer", "options", "port")
    if not re.fullmatch("[0-9]{1,5}", port):
        report.written_elsewhere(place, "environment")
        report.error(place, f'PORT is "{port}"' if port else "PORT is not set", "set it to the port to listen on")
        return
    ui_server = document.setdefault("uiServer", {})
    options = ui_server.setdefault("options", {}) if isinstance(ui_server, dict) else None
    if isinstance(options, dict):
        options["port"] = int(port)
        options["host"] = "0.0.0.0"
        report.written_elsewhere(place, "environment")
    policy = ui_server.setdefault("accessPolicy", {}) if isinstance(ui_server, dict) else None
    if isinstance(policy, dict):
        # TLS ends at the platform's router, and nobody else reaches the application.
        policy.setdefault("requireTlsForNonLoopback", False)
        routes = _routes(environ["VCAP_APPLICATION"])
        for name, also in (("allowedHosts", routes), ("allowedOrigins", [f"https://{route}" for route in routes])):
            given = policy.get(name, [])
            if also and isinstance(given, str | list):
                policy[name] = [*texts(given), *also]


def _routes(application: str) -> list[str]:
    """The host names by which Cloud Foundry lets an application be reached, as VCAP_APPLICATION tells them."""
    try:
        members = json.loads(application)
    except (ValueError, RecursionError):
        return []
    found = (members.get("application_uris") or members.get("uris")) if isinstance(members, dict) else None
    routes = found if isinstance(found, list) else []
    return [route.partition("/")[0] for route in routes if isinstance(route, str) and route]


def _find_tls_files(document: dict[str, Any], folder: Path, report: Report) -> None:
    """Make the paths of the UI server's certificate and key absolute: they count from the configuration's folder."""
    place: Place = ("uiServer", "tls")
    files = document.get("uiServer", {}).get("tls")
    if not isinstance(files, dict):
        return
    for name in ("certFile", "keyFile", "caFile"):
        if name not in files or report.broken((*place, name)):
            continue
        found = folder / files[name]
        if found.is_file():
            files[name] = str(found.absolute())
        else:
            report.error((*place, name), f"no file {files[name]}", f"paths count from {folder.absolute()}")


# -- command line ------------------------------------------------------------------------------------------------------


def _apply_overrides(document: dict[str, Any], overrides: Sequence[str], report: Report) -> None:
    for override in overrides:
        name, separator, text = override.partition("=")
        path = _parse_path(name.strip())
        option = Report("--set")
        if not separator or path is None:
            option.error((), f'"{override}" is not of the form path=value', "for example worker.startDelay=0")
        else:
            report.written_elsewhere(_new_part(document, path), "--set")
            _put(document, path, _override_value(path, text, option), option)
        report.problems += option.problems


def _new_part(document: Any, path: Place) -> Place:
    """The shortest part of ``path`` that is not in the document yet, or the whole path."""
    for length, part in enumerate(path, 1):
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return path[:length]
    return path


def _parse_path(name: str) -> Place | None:
    if not re.fullmatch(r"[^.\[\]]+(\.[^.\[\]]+|\[[0-9]{1,6}\])*", name):
        return None
    parts = re.findall(r"\[([0-9]+)\]|([^.\[\]]+)", name)
    return tuple(int(position) if position else key for position, key in parts)


def _override_value(path: Place, text: str, report: Report) -> Any:
    try:
        value = parse_json(text)
    except (json.JSONDecodeError, RecursionError):
        return text
    if not isinstance(value, str) and config_checker().takes_only_text(path):
        return text
    return tidy(value, report, path)


def _put(document: dict[str, Any], path: Place, value: Any, report: Report) -> None:
    target: Any = document
    for position, part in enumerate(path):
        last = position == len(path) - 1
        if isinstance(part, int):
            if not isinstance(target, list) or part > len(target):
                length = len(target) if isinstance(target, list) else 0
                report.error(path[: position + 1], "there is no such entry", f"the list has {length}, counted from 0")
                return
            if part == len(target):
                target.append({})
        elif not isinstance(target, dict):
            report.error(path[: position + 1], f"{show_path(path[:position])} has no keys")
            return
        elif part not in target and not last:
            target[part] = [] if isinstance(path[position + 1], int) else {}
        if not last:
            target = target[part]
        elif value is None and isinstance(target, dict):
            target.pop(part, None)
        else:
            target[part] = value


# -- meaning -----------------------------------------------------------------------------------------------------------


def _places(value: Any, path: Place = ()) -> list[Place]:
    places = [path] if path else []
    if isinstance(value, dict):
        for key, member in value.items():
            places += _places(member, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            places += _places(item, (*path, position))
    return places


def texts(value: Any) -> list[str]:
    """A text or a list of texts as a list without empty texts."""
    return [text for text in ([value] if isinstance(value, str) else value) if text]


def _normalise(document: dict[str, Any], report: Report) -> None:
    """Turn what a file may hold into what the model holds."""
    if "supervisionUrls" in document:
        document["supervisionUrls"] = texts(document["supervisionUrls"])
    wire_log = document.get("wireLog", {})
    for keys, key in ((document, "logMaxFiles"), (wire_log, "maxFiles")):
        if isinstance(files := keys.get(key), str) and not files.endswith("d"):
            keys[key] = int(files)
    for keys, key in ((document, "logMaxSize"), (wire_log, "maxSize"), (wire_log, "memory")):
        if isinstance(size := keys.get(key), str):
            keys[key] = int(size.rstrip("kmgKMG")) * SIZE_UNITS.get(size[-1].lower(), 1)
    for key in ("stations", "actions"):
        if key in wire_log:
            wire_log[key] = texts(wire_log[key])
    if isinstance(name := document.get("logFormat"), str):
        formats = {known.lower(): known for known in LOG_FORMATS}
        if name.lower() not in formats:
            suggestion = did_you_mean(name, LOG_FORMATS) or f"write one of {', '.join(LOG_FORMATS)}"
            report.warning(("logFormat",), f'unknown format "{name}", taken for simple', suggestion)
        document["logFormat"] = formats.get(name.lower(), "simple")
    policy = document.get("uiServer", {}).get("accessPolicy", {})
    for name in ("trustedProxies", "allowedHosts", "allowedOrigins"):
        if name in policy:
            policy[name] = texts(policy[name])


def _check_meaning(config: SimulatorConfig, document: dict[str, Any], report: Report) -> None:
    """What no schema says."""
    if config.schema_version > SCHEMA_VERSION:
        report.error(
            ("$schemaVersion",), f"newer than the version known here, {SCHEMA_VERSION}", "use a newer simulator"
        )
    report_urls(config.supervision_urls, ("supervisionUrls",), report)
    for name in ("logFile", "logErrorFile"):
        if document.get(name) == "":
            report.error((name,), "is empty", "write a file name, or logEnabled: false for no log")
    if config.transport == "hub" and not hasattr(select, "epoll"):
        report.error(("transport",), "this operating system has no epoll, which the hub needs", "write auto")
    worker = config.worker
    if worker.process_type == "dynamicPool" and worker.pool_min_size > worker.pool_max_size:
        message = f"{worker.pool_min_size} is above poolMaxSize, {worker.pool_max_size}, which counts"
        report.warning(("worker", "poolMinSize"), message, "raise poolMaxSize")
    _check_pace(config, document, report)
    _check_authentication(config, report)
    _check_storage(config, report)
    fleet: Place = ("stationTemplateUrls",)
    if not config.station_template_urls and not report.broken(fleet):
        report.error(fleet, "names no template", 'for example [{"file": "keba", "numberOfStations": 2}]')
    for position, entry in enumerate(config.station_template_urls):
        if not entry.file.strip() and not report.broken((*fleet, position)):
            report.error((*fleet, position, "file"), "is empty", "name a template file")


def report_urls(urls: Sequence[str], path: Place, report: Report) -> None:
    """Report what is wrong with the URLs of central systems that were written at ``path``."""
    if report.broken(path):
        return
    for position, url in enumerate(urls):
        if (problem := url_problem(url)) is not None:
            message, suggestion = problem
            place = (*path, position) if len(urls) > 1 else path
            report.error(place, f'"{show_url(url)}": {message}', suggestion)


def _check_pace(config: SimulatorConfig, document: dict[str, Any], report: Report) -> None:
    """A rate of starts says by itself when each station starts: a delay beside it would say something else."""
    worker = config.worker
    if worker.start_rate is None:
        return
    for name, delay in (("elementStartDelay", worker.element_start_delay), ("startDelay", worker.start_delay)):
        if delay and name in document["worker"]:
            report.error(
                ("worker", "startRate"),
                f"{worker.start_rate:g} stations a second, while worker.{name}, {delay} ms, asks for another pace",
                f"take {name} out, or startRate",
            )


def _check_authentication(config: SimulatorConfig, report: Report) -> None:
    place: Place = ("uiServer", "authentication")
    authentication = config.ui_server.authentication
    if ":" in authentication.username:
        report.error((*place, "username"), "a user name cannot hold a colon (RFC 7617)", "take the colon out")
    if authentication.enabled and not report.broken(place):
        for name in ("username", "password"):
            if not getattr(authentication, name):
                report.error((*place, name), "is missing while authentication is enabled", f"add a {name}")


def _check_storage(config: SimulatorConfig, report: Report) -> None:
    place: Place = ("performanceStorage",)
    if not report.broken(place) and (found := storage_problem(config.performance_storage)) is not None:
        report.error((*place, found.key), found.message, found.suggestion)
