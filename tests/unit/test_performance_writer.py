"""The thread that writes performance records: batches, a bounded buffer, outages, and an end in bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from simulator.storage.performance import writer as module
from simulator.storage.performance.records import Record, Refused, Unavailable
from simulator.storage.performance.writer import RecordWriter
from tests.fakes.performance import made_records

RECORDS = made_records(300)
#: Wall seconds for what a thread does, on a busy machine.
PATIENCE = 20.0


class Shelf:
    """A store in memory that can be closed for a while, hang, and refuse."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.batches: list[int] = []
        self.opened = self.closed = 0
        self.down = False
        self.refused: set[str] = set()
        self.hang: threading.Event | None = None
        self.failures = 0

    def load(self) -> None:
        """Nothing is needed."""

    def open(self) -> None:
        """Connect."""
        if self.down:
            self.failures += 1
            raise Unavailable("connection refused")
        self.opened += 1

    def write(self, records: Sequence[Record]) -> None:
        """Take records."""
        if self.hang is not None:
            self.hang.wait(PATIENCE)
        if self.down:
            self.failures += 1
            raise Unavailable("the server went away with password=hunter2")
        if any(record.name in self.refused for record in records):
            raise Refused("too strange")
        self.batches.append(len(records))
        self.records += records

    def close(self) -> None:
        """Let go."""
        self.closed += 1


