"""The figures of a whole run against a central system on a real socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.script import delay
from tests.process.program import central_system, finished, write_fleet

ACTIONS = [
    "Authorize",
    "BootNotification",
    "Heartbeat",
    "MeterValues",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
]


async def latency(tmp_path: Path, late: float) -> dict[str, Any]:
    """The ``latencyMs`` of a short run against a central system that answers ``late`` seconds late."""
    config = write_fleet(tmp_path, stations=2)
    async with central_system() as (central, url):
        for action in ACTIONS if late else ():
            central.on(action, delay(late))
        options = ("--duration", "2.5", "--json", "--no-ui", "--data-dir", tmp_path / "data")
        run = await finished("run", config, "--csms", url, *options)
        assert central.violations == []
    assert run.process.returncode == 0, run.err
    figures: dict[str, Any] = json.loads(run.out)["latencyMs"]
    return figures


async def test_a_central_system_that_takes_200_ms_reads_200_ms(tmp_path: Path) -> None:
    at_once, late = await latency(tmp_path / "at once", 0), await latency(tmp_path / "late", 0.2)
    # What a loaded machine adds shows in the run without a delay.
    assert 200 <= late["p50"] <= 205 + 3 * at_once["p50"]
    assert at_once["p50"] == pytest.approx(0, abs=50)
