"""One frame of the OCPP wire for readers: in the wire log's files, from the UI server, and as a line for people.

A file is NDJSON: each line is an object of :class:`WireRecord`. ``frame`` is the message as JSON, so that tools for
JSON can look into it; what is none is ``text`` instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from .redaction import redact_frame

Direction = Literal["sent", "received"]
Kind = Literal["call", "result", "error", "other"]

_HEAD = re.compile(r'\s*\[\s*([234])\s*,\s*"((?:[^"\\]|\\.)*)"\s*(?:,\s*"((?:[^"\\]|\\.)*)")?')
_KINDS: dict[str, Kind] = {"2": "call", "3": "result", "4": "error"}
# CALLs that wait for their answer, over all stations; of more the oldest answers go without the name of their action.
_MOST_ASKED = 100_000


# One object: a member is left out only if it is its default, not if it equals that.
_NO_FRAME = msgspec.Raw()


class WireRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One frame. ``time`` in RFC 3339 with milliseconds, ``direction`` as the station sees it; secrets are masked."""

    time: str
    station_id: str
    direction: Direction
    kind: Kind
    hash_id: str = ""
    message_id: str | None = None
    action: str | None = None
    """The action of a CALL, and that of the CALL that a result or an error answers, if that one was seen."""
    frame: msgspec.Raw = _NO_FRAME
    text: str | None = None
    dropped: int = 0
    """Frames that are missing before this one."""

    @property
    def content(self) -> str:
        """The frame as text."""
        return bytes(self.frame).decode() if self.text is None else self.text

    def message(self) -> list[Any] | None:
        """The frame as JSON values; None if it is no array."""
        try:
            found = msgspec.json.decode(self.frame)
        except msgspec.DecodeError:
            return None
        return found if isinstance(found, list) else None


class Conversation:
    """Tells of each frame, in their order, what kind it is, its message id and the action that it is about."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, Direction, str], str] = {}

    def follow(self, hash_id: str, direction: Direction, text: str) -> tuple[Kind, str | None, str | None]:
        """Kind, message id and action of a station's next frame; None where it has none or it is not known."""
        head = _HEAD.match(text)
        if head is None:
            return "other", None, None
        kind, message_id = _KINDS[head[1]], head[2]
        if kind == "call":
            action = head[3]
            if action is not None:
                self._asked[hash_id, direction, message_id] = action
                if len(self._asked) > _MOST_ASKED:
                    del self._asked[next(iter(self._asked))]
            return kind, message_id, action
        # Each side numbers its own CALLs, so an answer belongs to a CALL that went the other way.
        asker: Direction = "received" if direction == "sent" else "sent"
        return kind, message_id, self._asked.pop((hash_id, asker, message_id), None)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which frames somebody wants. What is empty or None selects all.

    ``stations``: names or hashIds, with ``*`` and ``?`` for what may stand there. ``actions``: in any case; the answers
    of their CALLs belong along. ``pattern``: a regular expression that is found in the frame's text.
    """

    stations: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    direction: Direction | None = None
    pattern: re.Pattern[str] | None = None

    def wants_station(self, station_id: str, hash_id: str) -> bool:
        """Whether frames of that station are wanted."""
        return not self.stations or any(
            fnmatchcase(station_id, wanted) or (bool(hash_id) and fnmatchcase(hash_id, wanted.lower()))
            for wanted in self.stations
        )

    def wants_action(self, action: str | None) -> bool:
        """Whether frames about that action are wanted."""
        return not self.actions or (action is not None and action.lower() in {name.lower() for name in self.actions})

    def wants(self, record: WireRecord) -> bool:
        """Whether that frame is wanted."""
        return (
            (self.direction is None or self.direction == record.direction)
            and self.wants_action(record.action)
            and self.wants_station(record.station_id, record.hash_id)
            and (self.pattern is None or self.pattern.search(record.content) is not None)
        )


# -- making and reading ------------------------------------------------------------------------------------------------


def make_record(
    moment: float,
    hash_id: str,
    station_id: str,
    direction: Direction,
    kind: Kind,
    message_id: str | None,
    action: str | None,
    text: str,
    dropped: int = 0,
) -> WireRecord:
    """The record of a frame, without its secrets. ``moment`` in POSIX seconds."""
    shown = redact_frame(text)
    frame = _as_json(shown)
    return WireRecord(
        time=datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        station_id=station_id,
        direction=direction,
        kind=kind,
        hash_id=hash_id,
        message_id=message_id,
        action=action,
        frame=_NO_FRAME if frame is None else frame,
        text=shown if frame is None else None,
        dropped=dropped,
    )


def gap_record(moment: float, dropped: int) -> WireRecord:
    """A record that stands for frames that could not be written. ``moment`` in POSIX seconds."""
    return make_record(moment, "", "", "sent", "other", None, None, "", dropped)


def _as_json(text: str) -> msgspec.Raw | None:
    try:
        data = text.encode()
        msgspec.json.decode(data, type=msgspec.Raw)
        # A line is a line: what is spread over several is put together.
        return msgspec.Raw(msgspec.json.format(data, indent=-1) if "\n" in text or "\r" in text else data)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def from_ui(message: Mapping[str, Any]) -> WireRecord:
    """The record of a frame that the UI server tells of (``MessageFrame``)."""
    return make_record(
        message["time"],
        message["hashId"],
        message["stationId"],
        message["direction"],
        message["kind"],
        message.get("messageId"),
        message.get("action"),
        message["text"],
    )


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(WireRecord).decode


def to_line(record: WireRecord) -> str:
    """The record as a line of a file, without the line feed."""
    return _encode(record).decode()


def from_line(line: str | bytes) -> WireRecord | None:
    """The record that a line of a file holds; None if it holds none."""
    try:
        record = _decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return record if record.text is not None or record.frame else None


def read_lines(lines: Iterable[str | bytes], broken: list[int]) -> Iterator[WireRecord]:
    """The records of a file; the numbers of lines that are none are added to ``broken``."""
    for number, line in enumerate(lines, 1):
        record = from_line(line)
        if record is not None:
            yield record
        elif line.strip():
            broken.append(number)


def for_people(record: WireRecord) -> str:
    """The record in one line for people: local time, station, arrow, what it is, the frame."""
    try:
        local = datetime.fromisoformat(record.time).astimezone()
        moment = local.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
    except ValueError:
        moment = record.time
    arrow = "->" if record.direction == "sent" else "<-"
    missing = f"({record.dropped} frames are missing here)\n" if record.dropped else ""
    if not record.station_id:
        return f"{moment} ({record.dropped} frames are missing here)"
    what = {"call": "", "result": " result", "error": " error", "other": "?"}[record.kind]
    return f"{missing}{moment} {record.station_id} {arrow} {record.action or ''}{what} {record.content}"