def until(met: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def names(records: Sequence[Any]) -> list[str]:
    return [record["name"] if isinstance(record, dict) else record.name for record in records]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the log is told."""
    told: list[str] = []

    class Log:
        def __getattr__(self, level: str) -> Callable[..., None]:
            return lambda text, *values, **_: told.append(text % values)

    monkeypatch.setattr(module, "log", Log())
    return told


def test_records_come_in_order_and_in_batches(lines: list[str]) -> None:
    shelf = Shelf()
    shelf.hang = threading.Event()
    writer = RecordWriter(shelf, "shelf")
    for record in RECORDS:
        writer.put(record)
    shelf.hang.set()
    totals = writer.close(PATIENCE)
    assert (totals.stored, totals.waiting, totals.dropped) == (300, 0, 0)
    assert names(shelf.records) == names(RECORDS)
    assert len(shelf.batches) <= 3
    assert max(shelf.batches) <= module.BATCH
    assert (shelf.opened, shelf.closed, lines) == (1, 1, [])


def test_an_outage_loses_nothing_that_fits_the_buffer(lines: list[str]) -> None:
    shelf = Shelf()
    writer = RecordWriter(shelf, "shelf", retry_after=0.01)
    for record in RECORDS[:100]:
        writer.put(record)
    until(lambda: len(shelf.records) == 100)
    shelf.down = True
    for record in RECORDS[100:]:
        writer.put(record)
    until(lambda: shelf.failures >= 4)
    assert writer.totals.waiting == 200
    shelf.down = False
    until(lambda: len(shelf.records) == 300)
    assert writer.close(PATIENCE).dropped == 0
    assert names(shelf.records) == names(RECORDS)
    failure, recovery = lines
    assert failure.startswith("performance records cannot be stored in shelf (connection refused)")
    assert recovery.startswith("performance records are stored in shelf again")
    assert "0 were dropped" in recovery


def test_a_full_buffer_drops_the_oldest_and_tells_how_many(lines: list[str]) -> None:
    shelf = Shelf()
    shelf.down = True
    size = Record.of("", RECORDS[0]).size
    writer = RecordWriter(shelf, "shelf", buffer=50 * size + 200, retry_after=0.01)
    for record in RECORDS:
        writer.put(record)
    totals = writer.totals
    assert totals.waiting + totals.dropped == 300
    assert 40 <= totals.waiting <= 51
    shelf.down = False
    assert writer.close(PATIENCE).stored == totals.waiting
    assert names(shelf.records) == names(RECORDS)[-totals.waiting :]
    assert any("the buffer is full: the oldest are dropped" in line for line in lines)
    stored, dropped = totals.waiting, totals.dropped
    assert lines[-1].endswith(f" {stored} stored in shelf, 0 not stored at the end, {dropped} dropped before")


def test_what_is_being_written_is_not_dropped() -> None:
    shelf = Shelf()
    shelf.hang = threading.Event()
    writer = RecordWriter(shelf, "shelf", buffer=3 * Record.of("", RECORDS[0]).size)
    writer.put(RECORDS[0])
    until(lambda: shelf.opened)
    until(lambda: writer._taken == 1)
    for record in RECORDS[1:]:
        writer.put(record)
    shelf.hang.set()
    totals = writer.close(PATIENCE)
    assert totals.stored + totals.dropped == 300
    assert names(shelf.records)[0] == RECORDS[0]["name"]
    assert len(shelf.records) == totals.stored


def test_a_store_that_hangs_holds_up_neither_the_fleet_nor_the_end(lines: list[str]) -> None:
    shelf = Shelf()
    shelf.hang = threading.Event()
    writer = RecordWriter(shelf, "shelf")
    begun = time.monotonic()
    for record in RECORDS:
        writer.put(record)
    totals = writer.close(0.2)
    assert time.monotonic() - begun < PATIENCE / 2
    assert totals.waiting == 300
    assert lines == ["performance records: 0 stored in shelf, 300 not stored at the end, 0 dropped before"]
    shelf.hang.set()


def test_a_dead_store_is_given_up_at_the_end(lines: list[str]) -> None:
    shelf = Shelf()
    shelf.down = True
    writer = RecordWriter(shelf, "shelf", retry_after=100)
    for record in RECORDS[:5]:
        writer.put(record)
    until(lambda: shelf.failures)
    assert writer.close(0.5).waiting == 5
    assert shelf.failures > 1, "the end is another chance"
    assert lines[-1].startswith("performance records: 0 stored in shelf, 5 not stored at the end")


def test_a_connection_that_the_server_let_go_is_opened_anew_without_ado(lines: list[str]) -> None:
    class Fickle(Shelf):
        def write(self, records: Sequence[Record]) -> None:
            if self.opened == 1 and self.records:
                raise Unavailable("the server closed the connection")
            super().write(records)

    shelf = Fickle()
    writer = RecordWriter(shelf, "shelf", retry_after=100)
    writer.put(RECORDS[0])
    until(lambda: shelf.records)
    writer.put(RECORDS[1])
    until(lambda: len(shelf.records) == 2)
    assert shelf.opened == 2
    assert lines == []
    writer.close(PATIENCE)


def test_a_record_that_is_refused_holds_up_no_other(lines: list[str]) -> None:
    shelf = Shelf()
    shelf.refused = {RECORDS[2]["name"]}
    writer = RecordWriter(shelf, "shelf")
    for record in RECORDS[:5]:
        writer.put(record)
    until(lambda: len(shelf.records) == 4)
    totals = writer.close(PATIENCE)
    assert (totals.stored, totals.dropped, totals.waiting) == (4, 1, 0)
    assert f"shelf refuses one of {RECORDS[2]['name']}, which is dropped: too strange" in lines[0]


def test_secrets_in_a_reason_are_masked(lines: list[str]) -> None:
    shelf = Shelf()
    shelf.down = True
    shelf.open = lambda: None  # type: ignore[method-assign]
    writer = RecordWriter(shelf, "shelf", retry_after=0.01)
    writer.put(RECORDS[0])
    until(lambda: lines)
    writer.close(0.1)
    assert "hunter2" not in "".join(lines)


def test_a_fault_of_a_driver_is_an_outage(lines: list[str]) -> None:
    shelf = Shelf()
    faults = [ZeroDivisionError("a fault"), None]

    def open_store() -> None:
        if (fault := faults.pop(0)) is not None:
            raise fault

    shelf.open = open_store  # type: ignore[method-assign]
    writer = RecordWriter(shelf, "shelf", retry_after=0.01)
    writer.put(RECORDS[0])
    until(lambda: shelf.records)
    writer.close(PATIENCE)
    assert lines == ["performance records: writing to shelf failed"]


def test_an_end_does_not_wait_for_a_store_that_was_away_already(lines: list[str]) -> None:
    shelf = Shelf()
    shelf.down = True
    writer = RecordWriter(shelf, "shelf", retry_after=0.01)
    for record in RECORDS[:7]:
        writer.put(record)
    until(lambda: lines)
    begun = time.monotonic()
    assert writer.close(PATIENCE, hopeful=False).waiting == 7
    assert time.monotonic() - begun < PATIENCE / 2
    assert lines[-1].endswith("0 stored in shelf, 7 not stored at the end, 0 dropped before")


def test_a_store_that_comes_back_in_time_gets_what_waits_at_the_end(lines: list[str]) -> None:
    shelf = Shelf()
    shelf.down = True
    writer = RecordWriter(shelf, "shelf", retry_after=0.01)
    for record in RECORDS[:7]:
        writer.put(record)
    until(lambda: lines)
    shelf.down = False
    assert writer.close(PATIENCE, hopeful=False).stored == 7
