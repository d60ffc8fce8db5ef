"""Performance records for tests of their storage."""

from __future__ import annotations

from typing import Any

import msgspec

from simulator.events import CallAnswered, CallSent, EventBus
from simulator.storage.performance.records import Record
from simulator.telemetry.statistics import FleetStatistics


def made_records(stations: int, *, begin: float = 1_795_341_600.123) -> list[dict[str, Any]]:
    """Records of so many stations that have measured a little, as the statistics tell them."""
    moments = (begin + number * 0.25 for number in range(10**9))
    bus = EventBus()
    fleet = FleetStatistics(bus, now=lambda: next(moments))
    for number in range(1, stations + 1):
        who = (f"{number:096x}", f"CS-Ü-{number:05d}")
        for action, milliseconds in (("BootNotification", 12.5), ("Heartbeat", 1 + number), ("Heartbeat", 2.25)):
            bus.publish(CallSent(*who, action))
            bus.publish(CallAnswered(*who, action, milliseconds / 1000))
    return list(fleet.fresh_records())


def keyed(records: list[dict[str, Any]], run: str = "run") -> list[Record]:
    """Records as a writer hands them to a store."""
    return [Record.of(f"{run}-{number:012d}", record) for number, record in enumerate(records)]


def plain(record: Record) -> dict[str, Any]:
    """The record as JSON has it."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record.document()))
    return document
