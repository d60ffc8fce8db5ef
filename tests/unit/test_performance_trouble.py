"""Storages that can never work are told before anything is stored."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

from simulator.cli.checks import storage_problems
from simulator.config.load import default_config
from simulator.storage.performance.files import file_trouble


def told(**storage: Any) -> list[str]:
    document = {
        "supervisionUrls": "ws://x/",
        "stationTemplateUrls": [{"file": "keba", "numberOfStations": 1}],
        "performanceStorage": {"enabled": True, **storage},
    }
    problems = storage_problems(default_config(Path("config.json"), document, environ={}))
    assert {(problem.path, problem.severity) for problem in problems} <= {("performanceStorage.uri", "error")}
    return [problem.message for problem in problems]


@pytest.mark.parametrize("kind", ["jsonfile", "sqlite"])
def test_a_file_that_can_never_be_written(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    assert told(type=kind, uri=f"file://{tmp_path}/new/records") == []
    assert told(type=kind, uri=f"file://{tmp_path}/file") == []
    (line,) = told(type=kind, uri=f"file://{tmp_path}/file/records")
    assert line == f"{tmp_path}/file/records cannot be made: {tmp_path}/file is a file"
    (line,) = told(type=kind, uri=f"file://{tmp_path}")
    assert line == f"{tmp_path} is a folder: name a file in it"
    assert [file.name for file in tmp_path.iterdir()] == ["file"], "to look changes nothing"


@pytest.mark.parametrize("kind", ["jsonfile", "sqlite"])
def test_a_file_in_the_data_directory_is_no_business_of_a_check(kind: str) -> None:
    assert told(type=kind) == told(type=kind, uri="file:///other") == []


def test_a_place_where_this_user_may_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = tmp_path / "closed"
    refused.mkdir()
    (tmp_path / "mine").write_text("")
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != refused and path.name != "mine" and allowed(path, mode)
    )
    assert file_trouble(refused / "new" / "a.json") == (
        f"{refused}/new/a.json cannot be made: no permission to write in {refused}"
    )
    assert file_trouble(tmp_path / "mine") == f"{tmp_path}/mine cannot be written: permission denied"
    assert file_trouble(tmp_path / "new" / "a.json") is None


@pytest.mark.parametrize(
    ("kind", "driver", "good", "bad"),
    [
        ("postgresql", "psycopg", "sslmode=require&connect_timeout=3", "conect_timeout=3"),
        ("postgresql", "pg8000", "application_name=me", "sslmode=require"),
        ("mysql", "pymysql", "charset=utf8mb4", "charst=utf8mb4"),
    ],
)
def test_an_option_that_the_driver_does_not_know(kind: str, driver: str, good: str, bad: str) -> None:
    if importlib.util.find_spec(driver) is None or importlib.util.find_spec("sqlalchemy") is None:
        pytest.skip(f"{driver} is not installed")
    uri = f"{kind}+{driver}://me:hunter2@127.0.0.1:1/db"
    assert told(type=kind, uri=uri) == told(type=kind, uri=f"{uri}?{good}") == []
    (line,) = told(type=kind, uri=f"{uri}?{bad}")
    name = bad.partition("=")[0]
    assert line == f'the option "{name}" behind the ? is unknown to the driver {driver}: take it out'
    (line,) = told(type=kind, uri=f"{uri}?hun.ter=2")
    assert "hun" not in line
    assert json.dumps(line).count("hunter2") == 0
