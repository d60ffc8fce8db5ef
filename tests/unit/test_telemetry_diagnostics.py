"""What the process finds of a station in its log files and on the wire."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simulator.events import EventBus, FrameReceived
from simulator.telemetry.diagnostics import ProcessDiagnostics
from simulator.telemetry.log import LogSettings, configure_logging, current_log_file, get_station_logger
from simulator.telemetry.wire_log import WireLog

#: 2026-11-22T10:00:00Z.
NOON = 1_795_341_600.0


def same(instant: float) -> float:
    return instant


@pytest.fixture(params=["simple", "json", "prettyPrint", "logstash"])
def log_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A log of three stations over two hours, a line each hour."""
    moment = NOON
    path = tmp_path / "combined.log"
    writer = configure_logging(LogSettings(format=request.param, file=path, rotate=False), now=lambda: moment)
    try:
        for hour in (0, 1):
            moment = NOON + hour * 3600
            for station in ("CS-1", "CS-11", "CS-1.2"):
                get_station_logger(station).info("hour %s of %s", hour, station, answer="fine")
        try:
            raise ValueError("the cause")
        except ValueError:
            get_station_logger("CS-1").exception("it failed")
        assert current_log_file() == path
    finally:
        writer.close()
    return path


async def test_a_station_gets_its_own_lines_with_all_that_belongs_to_them(log_file: Path) -> None:
    files = await ProcessDiagnostics(log_file, real_time=same).files("hash-1", "CS-1", None, None)
    text = files["station.log"].decode()
    assert "hour 0 of CS-1" in text
    assert "hour 1 of CS-1" in text
    assert "ValueError: the cause" in text
    assert "CS-11" not in text
    assert "CS-1.2" not in text


async def test_a_window_bounds_the_lines(log_file: Path) -> None:
    source = ProcessDiagnostics(log_file, real_time=lambda virtual: virtual + 3600)
    files = await source.files("hash-1", "CS-1", NOON - 100, NOON + 100)
    text = files["station.log"].decode()
    assert "hour 1 of CS-1" in text
    assert "hour 0" not in text


async def test_rotated_files_are_read_in_their_order(tmp_path: Path) -> None:
    for age, name in enumerate(["combined-2026-11-22.log.1", "combined-2026-11-22.log", "combined-2026-11-21.log"]):
        path = tmp_path / name
        path.write_text(f"info: 2026-11-2{2 - age} 10:00:00.000 CS-1 | {name} \n", encoding="utf-8")
        os.utime(path, (NOON - age, NOON - age))
    (tmp_path / "error-2026-11-22.log").write_text("error: CS-1 | of another log\n", encoding="utf-8")
    files = await ProcessDiagnostics(tmp_path / "combined.log", real_time=same).files("hash-1", "CS-1", None, None)
    names = [line.split("|")[1].strip() for line in files["station.log"].decode().splitlines()]
    assert names == ["combined-2026-11-21.log", "combined-2026-11-22.log", "combined-2026-11-22.log.1"]


async def test_frames_of_the_station_are_there_without_secrets() -> None:
    moment = NOON
    bus = EventBus()
    wire = WireLog(bus, now=lambda: moment)
    bus.publish(FrameReceived("hash-1", "CS-1", '[3,"1",{}]'))
    moment += 60
    secret = '[2,"2","ChangeConfiguration",{"key":"AuthorizationKey","value":"s3cr3t"}]'
    bus.publish(FrameReceived("hash-1", "CS-1", secret))
    bus.publish(FrameReceived("hash-2", "CS-2", '[3,"3",{}]'))
    files = await ProcessDiagnostics(None, wire=wire, real_time=same).files("hash-1", "CS-1", NOON + 30, None)
    [line] = files["frames.log"].decode().splitlines()
    assert line.startswith("2026-11-22T10:01:00.000+00:00 received [2,")
    assert "s3cr3t" not in line


async def test_a_log_that_cannot_be_read_is_empty(tmp_path: Path) -> None:
    source = ProcessDiagnostics(tmp_path / "no" / "combined.log", real_time=same)
    assert await source.files("hash-1", "CS-1", None, None) == {"station.log": b""}
