"""Tables of Markdown, and values as they stand in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from simulator.config.fields import Key, Schema

NOTHING = "–"
IDLE = "*Does nothing yet.*"

# Of a longer list of choices nobody reads more in a cell; the schema files have them all.
_MOST_CHOICES = 10


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a vertical bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """Text as code."""
    return f"`{text}`"


def sentence(text: str) -> str:
    """Text with a capital at the front and a full stop at the end."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def key_table(keys: Iterable[Key], properties: Schema) -> str:
    """The table of a section's keys; ``properties`` are those of its JSON Schema.

    Where no key acts, one line above the table says so for all of them.
    """
    keys = list(keys)
    all_idle = not any(key.acts for key in keys)
    rows = []
    for key in keys:
        description = sentence(key.description)
        if not key.acts and not all_idle:
            description = f"{description} {IDLE}"
        rows.append((code(key.name), values(properties[key.name]), default(key), description))
    text = table(("Key", "Value", "Default", "Meaning"), rows)
    return f"{IDLE}\n\n{text}" if all_idle else text


def default(key: Key) -> str:
    """The default of a key."""
    value = msgspec.to_builtins(key.default)
    if key.required:
        return "required"
    if isinstance(key.default, msgspec.Struct) or value is None or value == "" or value in ((), [], {}):
        return NOTHING
    if isinstance(value, float):
        return code(f"{value:g}")
    return code(json.dumps(value, ensure_ascii=False).strip('"'))


def values(schema: Schema) -> str:
    """What may stand in the file, in few words."""
    if "$ref" in schema:
        return "section"
    if "enum" in schema and len(schema["enum"]) <= _MOST_CHOICES:
        return " ".join(code(_plain(value)) for value in schema["enum"])
    if "const" in schema:
        return code(_plain(schema["const"]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(values(part) for part in schema["anyOf"]))
    kinds = schema.get("type", "string")
    return " or ".join(_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _kind(kind: str, schema: Schema) -> str:
    if kind == "boolean":
        return "true/false"
    if kind == "string":
        return f"text such as {code(schema['examples'][0])}" if "examples" in schema else "text"
    if kind in ("integer", "number"):
        return {"integer": "whole number", "number": "number"}[kind] + _bounds(schema)
    if kind == "array":
        return f"list of {_plural(values(schema.get('items', {})))}"
    return "section" if "$ref" in str(schema) else "object"


def _bounds(schema: Schema) -> str:
    least, most, above = (schema.get(name) for name in ("minimum", "maximum", "exclusiveMinimum"))
    if least is not None and most is not None:
        return f" {least:g}–{int(most) if most >= 1000 else most}"
    if least not in (None, -1):
        return f" ≥ {least:g}"
    if above is not None:
        return f" > {above:g}" + (f", ≤ {most:g}" if most is not None else "")
    return " ≥ -1" if least == -1 else ""


def _plural(text: str) -> str:
    for one, many in (
        ("text", "texts"),
        ("whole number", "whole numbers"),
        ("number", "numbers"),
        ("section", "sections"),
    ):
        if text.startswith(one):
            return many + text.removeprefix(one)
    return text
