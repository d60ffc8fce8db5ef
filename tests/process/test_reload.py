"""The files of a running simulator are edited: only what they are about changes, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.process.program import PATIENCE, TEMPLATE, Central, Program, central_system, program, write_fleet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")

#: Stations of the template that is changed in place, and of the other one.
MANY, FEW = 50, 5
CHARGING = 2 * (MANY + FEW)
NOT_TOUCHED = "the simulator goes on with what was there before"


class Edited:
    """The files of a run, and the lines that it has said of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run: Program
        self._read = 0

    def template(self, name: str, **changes: Any) -> None:
        """As many editors do: another file, renamed."""
        path = self.folder / f"{name}.station-template.json"
        document = {**json.loads(path.read_text()), **changes}
        temporary = path.with_suffix(".swp")
        temporary.write_text(json.dumps(document))
        os.replace(temporary, path)

    def config(self, **changes: Any) -> None:
        """As others do: in place."""
        path = self.folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def entries(self, **counts: int) -> None:
        self.config(stationTemplateUrls=[{"file": name, "numberOfStations": count} for name, count in counts.items()])

    async def line(self) -> str:
        """The next line that is said."""
        await self.run.until(lambda: len(self._lines()) > self._read, "a line about files", timeout=2 * PATIENCE)
        self._read += 1
        return self._lines()[self._read - 1]

    def _lines(self) -> list[str]:
        return [line for line in self.run.err.split("\n")[:-1] if "read again" in line or NOT_TOUCHED in line]


class Count:
    """What a central system has seen since."""

    def __init__(self, central: Central) -> None:
        self._central = central
        self._stopped = {each.transaction_id for each in central.ledger if each.reason is not None}
        self._closings = len(central.closings)
        self._boots = self._all_boots()

    def _all_boots(self) -> Counter[str]:
        return Counter({name: station.boots for name, station in self._central.stations.items()})

    def stops(self) -> list[tuple[str, str]]:
        """Station and reason of each transaction that has been stopped."""
        return [
            (each.station_id, str(each.reason))
            for each in self._central.ledger
            if each.reason is not None and each.transaction_id not in self._stopped
        ]

    def boots(self) -> Counter[str]:
        return self._all_boots() - self._boots

    def closings(self) -> list[tuple[str, int]]:
        return self._central.closings[self._closings :]


@pytest.fixture
def ports() -> list[int]:
    """Two ports that are free."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (first, second)]


async def healthy(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        except httpx.TransportError:
            return False


@pytest.mark.timeout(240)
async def test_edits_touch_what_they_are_about_and_nothing_is_lost(tmp_path: Path, ports: list[int]) -> None:
    generator = {**TEMPLATE["AutomaticTransactionGenerator"], "minDuration": 36_000, "maxDuration": 36_000}
    template = {**TEMPLATE, "AutomaticTransactionGenerator": generator}
    config = write_fleet(tmp_path, stations=MANY, **template)
    (tmp_path / "other.station-template.json").write_text(json.dumps({**template, "baseName": "OTHER"}))
    async with central_system() as (central, url):
        arguments = ("run", config, "--csms", url, "--speed", "20", "--json", "--data-dir", tmp_path / "data")
        files = Edited(tmp_path)
        files.config(uiServer={"options": {"port": ports[0]}})
        files.entries(ours=MANY, other=FEW)
        async with program(*arguments, cwd=tmp_path) as run:
            files.run = run
            await central.until(lambda: central.open_transactions() == CHARGING, "all charge", timeout=60)
            assert await healthy(ports[0])

            seen = Count(central)
            running = set(central.ledger.open)
            files.template("ours", resetTime=7, power=11)
            assert await files.line() == f"ours.station-template.json: read again; stations: {MANY} changed in place"
            (tmp_path / "authorization-tags.json").write_text('["TAG-A", "TAG-NEW"]')
            assert (await files.line()).endswith(f"stations: {MANY + FEW} changed in place")
            files.template("ours", power="much", resetTime=3)
            line = await files.line()
            assert line.startswith(f"error: {tmp_path}/ours.station-template.json: power: ")
            assert line.endswith(NOT_TOUCHED)
            path = tmp_path / "ours.station-template.json"
            path.write_text(path.read_text()[:100])
            assert (await files.line()).startswith("error: ")
            assert set(central.ledger.open) == running  # so far nobody has noticed anything
            assert (seen.stops(), seen.closings(), seen.boots()) == ([], [], Counter())

            files.template("other", voltageOut=110)  # ours is still a half
            assert (await files.line()).endswith(f"stations: {FEW} restarted")
            await central.until(lambda: seen.boots().total() == FEW, "they boot", timeout=PATIENCE)
            assert all(name.startswith("OTHER") and times == 1 for name, times in seen.boots().items())
            assert Counter(reason for _, reason in seen.stops()) == {"Reboot": 2 * FEW}
            assert {code for _, code in seen.closings()} == {1000}

            seen = Count(central)
            files.entries(ours=MANY - 2, other=FEW + 3)
            assert (await files.line()).endswith("stations: 2 removed, 3 added")
            await central.until(lambda: len(seen.boots()) == 3, "new ones boot", timeout=PATIENCE)
            assert {name for name, _ in seen.stops()} == {f"CS-{MANY - 1:05}", f"CS-{MANY:05}"}
            assert len(seen.boots()) == 3

            files.config(uiServer={"options": {"port": ports[1]}}, logFile="other.log")
            assert (await files.line()).endswith("logFile, uiServer changed")
            assert await healthy(ports[1])
            assert not await healthy(ports[0])
            assert (tmp_path / "data" / "logs").is_dir()
            assert any(file.name.startswith("other") for file in (tmp_path / "data" / "logs").iterdir())

            run.signal(signal.SIGTERM)
            assert await run.ended(within=60) == 0
        assert central.violations == []
        totals = central.ledger.totals()
        assert totals["open"] == totals["abandoned"] == totals["unknownStops"] == 0
    summary = json.loads(run.out)
    assert summary["stations"]["configured"] == MANY + FEW + 1
    assert summary["calls"]["sent"] == summary["calls"]["answered"]
    assert summary["transactions"] == {"started": totals["started"], "stopped": totals["stopped"]}


async def test_without_the_watch_files_count_as_they_were(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=1)
    async with central_system() as (central, url):
        arguments = ("run", config, "--csms", url, "--no-ui", "--no-watch", "--data-dir", tmp_path / "data")
        async with program(*arguments, "--json", "--duration", "3") as run:
            await central.until(lambda: len(central.stations) == 1, "it connects", timeout=PATIENCE)
            config.write_text("{")
            assert await run.ended() == 0
    assert run.err == ""
    assert json.loads(run.out)["stations"]["configured"] == 1
