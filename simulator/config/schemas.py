"""JSON Schemas of users' files, made from the models: what the loaders check against and what editors complete from."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from simulator.config.fields import Schema, is_mapping, keys_of, section_of
from simulator.config.model import LogConfig, SimulatorConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOT_YET = "accepted, does nothing yet"

IGNORED_KEYS = (
    "statisticsDisplayInterval",
    "consoleLog",
    "errorFile",
    "useWorkerPool",
    "autoReconnectTimeout",
    "connectionTimeout",
    "distributeStationToTenantEqually",
    "distributeStationsToTenantsEqually",
    "uiWebSocketServer",
)
"""Keys of old configuration files that have no meaning any more."""

LEGACY_KEYS: dict[str, tuple[str, ...]] = {
    "stationTemplateURLs": ("stationTemplateUrls",),
    "supervisionURLs": ("supervisionUrls",),
    "workerProcess": ("worker", "processType"),
    "workerStartDelay": ("worker", "startDelay"),
    "elementStartDelay": ("worker", "elementStartDelay"),
    "chargingStationsPerWorker": ("worker", "elementsPerWorker"),
    "workerPoolMinSize": ("worker", "poolMinSize"),
    "workerPoolMaxSize": ("worker", "poolMaxSize"),
    "workerPoolSize": ("worker", "poolMaxSize"),
    "workerPoolStrategy": ("worker", "poolStrategy"),
}
"""Old names of keys, and where they are now."""


@cache
def config_schema() -> Schema:
    """The JSON Schema (Draft 2020-12) of the configuration file."""

    def same_as(model: str, key: str, note: str = "") -> Schema:
        original: Schema = definitions[model]["properties"][key]
        return {**original, "description": f"Same as `{key}`{note}"}

    schema = model_schema(SimulatorConfig, "Simulator configuration", also=(LogConfig,))
    definitions = {"SimulatorConfig": schema, **schema["$defs"]}
    properties: Schema = schema["properties"]
    properties["log"] = {"description": "Another spelling of the `log…` keys", "$ref": "#/$defs/LogConfig"}
    for name, place in LEGACY_KEYS.items():
        note = f"Old name of `{'.'.join(place)}`"
        properties[name] = {"description": note, "deprecated": True}
    for name in IGNORED_KEYS:
        properties[name] = {"description": "Has no meaning any more", "deprecated": True}
    definitions["WorkerConfig"]["properties"]["elementAddDelay"] = same_as("WorkerConfig", "elementStartDelay")
    definitions["PerformanceStorageConfig"]["properties"]["URI"] = same_as("PerformanceStorageConfig", "uri")
    definitions["StationTemplateEntry"]["properties"]["numberOfStation"] = same_as(
        "StationTemplateEntry", "numberOfStations"
    )
    return schema


def model_schema(model: type[msgspec.Struct], title: str, *, also: tuple[type[msgspec.Struct], ...] = ()) -> Schema:
    """The JSON Schema of files that hold a ``model``: open about how a value is spelled, closed about keys.

    ``also``: further models to define under ``$defs``.
    """
    _, definitions = msgspec.json.schema_components((model, *also), ref_template="#/$defs/{name}")
    for section in _models_below(model, also):
        _refine(definitions[section.__name__], section)
    root = definitions.pop(model.__name__)
    root["properties"] = {
        "$schema": {"description": "URI of the JSON Schema that an editor completes from", "type": "string"},
        **root["properties"],
    }
    return {"$schema": DIALECT, **root, "title": title, "$defs": definitions}


def _models_below(model: type[msgspec.Struct], also: tuple[type[msgspec.Struct], ...]) -> list[type[msgspec.Struct]]:
    found: list[type[msgspec.Struct]] = []
    waiting = [model, *also]
    while waiting:
        section = waiting.pop()
        if section not in found:
            found.append(section)
            waiting += [below for key in keys_of(section) if (below := section_of(key.type)) is not None]
    return found


def _refine(definition: Schema, model: type[msgspec.Struct]) -> None:
    """Turn msgspec's schema of a struct, which is that of the decoded value, into that of what a file may hold."""
    definition["title"] = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.__name__).capitalize()
    if "description" in definition:
        definition["description"] = " ".join(definition["description"].replace("``", "`").split())
    definition["additionalProperties"] = False
    definition["required"] = [key.name for key in keys_of(model) if key.required]
    for key in keys_of(model):
        prop = definition["properties"][key.name]
        default = msgspec.to_builtins(prop.pop("default", None))
        default = list(default) if isinstance(default, tuple) else default
        content = key.schema or _without_null({name: value for name, value in prop.items() if name != "description"})
        refined: dict[str, Any] = {"description": key.description if key.acts else f"{key.description} ({NOT_YET})"}
        refined.update(content)
        refined.update(key.bounds)
        if is_mapping(key):
            refined["propertyNames"] = {"pattern": "^(0|[1-9][0-9]{0,3})$"}
        if "anyOf" in refined and default == []:
            default = None  # says that the key is absent
        if default is not None and "$ref" not in refined and not key.required:
            refined["default"] = default
        definition["properties"][key.name] = refined


def _without_null(schema: Schema) -> Schema:
    """The schema without the alternative ``null``: a key that is null counts as absent."""
    if "enum" in schema:
        return {**schema, "enum": [value for value in schema["enum"] if value is not None]}
    alternatives = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if not alternatives:
        return schema
    alternatives = [_without_null(part) for part in alternatives]
    return alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
