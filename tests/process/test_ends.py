"""How a run ends: in order at the first signal, at once at the second, whoever inherits what."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from simulator.interrupts import Interrupts
from tests.fakes.script import withhold
from tests.process.program import COMMAND, Central, central_system, finished, program, write_fleet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")

#: Wall seconds that the ordered end may take.
ORDERED_END = 5.0


async def _all_charge(central: Central, stations: int) -> None:
    await central.until(lambda: central.open_transactions() == 2 * stations, "all connectors charge", timeout=20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_everything_in_order(number: signal.Signals, tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=3)
    async with (
        central_system() as (central, url),
        program("run", config, "--csms", url, "--speed", "60", "--json", "--data-dir", tmp_path / "data") as run,
    ):
        await _all_charge(central, 3)
        run.signal(number)
        assert await run.ended(within=ORDERED_END) == 0
        await central.until(lambda: len(central.closings) == 3, "every connection ends", timeout=5)
        assert central.closings == [(name, 1000) for name, _ in central.closings]
        for name in ("CS-00001", "CS-00002", "CS-00003"):
            reports = central.stations[name].connectors
            assert {connector: report.status for connector, report in reports.items()} == dict.fromkeys(
                (0, 1, 2), "Unavailable"
            )
        assert central.open_transactions() == 0
        assert {transaction.reason for transaction in central.ledger} == {"Local"}
        assert central.violations == []
    assert run.err == ""
    summary = json.loads(run.out)
    totals = central.ledger.totals()
    assert summary["transactions"] == {"started": 6, "stopped": 6} == {k: totals[k] for k in ("started", "stopped")}
    assert summary["energyWh"] == totals["energyWh"]
    assert summary["calls"]["sent"] == summary["calls"]["answered"] == len(central.calls)


async def test_a_signal_that_was_inherited_as_ignored_is_obeyed(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=1)
    background = ["sh", "-c", "trap '' INT TERM; exec \"$@\"", "sh", *COMMAND]
    async with (
        central_system() as (central, url),
        program("run", config, "--csms", url, "--data-dir", tmp_path / "data", command=background) as run,
    ):
        await central.wait_for("CS-00001", "StatusNotification", 3, timeout=20)
        run.signal(signal.SIGINT)
        assert await run.ended(within=ORDERED_END) == 0


async def test_a_silent_central_system_does_not_delay_the_end(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=2)
    async with (
        central_system() as (central, url),
        program("run", config, "--csms", url, "--speed", "60", "--data-dir", tmp_path / "data") as run,
    ):
        await _all_charge(central, 2)
        for action in ("StopTransaction", "StatusNotification", "MeterValues", "Heartbeat", "Authorize"):
            central.on(action, withhold())
        run.signal(signal.SIGTERM)
        assert await run.ended(within=ORDERED_END) == 0
    assert "warning: 4 transactions left open: the central system answered no StopTransaction\n" in run.err


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=2)
    async with (
        central_system() as (central, url),
        program("run", config, "--csms", url, "--speed", "60", "--json", "--data-dir", tmp_path / "data") as run,
    ):
        await _all_charge(central, 2)
        central.on("StopTransaction", withhold())
        run.signal(signal.SIGINT)
        await central.wait_for("CS-00001", "StopTransaction", timeout=5)
        run.signal(signal.SIGINT)
        assert await run.ended(within=2.5) == 1
    assert run.err == "error: ended at once by a second signal: transactions may be left open\n"
    assert json.loads(run.out)["transactions"]["stopped"] == 0


async def test_the_central_system_alone_prints_its_url_and_ends_on_a_signal() -> None:
    async with program("csms", "--port", "0", "--json") as csms:
        await csms.until(lambda: "\n" in csms.out, "the URL")
        csms.signal(signal.SIGTERM)
        assert await csms.ended(within=ORDERED_END) == 0
    url, summary = csms.out.splitlines()
    assert re.fullmatch(r"ws://127\.0\.0\.1:\d+/", url)
    assert json.loads(summary)["violations"] == {}
    assert csms.err == ""


def test_a_signal_before_the_run_is_kept_for_it_and_a_second_one_interrupts() -> None:
    with Interrupts() as interrupts:
        assert not interrupts.happened()
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.happened()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


async def test_a_run_that_was_interrupted_before_its_start_starts_nothing() -> None:
    early = "import signal, simulator.cli.plans as plans; real = plans.first_reading\n"
    early += "def first_reading(sources): signal.raise_signal(signal.SIGINT); return real(sources)\n"
    early += "plans.first_reading = first_reading; from simulator.cli import main; main()"
    run = await finished("demo", "--stations", "3", "--json", command=[sys.executable, "-c", early])
    assert run.process.returncode == 0, run.err
    assert json.loads(run.out)["stations"] == {"configured": 3, "started": 0, "accepted": 0}


async def test_a_run_without_a_central_system_has_failed_when_it_lasted(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=2)
    run = await finished("run", config, "--duration", "1", "--json", "--data-dir", tmp_path / "data")
    assert run.process.returncode == 1
    assert run.err.startswith("error: no station was accepted by the central system in 1 s (CS-0000")
    assert "ws://127.0.0.1:1/CS-0000" in run.err
    assert "refused" in run.err
    assert run.err.count("\n") == 1
    assert json.loads(run.out)["stations"] == {"configured": 2, "started": 2, "accepted": 0}


async def test_a_rejected_fleet_says_so(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=1)
    async with central_system() as (central, url):
        central.on("BootNotification", {"status": "Rejected", "currentTime": "2026-11-22T10:00:00Z", "interval": 60})
        run = await finished("run", config, "--csms", url, "--duration", "1", "--data-dir", tmp_path / "data")
    assert run.process.returncode == 1
    assert "CS-00001: BootNotification was answered with Rejected" in run.err
