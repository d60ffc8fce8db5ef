"""Where performance records are stored: what is said about a URI, which file it means, and what of it is shown."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from simulator.config import storage_uris as module
from simulator.config.model import PerformanceStorageConfig
from simulator.config.storage_uris import file_of, show_storage, storage_problem, with_driver


@pytest.fixture(autouse=True)
def drivers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The drivers that are installed."""
    here = {"psycopg", "pg8000", "pymysql", "pymongo"}
    monkeypatch.setattr(module, "find_spec", lambda name: object() if name in here else None)
    return here


def stored(kind: str, uri: str | None = None) -> PerformanceStorageConfig:
    if uri is None:
        return PerformanceStorageConfig(enabled=True, type=kind)  # type: ignore[arg-type]
    return PerformanceStorageConfig(enabled=True, type=kind, uri=uri)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "uri"),
    [
        ("jsonfile", None),
        ("jsonfile", "file:///performance.json"),
        ("jsonfile", "file:///var/lib/simulator/performance.json"),
        ("jsonfile", "performance.json"),
        ("jsonfile", "my records.json"),
        ("sqlite", None),
        ("sqlite", "file:///performance.sqlite"),
        ("sqlite", "sqlite:///performance.sqlite"),
        ("sqlite", "sqlite:////var/lib/performance.sqlite"),
        ("postgresql", "postgresql://me:secret@localhost/simulator"),
        ("postgresql", "postgres://me:secret@localhost:5433/simulator"),
        ("postgresql", "postgresql+pg8000://me@localhost/simulator"),
        ("postgresql", "postgresql:///simulator?host=/run/postgresql"),
        ("mariadb", "mariadb://me@localhost/simulator"),
        ("mariadb", "mysql+pymysql://me:p%40ss@localhost/simulator"),
        ("mysql", "mysql://me@localhost:3306/simulator"),
        ("mongodb", "mongodb://localhost"),
        ("mongodb", "mongodb://me:secret@a:27017,b:27018/simulator?replicaSet=rs"),
        ("mongodb", "mongodb+srv://me:secret@cluster.test/simulator"),
        ("sql", "oracle+oracledb://me@localhost/simulator"),
        ("sql", "sqlite:///performance.sqlite"),
        ("none", "anything"),
    ],
)
def test_a_good_storage_has_no_problem(kind: str, uri: str | None) -> None:
    assert storage_problem(stored(kind, uri)) is None


@pytest.mark.parametrize(
    ("kind", "uri", "message", "suggestion"),
    [
        ("jsonfile", "", "is empty", "file:///performanceRecords.json"),
        ("jsonfile", "mongodb://localhost", "does not begin with file://", "write file://"),
        ("sqlite", "postgresql://localhost/x", "does not begin with sqlite://", "write sqlite://"),
        ("postgresql", None, "is missing for the type postgresql", "postgresql://user:password@localhost/simulator"),
        ("postgresql", "localhost/simulator", "does not begin with postgresql://", "write postgresql://"),
        ("postgresql", "mysql://localhost/simulator", "does not begin with postgresql://", "write postgresql://"),
        ("postgresql", "postgresql://localhost:port/x", "host or port cannot be read", "%40 for @"),
        ("postgresql", "postgresql://me:hunter2/x@localhost/x", "host or port cannot be read", "%2F for /"),
        ("postgresql", "postgresql://localhost:0/x", "port 0", "take it out"),
        ("postgresql", "postgresql://local host/x", "white space", "%20"),
        ("mariadb", "mariadb://me:hunter2@localhost", "names no database", "…localhost/simulator"),
        ("mysql", "mysql://localhost/", "names no database", "…localhost/simulator"),
        ("mongodb", None, "is missing for the type mongodb", "mongodb://"),
        ("sql", "simulator", "begins with its dialect", "://"),
        (
            "postgresql",
            "postgresql+psycopg2://localhost/simulator",
            "the driver psycopg2 is not installed",
            "pip install psycopg2-binary",
        ),
    ],
)
def test_a_bad_storage_is_told_with_its_mend(kind: str, uri: str | None, message: str, suggestion: str) -> None:
    problem = storage_problem(stored(kind, uri))
    assert problem is not None
    assert (problem.key, message in problem.message, suggestion in problem.suggestion) == ("uri", True, True), problem
    assert "hunter2" not in str(problem)


