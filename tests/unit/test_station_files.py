"""The files of stations: one version now and then, whole or not at all, and never in anybody's way."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from simulator.station.memory import PROMISED
from simulator.storage import station_files
from simulator.storage.station_files import StationFiles


class Clerk:
    """Stations that have a number to keep, and what became of their files."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.files = StationFiles(folder)
        self.files.look()
        self.numbers: dict[str, int] = {}
        #: (trio's time, station) of each version.
        self.versions: list[tuple[float, str]] = []
        real = os.replace

        async def here(call: Callable[[], Any]) -> Any:
            return call()  # while a thread works virtual time would jump

        def replace(source: Path, target: Path) -> None:
            self.versions.append((round(trio.current_time() - self.began, 1), target.stem))
            real(source, target)

        monkeypatch.setattr(trio.to_thread, "run_sync", here)
        monkeypatch.setattr(os, "replace", replace)
        self.began = trio.current_time()

    def join(self, *names: str) -> None:
        for name in names:
            self.numbers[name] = 0
            self.files.join(name, lambda name=name: {"memory": {"number": self.numbers[name]}})  # type: ignore[misc]

    def change(self, name: str, within: float = 1.0) -> None:
        self.numbers[name] += 1
        self.files.changed(name, within)

    def kept(self, name: str) -> int:
        number: int = json.loads((self.folder / f"{name}.json").read_text())["memory"]["number"]
        return number


async def test_many_changes_are_few_versions_and_the_last_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    clerk = Clerk(tmp_path, monkeypatch)
    clerk.join("a", "b")
    nursery.start_soon(clerk.files.run)
    for _ in range(100):
        clerk.change("a", within=10)
        await trio.sleep(0.25)
    clerk.change("b", within=300)
    first, second = (time for time, _ in clerk.versions)
    assert first == 10
    assert 20 <= second < 21
    await clerk.files.finish(10)
    assert (clerk.kept("a"), clerk.kept("b")) == (100, 1)
    before = len(clerk.versions)
    clerk.files.changed("a", 1)  # nothing is new
    await trio.sleep(30)
    assert len(clerk.versions) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.json", "b.json"]  # noqa: ASYNC240


async def test_what_was_promised_is_on_the_disk_within_a_second_however_often_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    clerk = Clerk(tmp_path, monkeypatch)
    clerk.join("a")
    nursery.start_soon(clerk.files.run)
    for number in range(1, 41):
        clerk.change("a", within=PROMISED)
        await trio.sleep(0.25)
        assert number < 4 or clerk.kept("a") > number - 4  # 4 changes a second
    assert len(clerk.versions) <= 20


async def test_a_promise_of_every_station_at_once_goes_before_all_that_can_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    clerk = Clerk(tmp_path, monkeypatch)
    names = [f"s{number}" for number in range(2000)]
    clerk.join(*names)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    nursery.start_soon(clerk.files.run)
    for name in names:
        clerk.change(name, within=10)
    await trio.sleep(9.7)
    for name in names[1000:]:
        clerk.change(name, within=PROMISED)
    await trio.sleep(1)
    assert {name for _, name in clerk.versions} >= set(names[1000:])
    assert len(clerk.versions) < 1400  # the others take their time: a few, and a pause
    assert len(synced) < 400  # and those that were promised do not wait for the disk one by one
    await trio.sleep(10)
    assert len(clerk.versions) == 2000


async def test_what_only_counts_is_written_later_unless_something_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    clerk = Clerk(tmp_path, monkeypatch)
    clerk.join("a", "b")
    nursery.start_soon(clerk.files.run)
    clerk.change("a", within=300)
    clerk.change("b", within=300)
    await trio.sleep(50)
    clerk.change("b", within=PROMISED)
    await trio.sleep(400)
    assert clerk.versions == [(50.5, "b"), (300.0, "a")]


async def test_a_full_disk_is_told_once_and_every_file_is_written_when_there_is_room(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: trio.testing.MockClock,
    nursery: trio.Nursery,
) -> None:
    caplog.set_level(logging.INFO)
    clerk = Clerk(tmp_path, monkeypatch)
    clerk.join("a", "b")
    real, full = os.fsync, True

    def fsync(file: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    nursery.start_soon(clerk.files.run)
    clerk.change("a")
    clerk.change("b")
    await trio.sleep(100)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "No space left on device" in warnings[0]
    assert str(tmp_path) in warnings[0]
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240
    full = False
    await trio.sleep(station_files.RETRY_AFTER + 1)
    assert (clerk.kept("a"), clerk.kept("b")) == (1, 1)
    assert "written again" in caplog.text


async def test_the_end_does_not_wait_for_a_disk_that_stays_full(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: trio.testing.MockClock,
) -> None:
    clerk = Clerk(tmp_path / "no" / "place", monkeypatch)
    (tmp_path / "no").write_text("a file")
    clerk.join("a")
    clerk.change("a")
    await clerk.files.finish(5)
    assert trio.current_time() - clerk.began <= 5
    assert "1 station(s) could not be written" in caplog.text


async def test_a_file_of_a_newer_program_is_left_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: trio.testing.MockClock,
) -> None:
    text = json.dumps({"version": 99, "memory": {"number": 5}})
    (tmp_path / "a.json").write_text(text)
    clerk = Clerk(tmp_path, monkeypatch)
    assert clerk.files.recall("a") == {}
    clerk.join("a")
    clerk.change("a")
    await clerk.files.finish(5)
    assert (tmp_path / "a.json").read_text() == text
    assert "newer version" in caplog.text


async def test_files_are_for_their_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    clerk = Clerk(tmp_path, monkeypatch)
    clerk.join("a", "b")
    clerk.change("a")
    clerk.change("b")
    clerk.files.leave("b")
    await clerk.files.finish(5)
    for name in "ab":
        assert (tmp_path / f"{name}.json").stat().st_mode & 0o077 == 0
    clerk.files.forget("a")
    assert [file.name for file in tmp_path.iterdir()] == ["b.json"]  # noqa: ASYNC240


def test_a_station_with_another_hash_id_finds_its_file_by_name_and_template(tmp_path: Path) -> None:
    def write(name: str, station: str, template: str, **more: Any) -> None:
        info = {"chargingStationId": station, "templateName": template}
        (tmp_path / f"{name}.json").write_text(json.dumps({"stationInfo": info, **more}))

    write("old", "CS-1", "keba", version=1)
    write("other", "CS-1", "abb", version=1)
    write("taken", "CS-2", "keba", version=1)
    write("foreign", "CS-3", "keba")
    (tmp_path / "damaged.json").write_text("{")
    files = StationFiles(tmp_path)
    files.look()
    stations = {"new": ("CS-1", "keba"), "taken": ("CS-2", "keba"), "third": ("CS-3", "keba")}
    assert files.strays(stations) == {"new": "old"}
