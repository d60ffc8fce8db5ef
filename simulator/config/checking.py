"""Checks a document against a JSON Schema and says in a user's words what is wrong, everything at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec

from simulator.config.fields import Schema, is_mapping, keys_of, section_of
from simulator.config.problems import Place, Report, did_you_mean, is_secret, nearest, show_value

_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object in braces",
}


class Checker:
    """Checks documents against one schema of :mod:`simulator.config.schemas`."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._validator = jsonschema.Draft202012Validator(schema)

    def check(self, document: dict[str, Any], report: Report) -> None:
        """Report what is wrong in ``document``, and take it out: what stays fits the schema but for missing keys."""
        seen: set[Place] = set()
        broken: list[Place] = []
        errors: list[Any] = sorted(self._validator.iter_errors(document), key=_order)
        for error in errors:
            path = tuple(error.absolute_path)
            if error.validator == "additionalProperties":
                self._unknown_keys(error, path, report)
            elif error.validator == "required":
                self._missing_keys(error, path, report)
            else:
                if "propertyNames" in error.absolute_schema_path:
                    path = (*path, error.instance)
                if path not in seen:
                    seen.add(path)
                    broken.append(path)
                    if not report.broken(path):
                        self._wrong_value(error, path, report)
        for path in broken:
            take_out(document, path)

    def takes_only_text(self, path: Place) -> bool:
        """Whether only a text may stand at ``path``."""
        schema = self._schema
        for part in path:
            schema = self._resolved(schema)
            schema = schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
        schema = self._resolved(schema)
        return schema.get("type") == "string" or all(isinstance(value, str) for value in schema.get("enum", [0]))

    def _resolved(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            found: Schema = self._schema["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
            return found
        return schema

    @staticmethod
    def _unknown_keys(error: Any, path: Place, report: Report) -> None:
        known = {name: prop for name, prop in error.schema["properties"].items() if not prop.get("deprecated")}
        for key in error.instance:
            if key not in error.schema["properties"] and not key.startswith(("$", "_", "//")) and key != "comment":
                report.warning((*path, key), "unknown key, ignored", did_you_mean(key, known))

    @staticmethod
    def _missing_keys(error: Any, path: Place, report: Report) -> None:
        for key in error.validator_value:
            if key not in error.instance and not report.broken((*path, key)):
                description = error.schema["properties"][key].get("description", "")
                report.error((*path, key), "is missing", f"add it: {description[:1].lower()}{description[1:]}")

    @staticmethod
    def _wrong_value(error: Any, path: Place, report: Report) -> None:
        if "propertyNames" in error.absolute_schema_path:
            report.error(path, "expected a number as the name", "count connectors and EVSEs 1, 2, 3…; 0 is the station")
            return
        schema, value = error.schema, error.instance
        if isinstance(value, str) and (limit := schema.get("maxLength")) is not None and len(value) > limit:
            report.error(path, f"{len(value)} characters, and at most {limit} fit", "shorten it")
            return
        suggestion = "" if is_secret(path) else _mend(schema, value)
        report.error(path, f"expected {describe(schema)}, got {show_value(value, path)}", suggestion)


def describe(schema: Schema) -> str:
    """What a schema lets through, in words."""
    if "enum" in schema:
        choices = ", ".join(json.dumps(value) for value in schema["enum"])
        return f"one of {choices}" if len(schema["enum"]) > 1 else choices
    if "const" in schema:
        return json.dumps(schema["const"])
    if "anyOf" in schema:
        return " or ".join(describe(part) for part in schema["anyOf"])
    kinds = schema.get("type", [])
    return " or ".join(_describe_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _describe_kind(kind: str, schema: Schema) -> str:
    text = _KINDS[kind]
    if kind in ("integer", "number"):
        least, most = schema.get("minimum"), schema.get("maximum")
        if least is not None and most is not None:
            text += f" from {least:g} to {most:g}" if most <= 99999 else f" from {least:g} to {int(most)}"
        elif least is not None:
            text += f" of at least {least:g}"
        elif (bound := schema.get("exclusiveMinimum")) is not None:
            text += f" above {bound:g}"
            text += f", at most {most:g}" if most is not None else ""
    elif kind == "string" and "examples" in schema:
        text += f' such as "{schema["examples"][0]}"'
    elif kind == "array" and "type" in schema.get("items", {}):
        item = describe(schema["items"])
        text += f" whose entries are each {item}"
    return text


def _mend(schema: Schema, value: Any) -> str:
    """How to write the value, as near to what the user wrote as can be told."""
    choices = [choice for part in (schema, *schema.get("anyOf", ())) for choice in part.get("enum", ())]
    kinds = {kind for part in (schema, *schema.get("anyOf", ())) for kind in _kinds(part)}
    if isinstance(value, str):
        if found := nearest(value, [choice for choice in choices if isinstance(choice, str)]):
            return f'did you mean "{found}"?'
        if value.lower() in ("true", "yes", "on", "false", "no", "off") and "boolean" in kinds:
            return f"write {'true' if value.lower() in ('true', 'yes', 'on') else 'false'} without quotes"
        if kinds & {"integer", "number"} and _is_number(value):
            return f"write {value.strip()} without quotes"
        if "array" in kinds and "string" not in kinds:
            return f"write [{json.dumps(value)}]" if len(value) < 40 else "put it in square brackets"
    elif not isinstance(value, (list, dict)):
        if isinstance(value, bool) is False and value in (0, 1) and "boolean" in kinds:
            return f"write {'true' if value else 'false'}"
        number_wanted = bool(kinds & {"integer", "number"})  # of another size: quotes would not mend it
        if ("string" in kinds and not number_wanted) or (choices and str(value) in choices):
            return f'write "{value}" in quotes' if not isinstance(value, bool) else "write a text in quotes"
    default = schema.get("default")
    if default not in (None, [], {}, ""):
        return f"for example {json.dumps(default)}, the default"
    if "integer" in kinds:
        return "write a whole number, for example 10"
    return ""


def _kinds(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _order(error: Any) -> tuple[list[str], list[str]]:
    return [f"{part:09}" if isinstance(part, int) else part for part in error.absolute_path], list(
        map(str, error.absolute_schema_path)
    )


def take_out(document: Any, path: Place) -> None:
    """Remove what is at ``path``; for an item of a list the whole list, so that no other item changes its place."""
    parents = [document]
    for part in path[:-1]:
        try:
            parents.append(parents[-1][part])
        except (KeyError, IndexError, TypeError):
            return  # taken out already
    for parent, part in zip(reversed(parents), reversed(path), strict=True):
        if isinstance(parent, dict):
            parent.pop(part, None)
            return


def idle_keys(model: type[msgspec.Struct], document: dict[str, Any], path: Place = ()) -> Iterator[Place]:
    """Where ``document`` sets a key of ``model`` that does nothing yet, unless it switches off what there is not."""
    for key in keys_of(model):
        if key.name not in document:
            continue
        value, here = document[key.name], (*path, key.name)
        section = section_of(key.type)
        if not key.acts:
            if value is not False and not (isinstance(value, dict) and value.get("enabled") is False):
                yield here
        elif section is not None:
            if is_mapping(key):
                for name, member in value.items():
                    yield from idle_keys(section, member, (*here, name))
            elif isinstance(value, dict):
                yield from idle_keys(section, value, here)
            elif isinstance(value, list):
                for position, item in enumerate(value):
                    yield from idle_keys(section, item, (*here, position))


def report_idle_keys(model: type[msgspec.Struct], document: dict[str, Any], report: Report) -> None:
    """Warn about each key that is set and does nothing yet. ``document`` must have passed the checker."""
    for path in idle_keys(model, document):
        report.warning(path, "accepted, but does nothing yet")
