"""Charging sessions as OCPP 1.6 messages tell them: what a recording of StartTransaction, MeterValues and
StopTransaction says of power, limit, energy and state of charge.

A recording is any text that holds frames: the JSON answer of ``listMessages``, what a subscription to messages writes,
frames one a line, or lines of a log with a frame in each. Answers tell which id a transaction has; where they are
missing the id is that of its readings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from simulator.energy.meter_values import ENERGY, LINES, POWER, POWER_OFFERED, SOC, UNITS, bare_phase, read_number
from simulator.energy.plot import SessionPoint
from simulator.timestamps import parse_timestamp

_CALL, _RESULT = 2, 3
# Brackets of a line at which a frame may begin: a log may have some of its own before it.
_BRACKETS = 20


class ToldSession(NamedTuple):
    """One transaction of a recording."""

    station: str
    """Empty where the recording does not name it."""
    connector_id: int
    transaction_id: int | None
    """None where nothing told it."""
    points: list[SessionPoint]


def told_sessions(text: str) -> list[ToldSession]:
    """The sessions of a recording in the order of their begin; those of which nothing was metered are left out."""
    book = _Book()
    for station, frame in _frames(text):
        book.take(station, frame)
    return [session.told() for session in book.sessions if session.metered]


class _Reading(msgspec.Struct):
    """What is known of one instant."""

    power_w: float | None = None
    energy_wh: float | None = None
    limit_w: float | None = None
    soc: float | None = None

    def add(self, samples: Iterable[Any]) -> None:
        """Take what sampled values say; those of one line only where nothing is said of the whole."""
        by_line: dict[str, float] = {}
        for sample in samples:
            value = _base_value(sample)
            if value is None:
                continue
            measurand, phase = sample.get("measurand", ENERGY), sample.get("phase")
            if measurand == POWER and phase is not None and bare_phase(phase) in LINES:
                by_line[bare_phase(phase)] = value
            elif phase is not None:
                continue
            elif measurand == POWER:
                self.power_w = value
            elif measurand == ENERGY:
                self.energy_wh = value
            elif measurand == POWER_OFFERED:
                self.limit_w = value
            elif measurand == SOC:
                self.soc = value
        if self.power_w is None and by_line:
            self.power_w = sum(by_line.values())


class _Session:
    """What has been told of one transaction so far."""

    def __init__(self, station: str, connector_id: int) -> None:
        self.station = station
        self.connector_id = connector_id
        self.transaction_id: int | None = None
        self._readings: dict[float, _Reading] = {}
        self._stopped_at = math.inf

    @property
    def metered(self) -> bool:
        """Whether there is anything to show."""
        known = [each for each in self._readings.values() if each.power_w is not None or each.energy_wh is not None]
        return len(known) > 1

    def at(self, timestamp: Any) -> _Reading:
        """What is known of an instant; an empty one where the timestamp is none."""
        try:
            return self._readings.setdefault(parse_timestamp(timestamp)[0], _Reading())
        except (AttributeError, TypeError, ValueError):
            return _Reading()

    def register(self, timestamp: Any, wh: Any) -> None:
        """Take meterStart or meterStop."""
        self.at(timestamp).energy_wh = read_number(wh)

    def stop(self, timestamp: Any) -> None:
        """The transaction ends: what is metered of it afterwards does not belong to it."""
        try:
            self._stopped_at = parse_timestamp(timestamp)[0]
        except (AttributeError, TypeError, ValueError):
            return

    def meter(self, values: Any) -> None:
        """Take a list of MeterValue."""
        for value in values if isinstance(values, list) else ():
            if isinstance(value, dict) and isinstance(samples := value.get("sampledValue"), list):
                self.at(value.get("timestamp")).add(samples)

    def told(self) -> ToldSession:
        """The points of the session.

        What an instant does not tell goes on as it was. A limit that has changed since the reading before counts, with
        the power under it, from the later of the two. Power that nobody tells is that of the energy.
        """
        known = [(time, self._readings[time]) for time in sorted(self._readings) if time <= self._stopped_at]
        has_power = any(each.power_w is not None for _, each in known)
        base = next((each.energy_wh for _, each in known if each.energy_wh is not None), 0.0)
        first = next((each for _, each in known if each.power_w is not None), _Reading())
        before = SessionPoint(known[0][0], first.power_w or 0.0, 0.0, first.limit_w)
        points: list[SessionPoint] = []
        for time, each in known:
            hours = (time - before.time) / 3600
            power, energy = each.power_w, None if each.energy_wh is None else max(0.0, each.energy_wh - base)
            if power is None:
                mean = 0.0 if energy is None or not hours else (energy - before.energy_wh) / hours
                power = before.power_w if has_power else max(0.0, mean)
            if energy is None:
                energy = before.energy_wh + (before.power_w + power) / 2 * hours
            limit = before.limit_w if each.limit_w is None else each.limit_w
            soc = before.soc if each.soc is None else each.soc
            if limit != before.limit_w:
                points.append(SessionPoint(time, before.power_w, energy, before.limit_w, soc))
            before = SessionPoint(time, power, energy, limit, soc)
            points.append(before)
        return ToldSession(self.station, self.connector_id, self.transaction_id, points)


class _Book:
    """The sessions of all stations."""

    def __init__(self) -> None:
        self.sessions: list[_Session] = []
        self._started: dict[tuple[str, str], _Session] = {}
        self._by_id: dict[tuple[str, int], _Session] = {}
        self._seen: set[tuple[str, str]] = set()

    def take(self, station: str, frame: list[Any]) -> None:
        """Take one frame."""
        message = (station, frame[1])
        if frame[0] == _RESULT:
            session = self._started.pop(message, None)
            if session is not None and isinstance(frame[2], dict):
                self._identify(session, frame[2].get("transactionId"))
            return
        payload = frame[3] if frame[0] == _CALL and len(frame) > 3 else None
        if not isinstance(payload, dict) or message in self._seen:
            return
        self._seen.add(message)  # one that was sent again says the same
        if frame[2] == "StartTransaction":
            session = self._started[message] = _Session(station, _whole(payload.get("connectorId")))
            session.register(payload.get("timestamp"), payload.get("meterStart"))
            self.sessions.append(session)
        elif frame[2] == "MeterValues":
            if (session := self._find(station, payload)) is not None:
                session.meter(payload.get("meterValue"))
        elif frame[2] == "StopTransaction" and (session := self._find(station, payload)) is not None:
            session.meter(payload.get("transactionData"))
            session.register(payload.get("timestamp"), payload.get("meterStop"))
            session.stop(payload.get("timestamp"))

    def _find(self, station: str, payload: Mapping[str, Any]) -> _Session | None:
        """The session that a message names; a new one where its begin is not in the recording."""
        number = payload.get("transactionId")
        if not isinstance(number, int):
            return None
        session = self._by_id.get((station, number))
        if session is None:
            session = _Session(station, _whole(payload.get("connectorId")))
            self.sessions.append(session)
            self._identify(session, number)
        return session

    def _identify(self, session: _Session, number: Any) -> None:
        if isinstance(number, int):
            session.transaction_id = number
            self._by_id[session.station, number] = session


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _base_value(sample: Any) -> float | None:
    """The number of a sampled value in the base unit of its measurand; None where it is none of ours."""
    if not isinstance(sample, dict) or sample.get("format", "Raw") != "Raw":
        return None
    value, units = read_number(sample.get("value")), UNITS.get(sample.get("measurand", ENERGY))
    if value is None or units is None:
        return None
    unit = sample.get("unit", next(iter(units)))
    return value * units[unit][0] if unit in units else None


# -- frames ------------------------------------------------------------------------------------------------------------


def _frames(text: str) -> Iterator[tuple[str, list[Any]]]:
    """Every frame of a text with the station that the recording names for it."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if document is not None:
        yield from _within(document, "")
        return
    for line in text.splitlines():
        yield from _of_line(line)


def _of_line(line: str) -> Iterator[tuple[str, list[Any]]]:
    decoder = json.JSONDecoder()
    starts = (start for start, character in enumerate(line) if character in "[{")
    for start in islice(starts, _BRACKETS):
        try:
            value, _ = decoder.raw_decode(line, start)
        except (ValueError, RecursionError):
            continue
        found = list(_within(value, ""))
        if found:
            yield from found
            return


def _within(value: Any, station: str) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(value, dict):
        name = value.get("stationId")
        station = name if isinstance(name, str) else station
        if isinstance(text := value.get("text"), str):
            try:
                inner = json.loads(text)
            except (ValueError, RecursionError):
                return
            yield from _within(inner, station)
            return
        for member in value.values():
            yield from _within(member, station)
    elif isinstance(value, list):
        if len(value) > 2 and value[0] in (_CALL, _RESULT) and isinstance(value[1], str):
            yield station, value
            return
        for member in value:
            yield from _within(member, station)
