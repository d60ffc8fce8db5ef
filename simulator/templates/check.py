"""Checks any file that a user may write: a configuration, a template a tag list or a file of vehicles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simulator.config.load import LoadedConfig, load_config
from simulator.config.problems import ConfigurationError, Problem, Report
from simulator.config.reading import read_json
from simulator.config.schemas import config_schema
from simulator.templates.fleet import plan_fleet
from simulator.templates.load import load_template
from simulator.templates.schemas import template_schema
from simulator.templates.tags import load_tags
from simulator.templates.vehicles import load_vehicle_file


def check_file(
    path: Path,
    *,
    environ: Mapping[str, str] | None = None,
    also: Callable[[LoadedConfig], list[Problem]] = lambda config: [],
) -> list[Problem]:
    """Everything that is wrong in a file, and for a configuration in the templates and tag lists that it names.

    An empty list: nothing. What kind of file it is shows in its content. Never raises for what a file holds.

    :param also: finds what else is wrong with a configuration.
    """
    report = Report(str(path))
    try:
        document = read_json(path, report)
        kind = recognise(document, path.name)
        if kind == "template":
            return load_template(path).problems
        if kind == "tags":
            return load_tags(path)[1]
        if kind == "vehicles":
            load_vehicle_file(path)
            return report.problems
        if kind == "config":
            config = load_config(path, environ=environ or {})
            try:
                problems = plan_fleet(config, environ=environ or {}).problems
            except ConfigurationError as error:
                problems = error.problems
            return list(dict.fromkeys([*config.problems, *problems, *also(config)]))
    except ConfigurationError as error:
        return error.problems
    kinds = "neither a configuration nor a template nor a tag list nor a file of vehicles"
    report.error((), kinds, "see the README for their keys")
    return report.problems


def recognise(document: Any, name: str) -> str | None:
    """``config``, ``template``, ``tags`` or ``vehicles``; None where neither the keys nor the name of the file tell."""
    if isinstance(document, list):
        return "vehicles" if document and all(isinstance(entry, dict) for entry in document) else "tags"
    if isinstance(document, dict):
        if "profiles" in document:
            return "vehicles"
        config_keys = len(document.keys() & config_schema()["properties"].keys())
        template_keys = len(document.keys() & template_schema()["properties"].keys())
        if config_keys != template_keys:
            return "config" if config_keys > template_keys else "template"
    if "template" in name:
        return "template"
    return "config" if "config" in name else "tags" if "tags" in name else None