def test_a_missing_driver_is_told_with_what_to_install(drivers: set[str]) -> None:
    drivers.clear()
    for kind, uri, package in (
        ("postgresql", "postgresql://localhost/x", '"psycopg[binary]"'),
        ("postgresql", "postgresql+psycopg://localhost/x", '"psycopg[binary]"'),
        ("mariadb", "mariadb://localhost/x", "pymysql"),
        ("mysql", "mysql://localhost/x", "pymysql"),
        ("mongodb", "mongodb+srv://localhost/x", "pymongo"),
    ):
        problem = storage_problem(stored(kind, uri))
        assert problem is not None
        assert "installed" in problem.message
        assert problem.suggestion == f"pip install {package}"
    assert storage_problem(stored("sqlite")) is None


def test_the_best_driver_that_is_here_is_taken(drivers: set[str]) -> None:
    assert with_driver("postgres://u@h/d?x=1") == "postgresql+psycopg://u@h/d?x=1"
    drivers.remove("psycopg")
    assert with_driver("postgresql://h/d") == "postgresql+pg8000://h/d"
    assert with_driver("postgresql+psycopg2://h/d") == "postgresql+psycopg2://h/d"
    assert with_driver("mariadb://h/d") == "mariadb+pymysql://h/d"
    assert with_driver("oracle://h/d") == "oracle://h/d"


@pytest.mark.skipif(sys.platform == "win32", reason="absolute paths look different there")
@pytest.mark.parametrize(
    ("kind", "uri", "path"),
    [
        ("jsonfile", None, "/data/performanceRecords.json"),
        ("sqlite", None, "/data/performanceRecords.sqlite"),
        ("jsonfile", "file:///records.json", "/data/records.json"),
        ("jsonfile", "file:///my%20records.json", "/data/my records.json"),
        ("jsonfile", "file:///var/lib/records.json", "/var/lib/records.json"),
        ("jsonfile", "file:records/a.json", "/data/records/a.json"),
        ("jsonfile", "records/a.json", "/data/records/a.json"),
        ("jsonfile", "/var/lib/records.json", "/var/lib/records.json"),
        ("sqlite", "sqlite:///records.sqlite", "/data/records.sqlite"),
        ("sqlite", "sqlite:////var/lib/records.sqlite", "/var/lib/records.sqlite"),
        ("sqlite", "sqlite+pysqlite:///a/b.sqlite?x=1", "/data/a/b.sqlite"),
    ],
)
def test_files_with_relative_paths_are_in_the_data_directory(kind: str, uri: str | None, path: str) -> None:
    assert file_of(stored(kind, uri), Path("/data")) == Path(path)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:hunter2@db.test:5432/simulator", "postgresql://db.test:5432/simulator"),
        ("postgresql://me:hun@ter2@db.test/simulator?password=hunter2", "postgresql://db.test/simulator"),
        ("postgresql://me:hun/ter2#?hunter2@db.test/simulator", "postgresql://db.test/simulator"),
        ("mongodb://me:hunter2@a,b/simulator?authSource=admin", "mongodb://a,b/simulator"),
        ("mysql://db.test/simulator?ssl_key=hunter2", "mysql://db.test/simulator"),
        ("localhost/simulator", "localhost/simulator"),
    ],
)
def test_what_is_shown_of_a_uri_holds_no_secret(uri: str, shown: str) -> None:
    assert show_storage(stored("postgresql", uri), Path("data")) == shown


def test_a_file_is_shown_where_it_is() -> None:
    assert show_storage(stored("sqlite"), Path("data")) == str(Path("data", "performanceRecords.sqlite"))
