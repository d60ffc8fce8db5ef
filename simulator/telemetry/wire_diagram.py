"""Frames of the OCPP wire as a Mermaid sequence diagram, which many viewers of Markdown draw."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from .wire_records import WireRecord

#: Seconds without a frame that the diagram tells of.
PAUSE = 10.0
#: Characters of what is told of a message.
LONGEST = 90
#: Characters that viewers of Mermaid take unless told otherwise.
MERMAID_LIMIT = 50_000

# Members that make a label longer and tell little.
_TIMES = frozenset({"timestamp", "currentTime"})
# What Mermaid would take for itself: the end of a statement, the begin of an entity, markup.
_ESCAPES = {ord(character): f"#{ord(character)};" for character in ';#<>"`%{}[]\\'}


def sequence_diagram(records: Iterable[WireRecord], *, central: str = "Central system") -> str:
    """The frames as text of Mermaid; requests are solid arrows, answers dashed ones, refusals end in a cross."""
    participants: dict[tuple[str, str], str] = {}
    body: list[str] = []
    last: float | None = None
    for record in records:
        if record.dropped:
            body.append(f"    Note over C: {record.dropped} frames are missing here")
        if not record.station_id:
            continue
        station = participants.setdefault((record.hash_id, record.station_id), f"S{len(participants) + 1}")
        moment = _seconds(record.time)
        if moment is not None:
            if last is not None and moment - last >= PAUSE:
                body.append(f"    Note over {station},C: {_duration(moment - last)} later")
            last = moment
        arrow = {"call": "->>", "result": "-->>", "error": "--x", "other": "-)"}[record.kind]
        ends = (station, "C") if record.direction == "sent" else ("C", station)
        body.append(f"    {ends[0]}{arrow}{ends[1]}: {_escaped(_label(record))}")
    head = [f"    participant {key} as {_escaped(name)}" for (_, name), key in participants.items()]
    return "\n".join(["sequenceDiagram", *head, f"    participant C as {_escaped(central)}", *body]) + "\n"


def _label(record: WireRecord) -> str:
    message = record.message()
    name = record.action or ""
    if message is None or record.kind == "other":
        return _short(record.content) or "(nothing)"
    if record.kind == "call" and len(message) > 3:
        return _short(f"{name} {_members(message[3])}".strip())
    if record.kind == "result" and len(message) > 2:
        said = _members(message[2])
        return _short(f"{name}: {said}" if said and name else said or name or "(empty)")
    if record.kind == "error" and len(message) > 2:
        description = message[3] if len(message) > 3 and message[3] else ""
        return _short(f"{name}: {message[2]}" + (f", {description}" if description else ""))
    return _short(record.content)


def _members(payload: Any) -> str:
    """The plain members of a payload, and how many others there are."""
    if not isinstance(payload, dict):
        return ""
    told = []
    for key, value in payload.items():
        if key in _TIMES:
            continue
        if isinstance(value, dict):
            inner = ", ".join(f"{name}={each}" for name, each in value.items() if not isinstance(each, (dict, list)))
            told.append(f"{key}=({inner})")
        elif isinstance(value, list):
            told.append(f"{key}=({len(value)})")
        else:
            told.append(f"{key}={value}")
    return ", ".join(told)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _escaped(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).translate(_ESCAPES)


def _seconds(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
