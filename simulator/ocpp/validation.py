"""Payloads against the schemas of the Open Charge Alliance, and what a CALLERROR says of one that does not fit.

The schemas come as files of the package ``ocpp``. A valid payload, which is nearly every one, costs one pass of the
compiled schema; only an invalid one is gone through again for its errors. Of several errors the one reported is a
missing member, else an unknown one, else a wrong type, else a wrong value.

The ``format`` of the schemas is left to this module: a ``date-time`` may have any form of ISO 8601, because peers (and
examples of the standard itself) leave out seconds or the zone. Any ``uri`` passes; its reader knows which schemes it
can use. What schemas cannot say (no negative connector, one purpose for the profile of a remote start) is left to the
handlers as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import jsonschema_rs
import msgspec

from simulator.ocpp.errors import CallRefused, ErrorCode
from simulator.ocpp.frames import MAX_DESCRIPTION
from simulator.ocpp.v16.messages import REQUESTS
from simulator.timestamps import parse_timestamp

Kind = jsonschema_rs.ValidationErrorKind

# Collecting all errors takes 25 µs for each and would stop the process for seconds when every element of a huge array
# has one, so a payload of more values than this is only asked for its first.
_MAX_VALUES = 5000
_MAX_QUOTED = 50

# (rank, code) by keyword; of several errors the one of the lowest rank is reported.
_MISSING, _EXTRA, _TYPE, _VALUE = range(4)
_BY_KEYWORD: dict[str, tuple[int, ErrorCode]] = {
    "required": (_MISSING, ErrorCode.PROTOCOL_ERROR),
    "additionalProperties": (_EXTRA, ErrorCode.FORMATION_VIOLATION),
    "type": (_TYPE, ErrorCode.TYPE_CONSTRAINT_VIOLATION),
    "minItems": (_VALUE, ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION),
    "maxItems": (_VALUE, ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION),
}
_OTHER_KEYWORD = (_VALUE, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION)

# Dates as they are nearly always written: they need no second look.
_CANONICAL = re.compile(
    r"2\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?Z"
).fullmatch

# Where a schema has dates: by member, None for a date, else the dates below; an array is looked through.
_Dates: TypeAlias = "dict[str, _Dates | None]"
Warn: TypeAlias = Callable[[str], object]


class Violation(msgspec.Struct, frozen=True):
    """Why a payload is refused: code and description of the CALLERROR, and ``path`` and ``keyword`` as its details.

    The description is one line of at most 255 characters; it quotes no text of a member whose value may be a secret.
    """

    code: ErrorCode
    description: str
    details: dict[str, object]

    def as_refusal(self) -> CallRefused:
        """The exception that answers the call with this violation."""
        return CallRefused(self.code, self.description, self.details)


class PayloadValidator:
    """Checks payloads of one OCPP version. Schemas are compiled at their first use and shared by the whole process.

    :param version: ``"1.6"``, with the security extension.
    """

    __slots__ = ("version",)

    def __init__(self, version: str = "1.6") -> None:
        if version != "1.6":
            raise ValueError(f"there are no schemas for OCPP {version}; the versions are: 1.6")
        self.version = version

    def knows(self, action: str) -> bool:
        """Whether the version has that action (names are case-sensitive)."""
        return action in REQUESTS

    def request(
        self, action: str, payload: object, *, strict: bool = False, warn: Warn | None = None
    ) -> Violation | None:
        """Check the payload of a CALL; None if it is valid. An unknown action is a violation (NotImplemented).

        A date without a zone means UTC: ``warn`` is called with one line about it, or it is refused if ``strict``.
        """
        return self._check(action, action, payload, strict, warn)

    def response(
        self, action: str, payload: object, *, strict: bool = False, warn: Warn | None = None
    ) -> Violation | None:
        """Check the payload of a CALLRESULT; otherwise as :meth:`request`."""
        return self._check(action, f"{action}Response", payload, strict, warn)

    def _check(self, action: str, name: str, payload: object, strict: bool, warn: Warn | None) -> Violation | None:
        if action not in REQUESTS:
            return Violation(ErrorCode.NOT_IMPLEMENTED, f"unknown action {_quoted(action)}", {})
        if isinstance(payload, msgspec.Struct):
            payload = msgspec.to_builtins(payload)
        validator, dates = _compiled(name)
        try:
            if not validator.is_valid(payload):
                return _first_violation(validator, payload)
        except (ValueError, RecursionError) as error:
            # Not JSON: possible only for a payload that was built here, or one nested beyond the engine's limit.
            description = _one_line(f"the payload cannot be checked: {error}")
            return Violation(ErrorCode.FORMATION_VIOLATION, description, {"path": ""})
        return _check_dates(payload, dates, strict, warn) if dates else None


@cache
def _compiled(name: str) -> tuple[jsonschema_rs.Validator, _Dates]:
    # Old schema files begin with a byte order mark. Their two drafts differ: only draft-06 takes 1.0 for an integer.
    schema = json.loads((files("ocpp") / "v16" / "schemas" / f"{name}.json").read_text("utf-8-sig"))
    return jsonschema_rs.validator_for(schema, validate_formats=False), _dates_of(schema, schema)


# -- what is wrong -----------------------------------------------------------------------------------------------------


def _first_violation(validator: jsonschema_rs.Validator, payload: object) -> Violation:
    if not isinstance(payload, dict):
        description = f"the payload must be an object, not {_type_name(payload)}"
        return Violation(ErrorCode.FORMATION_VIOLATION, description, {"path": "", "keyword": "type"})
    error = min(_errors(validator, payload), key=_rank)
    keyword = str(error.schema_path[-1])
    code = _BY_KEYWORD.get(keyword, _OTHER_KEYWORD)[1]
    path, description = _describe(error, payload)
    return Violation(code, _one_line(description), {"path": path, "keyword": keyword})


def _errors(validator: jsonschema_rs.Validator, payload: object) -> list[jsonschema_rs.ValidationError]:
    if _count_values(payload) > _MAX_VALUES:
        try:
            validator.validate(payload)
        except jsonschema_rs.ValidationError as error:
            return [error]
    return list(validator.iter_errors(payload))


def _count_values(payload: object) -> int:
    """How many values there are, or some number beyond the limit."""
    count = 0
    level = [payload]
    while level and count <= _MAX_VALUES:
        count += len(level)
        level = [
            member
            for value in level
            if isinstance(value, dict | list | tuple)
            for member in (value.values() if isinstance(value, dict) else value)
        ]
    return count


def _rank(error: jsonschema_rs.ValidationError) -> int:
    return _BY_KEYWORD.get(str(error.schema_path[-1]), _OTHER_KEYWORD)[0]


def _describe(error: jsonschema_rs.ValidationError, payload: object) -> tuple[str, str]:
    """Path of the offending member, and a sentence on it that starts with the path."""
    steps = list(error.instance_path)
    path = _path(steps)
    value: Any = payload
    for step in steps:
        value = value[step]
    match error.kind:
        case Kind.Required(property=name):
            path = _path([*steps, name])
            said = "missing, but required"
        case Kind.AdditionalProperties(unexpected=names):
            path = _path([*steps, names[0]])
            said = "unknown member" if len(names) == 1 else f"unknown member, one of {len(names)}"
        case Kind.Type(types=types):
            said = f"must be {' or '.join(_with_article(name) for name in types)}, not {_type_name(value)}"
        case Kind.Enum(options=options):
            said = f"{_quoted(value)} is none of {', '.join(str(option) for option in options)}"
        case Kind.MaxLength(limit=limit):
            said = f"{len(value)} characters long, at most {limit} are allowed"
        case Kind.MinItems(limit=limit):
            said = f"has {len(value)} elements, at least {limit} needed"
        case Kind.MultipleOf(multiple_of=unit):
            said = f"{_quoted(value)} is not a multiple of {unit}"
        case _:
            said = f"breaks the rule {error.schema_path[-1]} of its schema"
    return path, f"{path}: {said}"


def _path(steps: list[str | int]) -> str:
    """``meterValue[0].sampledValue[2].unit``; a name that is no plain word is quoted as in JSON."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if step.isidentifier() and len(step) <= _MAX_QUOTED else _quoted(step)
            text += f".{name}" if text else name
    return text


