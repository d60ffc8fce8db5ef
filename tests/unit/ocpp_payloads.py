"""Payloads made from the OCA schemas, for tests over all messages: valid ones, and ones with faults put in.

Made by a seeded generator of our own rather than by Hypothesis: the schemas are small and regular, and ten thousand
payloads have to take a second or two.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from simulator.ocpp.v16.messages import REQUESTS

SCHEMA_NAMES = sorted([*REQUESTS, *(f"{action}Response" for action in REQUESTS)])

DATES = (
    "2026-11-22T13:45:00Z",
    "2026-11-22T13:45:00.123+01:00",
    "2013-01-01T00:00Z",
    "20260131T120000Z",
    "2026-01-31t12:00:00z",
)
# Printable and not, in and beyond the basic plane.
_LETTERS = 'aZ09 -_."\\/\n\x00\x7fö\u2028\N{BATTERY}'


@cache
def load_schema(name: str, *, parse_float: type = float) -> dict[str, Any]:
    text = (files("ocpp") / "v16" / "schemas" / f"{name}.json").read_text("utf-8-sig")
    schema: dict[str, Any] = json.loads(text, parse_float=parse_float)
    return schema


def valid_payload(name: str, rng: Random) -> dict[str, Any]:
    """A payload that the schema of that name allows, its dates valid as well."""
    schema = load_schema(name)
    payload: dict[str, Any] = _value(schema, schema, rng)
    return payload


def _value(schema: dict[str, Any], root: dict[str, Any], rng: Random) -> Any:
    if "$ref" in schema:
        return _value(root["definitions"][schema["$ref"].rsplit("/", 1)[1]], root, rng)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema["type"]:
        case "object":
            required = schema.get("required", ())
            share = rng.choice([0, 0.5, 1])
            members = [
                (name, _value(member, root, rng))
                for name, member in schema.get("properties", {}).items()
                if name in required or rng.random() < share
            ]
            rng.shuffle(members)
            return dict(members)
        case "array":
            return [_value(schema["items"], root, rng) for _ in range(rng.randint(schema.get("minItems", 0), 3))]
        case "integer":
            return rng.choice([rng.randint(-1, 100), rng.randint(-(2**33), 2**33), rng.randint(-(10**30), 10**30)])
        case "number":
            # One decimal, as every number of OCPP 1.6; at times without a fraction.
            return rng.choice([rng.randint(0, 10**5) / 10, rng.randint(-(10**9), 10**9) / 10, rng.randint(0, 32)])
        case "boolean":
            return rng.random() < 0.5
        case "string" if schema.get("format") == "date-time":
            return rng.choice(DATES)
        case "string":
            return "".join(rng.choices(_LETTERS, k=rng.choice([0, 1, 5, schema.get("maxLength", 300)])))
    raise AssertionError(f"the schema has a type that is unknown here: {schema['type']}")


def faulty_payload(name: str, rng: Random) -> Any:
    """A payload with one to three faults, some of which may happen to leave it valid."""
    payload: Any = valid_payload(name, rng)
    for _ in range(rng.randint(1, 3)):
        if not isinstance(payload, dict):
            break
        payload = _mutate(payload, rng)
    return payload


def _mutate(payload: dict[str, Any], rng: Random) -> Any:
    fault = rng.choices(["drop", "add", "replace", "lengthen", "empty", "root"], [4, 3, 6, 4, 2, 1])[0]
    if fault == "root":
        return _anything(rng)
    places = list(_places(payload))
    if fault == "add" or not places:
        holders = [payload, *(holder[key] for holder, key in places if isinstance(holder[key], dict))]
        rng.choice(holders)[rng.choice(["extra", "Status", "a b", ""])] = _anything(rng)
        return payload
    holder, key = rng.choice(places)
    if fault == "drop":
        del holder[key]
    elif fault == "lengthen":
        # Around the limits; characters beyond the basic plane, because it is not bytes or UTF-16 units that count.
        holder[key] = "\N{BATTERY}" * (rng.choice([20, 25, 50, 255, 500, 10000]) + rng.randint(0, 1))
    elif fault == "empty" and isinstance(holder[key], list):
        holder[key] = []
    else:
        holder[key] = _anything(rng)
    return payload


def _anything(rng: Random) -> Any:
    values: list[Any] = [
        None,
        True,
        0,
        -1,
        10**25,
        1.0,
        0.05,
        -3.5,
        21.4,
        1e15,
        1e-7,
        "",
        "Accepted",
        [],
        {},
        [{"x": 1}],
    ]
    return rng.choice(values)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, member name or index) of a payload."""
    if not isinstance(value, dict | list):
        return
    for key, member in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        yield from _places(member)
