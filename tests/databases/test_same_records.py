"""The same records wherever they are stored, read back by each database's own driver."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulator.config.model import PerformanceStorageConfig
from simulator.storage.performance.storage import make_store
from simulator.storage.performance.writer import RecordWriter
from simulator.timestamps import format_timestamp
from tests.databases.servers import Server
from tests.fakes.performance import keyed, made_records

pytestmark = pytest.mark.databases

RECORDS = made_records(450)  # more than two batches
#: Wall seconds to write them on a busy machine.
PATIENCE = 60.0


def store_all(settings: PerformanceStorageConfig, folder: Path) -> None:
    store = make_store(settings, folder)
    assert store is not None
    store.load()
    writer = RecordWriter(store, "the test's")
    for record in RECORDS:
        writer.put(record)
    totals = writer.close(PATIENCE)
    assert (totals.stored, totals.waiting, totals.dropped) == (len(RECORDS), 0, 0)


def settings(kind: str, uri: str | None = None) -> PerformanceStorageConfig:
    if uri is None:
        return PerformanceStorageConfig(enabled=True, type=kind)  # type: ignore[arg-type]
    return PerformanceStorageConfig(enabled=True, type=kind, uri=uri)  # type: ignore[arg-type]


def without_keys(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in document.items() if name != "_key"} for document in documents]


def test_json_file(tmp_path: Path) -> None:
    store_all(settings("jsonfile"), tmp_path)
    assert json.loads((tmp_path / "performanceRecords.json").read_text(encoding="utf-8")) == RECORDS


def test_sqlite(tmp_path: Path) -> None:
    store_all(settings("sqlite"), tmp_path)
    with closing(sqlite3.connect(tmp_path / "performanceRecords.sqlite")) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM performance_records ORDER BY record")]
    for row in rows:
        del row["record"]
        row["statisticsData"] = json.loads(row["statisticsData"])
        for member in ("createdAt", "updatedAt"):
            row[member] = format_timestamp(datetime.fromisoformat(row[member]).replace(tzinfo=UTC).timestamp())
    assert rows == RECORDS


@pytest.mark.parametrize(
    ("server", "kind", "scheme"),
    [
        ("postgresql", "postgresql", ""),
        ("postgresql", "postgresql", "postgres"),
        ("postgresql", "postgresql", "postgresql+pg8000"),
        ("postgresql", "sql", "postgresql+psycopg"),
        ("mariadb", "mariadb", ""),
        ("mariadb", "mysql", "mysql"),
        ("mongodb", "mongodb", ""),
    ],
    indirect=["server"],
)
def test_database(server: Server, kind: str, scheme: str, tmp_path: Path) -> None:
    if scheme.endswith("pg8000"):
        pytest.importorskip("pg8000")
    store_all(settings(kind, server.uri(scheme)), tmp_path)
    assert without_keys(server.records()) == RECORDS


@pytest.mark.parametrize("server", ["postgresql", "mariadb", "mongodb"], indirect=True)
def test_what_was_stored_before_a_failure_is_not_stored_twice(server: Server, tmp_path: Path) -> None:
    """The answer to a batch may be lost though the batch was stored: the next attempt writes the rest."""
    store = make_store(settings(server.kind, server.uri()), tmp_path)
    assert store is not None
    store.load()
    records = keyed(RECORDS[:10])
    store.open()
    store.write(records[:4])
    store.write(records[4:6])
    store.close()
    store._uncertain = True  # type: ignore[attr-defined] # MongoDB finds out by itself
    store.open()
    store.write(records)
    store.close()
    assert without_keys(server.records()) == RECORDS[:10]


@pytest.mark.parametrize("server", ["postgresql", "mariadb", "mongodb"], indirect=True)
def test_strange_texts_are_stored_or_dropped_alone(
    server: Server, tmp_path: Path, make_strange: Callable[[], list[dict[str, Any]]]
) -> None:
    """Names that a central system may invent: dots, dollars, NUL characters, emojis, quotes."""
    store = make_store(settings(server.kind, server.uri()), tmp_path)
    assert store is not None
    store.load()
    writer = RecordWriter(store, "the test's")
    strange = make_strange()
    for record in strange:
        writer.put(record)
    totals = writer.close(PATIENCE)
    assert totals.waiting == 0
    assert totals.stored + totals.dropped == len(strange)
    stored = without_keys(server.records())
    assert len(stored) == totals.stored
    assert stored == [record for record in strange if record in stored]
    assert strange[0] in stored
    assert strange[-1] in stored


@pytest.fixture
def make_strange() -> Callable[[], list[dict[str, Any]]]:
    def make() -> list[dict[str, Any]]:
        records = made_records(6)
        heartbeat = records[0]["statisticsData"]["Heartbeat"]
        for record, name in zip(records[1:-1], ("a.b", "$set", "\0", "⚡ 'quoted\" \\ %s :name"), strict=True):
            record["statisticsData"][name] = heartbeat
        return records

    return make
