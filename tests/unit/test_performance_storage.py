"""The storage of performance records as a part of a run: what is taken when, and a change of settings on the way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simulator.config.model import PerformanceStorageConfig
from simulator.storage.performance.records import Unusable
from simulator.storage.performance.storage import PerformanceStorage
from tests.fakes.performance import made_records

JSON = PerformanceStorageConfig(enabled=True, interval=60)
SQLITE = PerformanceStorageConfig(enabled=True, type="sqlite", interval=60)


class Source:
    """Gives records as the statistics do, each once."""

    def __init__(self) -> None:
        self.fresh: list[dict[str, Any]] = []
        self.asked = 0

    def __call__(self) -> Iterator[Mapping[str, Any]]:
        self.asked += 1
        while self.fresh:
            yield self.fresh.pop(0)


@asynccontextmanager
async def running(source: Source, folder: Path) -> AsyncIterator[PerformanceStorage]:
    storage = PerformanceStorage(source, folder)
    async with trio.open_nursery() as nursery:
        await nursery.start(storage.run)
        yield storage
        nursery.cancel_scope.cancel()
    await storage.close(20)


def in_file(folder: Path) -> list[str]:
    return [record["name"] for record in json.loads((folder / "performanceRecords.json").read_text(encoding="utf-8"))]


def in_database(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "performanceRecords.sqlite")) as database:
        return [name for (name,) in database.execute("SELECT name FROM performance_records ORDER BY record")]


RECORDS = made_records(50)
NAMES = [record["name"] for record in RECORDS]


async def test_records_are_taken_every_interval_and_at_the_end(tmp_path: Path, autojump_clock: MockClock) -> None:
    source = Source()
    async with running(source, tmp_path) as storage:
        await trio.sleep(1000)
        assert source.asked == 0, "nothing is taken while nothing is stored"
        await storage.use(JSON)
        source.fresh = RECORDS[:45]
        await trio.sleep(59)
        assert source.asked == 0
        await trio.sleep(2)
        assert (source.asked, source.fresh) == (1, [])
        source.fresh = RECORDS[45:]
    assert in_file(tmp_path) == NAMES
    assert storage.totals.waiting == 0


async def test_other_settings_hold_at_once_and_nothing_is_lost(tmp_path: Path, autojump_clock: MockClock) -> None:
    source = Source()
    async with running(source, tmp_path) as storage:
        await storage.use(JSON)
        source.fresh = RECORDS[:10]
        await storage.use(SQLITE)
        assert in_file(tmp_path) == NAMES[:10]
        assert storage.settings == SQLITE
        source.fresh = RECORDS[10:20]
        await trio.sleep(61)
        await storage.use(PerformanceStorageConfig(enabled=False))
        assert in_database(tmp_path) == NAMES[10:20]
        source.fresh = RECORDS[20:]
        await trio.sleep(1000)
        assert len(source.fresh) == 30, "switched off: what is told now waits"
        await storage.use(JSON)
    assert in_file(tmp_path) == NAMES[:10] + NAMES[20:]


async def test_what_a_storage_cannot_take_goes_to_the_one_after_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    source = Source()
    away = PerformanceStorageConfig(enabled=True, type="sqlite", uri="sqlite:///folder.sqlite", interval=60)
    async with running(source, tmp_path) as storage:
        await storage.use(away)
        (tmp_path / "folder.sqlite").mkdir()  # which no database can be
        source.fresh = RECORDS[:10]
        await storage.use(SQLITE)
        source.fresh = RECORDS[10:20]
    assert in_database(tmp_path) == NAMES[:20]


async def test_settings_that_cannot_be_used_change_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    source = Source()
    bad = PerformanceStorageConfig(enabled=True, type="sql", uri="nonsense://me:hunter2@host/db")
    async with running(source, tmp_path) as storage:
        await storage.use(JSON)
        with pytest.raises(Unusable, match=r"performanceStorage\.uri: ") as caught:
            await storage.use(bad)
        assert "hunter2" not in str(caught.value)
        assert storage.settings == JSON
        source.fresh = RECORDS[:1]
    assert in_file(tmp_path) == NAMES[:1]


async def test_the_table_of_a_database_has_the_members_of_a_record(tmp_path: Path, autojump_clock: MockClock) -> None:
    source = Source()
    async with running(source, tmp_path) as storage:
        await storage.use(SQLITE)
        source.fresh = RECORDS[:1]
    with closing(sqlite3.connect(tmp_path / "performanceRecords.sqlite")) as database:
        columns = 'id, name, uri, "createdAt", "updatedAt", "statisticsData"'
        ((*texts, created, updated, data),) = database.execute(f"SELECT {columns} FROM performance_records")
    assert texts == [RECORDS[0][member] for member in ("id", "name", "uri")]
    assert datetime.fromisoformat(f"{created}+00:00") == datetime.fromisoformat(RECORDS[0]["createdAt"])
    assert datetime.fromisoformat(f"{updated}+00:00") == datetime.fromisoformat(RECORDS[0]["updatedAt"])
    assert json.loads(data) == RECORDS[0]["statisticsData"]
