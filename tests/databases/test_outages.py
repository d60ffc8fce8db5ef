"""A database that goes away and comes back: nothing is lost that fits the buffer, and what does not is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.config.model import PerformanceStorageConfig
from simulator.storage.performance import writer as module
from simulator.storage.performance.records import Record
from simulator.storage.performance.storage import make_store
from simulator.storage.performance.writer import RecordWriter
from tests.databases.servers import PASSWORD, Server
from tests.fakes.performance import made_records

pytestmark = pytest.mark.databases

SERVERS = pytest.mark.parametrize("server", ["postgresql", "mariadb", "mongodb"], indirect=True)
#: Wall seconds for a server to come back and to take what waits.
PATIENCE = 90.0


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the log is told."""
    told: list[str] = []

    class Log:
        def __getattr__(self, level: str) -> Callable[..., None]:
            return lambda text, *values, **_: told.append(text % values)

    monkeypatch.setattr(module, "log", Log())
    yield told
    assert PASSWORD not in "".join(told)


@pytest.fixture
def writing(server: Server, tmp_path: Path) -> Callable[..., RecordWriter]:
    def start(**options: Any) -> RecordWriter:
        config = PerformanceStorageConfig(enabled=True, type=server.kind, uri=server.uri())  # type: ignore[arg-type]
        store = make_store(config, tmp_path)
        assert store is not None
        store.load()
        return RecordWriter(store, server.kind, retry_after=0.2, **options)

    return start


@SERVERS
def test_a_database_that_is_stopped_and_started_again_gets_everything_once(
    server: Server, writing: Callable[..., RecordWriter], lines: list[str]
) -> None:
    records = made_records(600)
    writer = writing()
    for record in records[:200]:
        writer.put(record)
    until(lambda: writer.totals.stored >= 100)
    server.stop()
    for record in records[200:]:
        writer.put(record)
    until(lambda: any("cannot be stored" in line for line in lines))
    assert writer.totals.waiting >= 400
    server.start()
    until(lambda: writer.totals.stored == 600)
    assert writer.close(PATIENCE).dropped == 0
    stored = server.records()
    assert [record["name"] for record in stored] == [record["name"] for record in records]
    assert any(f"stored in {server.kind} again" in line and "0 were dropped" in line for line in lines)


@SERVERS
def test_what_does_not_fit_the_buffer_is_counted(
    server: Server, writing: Callable[..., RecordWriter], lines: list[str]
) -> None:
    records = made_records(500)
    size = Record.of("", records[0]).size
    server.stop()
    writer = writing(buffer=100 * size)
    for record in records:
        writer.put(record)
    until(lambda: any("cannot be stored" in line for line in lines))
    dropped = writer.totals.dropped
    assert 380 <= dropped <= 420
    server.start()
    totals = writer.close(PATIENCE)
    assert (totals.stored, totals.waiting, totals.dropped) == (500 - dropped, 0, dropped)
    assert [record["name"] for record in server.records()] == [record["name"] for record in records[dropped:]]
    assert lines[-1].endswith(
        f"{500 - dropped} stored in {server.kind}, 0 not stored at the end, {dropped} dropped before"
    )


@SERVERS
def test_an_end_without_the_database_is_bounded_and_tells_what_is_lost(
    server: Server, writing: Callable[..., RecordWriter], lines: list[str]
) -> None:
    server.stop()
    try:
        writer = writing()
        for record in made_records(20):
            writer.put(record)
        begun = time.monotonic()
        assert writer.close(1.0).waiting == 20
        assert time.monotonic() - begun < 10
        assert lines[-1].endswith("20 not stored at the end, 0 dropped before")
    finally:
        server.start()