def _quoted(value: object) -> str:
    """The beginning of a value as JSON, in one line whatever it holds."""
    if not isinstance(value, str):
        return json.dumps(value)
    text = json.dumps(value[:_MAX_QUOTED], ensure_ascii=not value.isprintable())
    return text if len(value) <= _MAX_QUOTED else f'{text[:-1]}…"'


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_DESCRIPTION else text[: MAX_DESCRIPTION - 1] + "…"


def _type_name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a floating-point number"
        case dict():
            return "an object"
        case _:
            return "an array"


def _with_article(type_name: str) -> str:
    return f"an {type_name}" if type_name[0] in "aio" else f"a {type_name}"


# -- dates -------------------------------------------------------------------------------------------------------------


def _dates_of(schema: dict[str, Any], root: dict[str, Any]) -> _Dates:
    dates: _Dates = {}
    for name, member in schema.get("properties", {}).items():
        while "$ref" in member or "items" in member:
            member = root["definitions"][member["$ref"].rsplit("/", 1)[1]] if "$ref" in member else member["items"]
        if member.get("format") == "date-time":
            dates[name] = None
        elif below := _dates_of(member, root):
            dates[name] = below
    return dates


def _check_dates(payload: object, dates: _Dates, strict: bool, warn: Warn | None) -> Violation | None:
    for path, text in _dates_in(payload, dates, ""):
        if _CANONICAL(text) is not None:
            continue
        try:
            _, has_zone = parse_timestamp(text)
        except (ValueError, OverflowError):
            description = f"{path}: {_quoted(text)} is not a date and time, for example 2026-01-31T12:00:00Z"
            return _date_violation(path, description)
        if has_zone:
            continue
        if strict:
            return _date_violation(path, f"{path}: {_quoted(text)} names no time zone, add Z for UTC")
        if warn is not None:
            warn(f"{path}: {_quoted(text)} names no time zone, taken as UTC")
    return None


def _date_violation(path: str, description: str) -> Violation:
    details: dict[str, object] = {"path": path, "keyword": "format"}
    return Violation(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, _one_line(description), details)


def _dates_in(value: Any, dates: _Dates, prefix: str) -> list[tuple[str, str]]:
    """The dates of an object that its schema allows, with their paths."""
    found: list[tuple[str, str]] = []
    for name, below in dates.items():
        member = value.get(name)
        if member is None:
            continue
        if below is None:
            found.append((prefix + name, member))
        elif isinstance(member, dict):
            found += _dates_in(member, below, f"{prefix}{name}.")
        else:
            for index, element in enumerate(member):
                found += _dates_in(element, below, f"{prefix}{name}[{index}].")
    return found
