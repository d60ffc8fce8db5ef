"""How a log line looks: one function per format, all of them pure."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

#: The levels of syslog (RFC 5424 §6.2.1), most severe first, with the numbers of :mod:`logging`.
LEVELS: Mapping[str, int] = {
    "emerg": 70,
    "alert": 60,
    "crit": 50,
    "error": 40,
    "warning": 30,
    "notice": 25,
    "info": 20,
    "debug": 10,
}
# What other tools call them. Nothing is logged between info and debug, so "http" and "verbose" show what info shows.
_ALIASES = {"warn": "warning", "http": "info", "verbose": "info", "silly": "debug", "critical": "crit", "err": "error"}

# C0, DEL and C1: a central system's text must neither forge log lines nor steer a terminal.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {9: "\\t", 10: "\\n", 13: "\\r"}


class Line(msgspec.Struct, gc=False):
    """What a format is given. ``station`` is the charging station's id, ``logger`` the name of the module's logger."""

    time: float
    level: str
    message: str
    fields: dict[str, Any]
    station: str | None = None
    logger: str = ""
    exception: str | None = None


Formatter = Callable[[Line], str]


def level_number(name: str) -> int:
    """The number of a level by its syslog name or one of the usual other names, in any case.

    :raises ValueError: for an unknown name; the message lists the known ones.
    """
    plain = name.strip().lower()
    number = LEVELS.get(_ALIASES.get(plain, plain))
    if number is None:
        raise ValueError(f'unknown log level "{name}"; known are {", ".join([*LEVELS, *_ALIASES])}')
    return number


def known_formats() -> tuple[str, ...]:
    """The names of the formats."""
    return tuple(_FORMATS)


def find_format(name: str) -> Formatter:
    """The format of that name, in any case.

    :raises ValueError: for an unknown name; the message lists the known ones.
    """
    for known, formatter in _FORMATS.items():
        if known.lower() == name.strip().lower():
            return formatter
    raise ValueError(f'unknown log format "{name}"; known are {", ".join(_FORMATS)}')


def encode_fields(fields: Mapping[str, Any]) -> str:
    """JSON of anything that a caller hands in; what JSON cannot express becomes its ``repr``. Never raises."""
    try:
        return _ENCODER.encode(fields).decode()
    except Exception:
        try:
            return json.dumps({str(key): value for key, value in fields.items()}, default=_representation)
        except Exception as error:  # a circular structure, a hostile __str__
            return json.dumps({"unprintable": type(error).__name__})


def printable(text: str) -> str:
    """The text with control characters escaped."""
    return text if text.isprintable() else text.translate(_CONTROL)


# -- the formats -------------------------------------------------------------------------------------------------------


def _simple(line: Line) -> str:
    fields = f" {encode_fields(line.fields)}" if line.fields else ""
    who = line.station or line.logger
    text = f"{line.level}: {_local_time(line.time)} {printable(who)} | {printable(line.message)}{fields}"
    return text if line.exception is None else text + _indented(line.exception)


def _cli(line: Line) -> str:
    fields = f" {encode_fields(line.fields)}" if line.fields else ""
    text = f"{line.level + ':':<9}{printable(line.station or line.logger)} | {printable(line.message)}{fields}"
    return text if line.exception is None else text + _indented(line.exception)


def _json(line: Line) -> str:
    return encode_fields(_members(line))


def _pretty_print(line: Line) -> str:
    members = [f"  {key}: {_inspected(value)}" for key, value in _members(line).items()]
    return "{\n" + ",\n".join(members) + "\n}"


def _logstash(line: Line) -> str:
    members = _members(line)
    return encode_fields(
        {"@timestamp": members.pop("timestamp"), "@message": members.pop("message"), "@fields": members}
    )


_FORMATS: dict[str, Formatter] = {
    "simple": _simple,
    "json": _json,
    "cli": _cli,
    "prettyPrint": _pretty_print,
    "logstash": _logstash,
}


# -- parts -------------------------------------------------------------------------------------------------------------


def _members(line: Line) -> dict[str, Any]:
    members: dict[str, Any] = {"timestamp": _utc_time(line.time), "level": line.level}
    if line.station is not None:
        members["station"] = line.station
    if line.logger:
        members["logger"] = line.logger
    members["message"] = line.message
    for key, value in line.fields.items():
        # A field may bear the name of a member of ours; two members of one name are no JSON that a reader can trust.
        members[f"{key}_" if key in members or key == "exception" else key] = value
    if line.exception is not None:
        members["exception"] = line.exception
    return members


def _inspected(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return encode_fields({"": value}).partition(":")[2][:-1].strip()


def _indented(text: str) -> str:
    # Each line of a traceback is indented, so that a line at the margin is always a log line.
    return "".join(f"\n    {printable(part)}" for part in text.splitlines())


def _representation(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    return repr(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_representation)

# The text of a second is made once: strftime costs more than the rest of a line.
_local_second: tuple[int, str] = (-1, "")
_utc_second: tuple[int, str] = (-1, "")


def _local_time(moment: float) -> str:
    global _local_second
    second = int(moment)
    known, text = _local_second
    if known != second:
        text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        _local_second = (second, text)
    return f"{text}.{int((moment - second) * 1000):03d}"


def _utc_time(moment: float) -> str:
    global _utc_second
    second = int(moment)
    known, text = _utc_second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _utc_second = (second, text)
    return f"{text}.{int((moment - second) * 1000):03d}Z"
