"""The program is killed at every message in turn, and each time goes on where it was.

One data directory and one central system see a row of processes. In each of them every station is to charge twice; the
process gets SIGKILL when the central system receives the n-th message of the first station, before it is answered, with
n growing by one from life to life until a life is finished. The other stations are hit wherever they are then.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio

from simulator.csms import CallUnanswered, Station, StationNotConnected
from simulator.csms.ledger import LedgerTransaction
from simulator.csms.link import Link
from simulator.ocpp.frames import Call
from simulator.timestamps import parse_timestamp
from tests.process.program import PATIENCE, Central, Program, program, write_fleet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")

STATIONS = ("CS-00001", "CS-00002", "CS-00003")
TRANSACTIONS = 2
#: Virtual seconds between two samples, and wall seconds at the speed of the test: 0.2.
INTERVAL, SPEED = 60, 300
#: Messages of a station until all its connectors are told: BootNotification and two StatusNotifications.
STATUSES = 2
#: A life without a kill has this many messages of a station at least, or the test would not see what it is for.
AT_LEAST = 12

TEMPLATE: Mapping[str, Any] = {
    "AutomaticTransactionGenerator": None,
    "meteringPerTransaction": False,
    "Connectors": {"0": {}, "1": {}},
    "Configuration": {
        "configurationKey": [
            {"key": "MeterValueSampleInterval", "value": str(INTERVAL)},
            {"key": "AuthorizeRemoteTxRequests", "value": "false"},
        ]
    },
}

_OF_TRANSACTIONS = frozenset({"StartTransaction", "MeterValues", "StopTransaction"})


class Killer(Central):
    """Drives the stations through their sessions, and kills their process at a message."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__(nursery)
        self.victim: Program | None = None
        self.kill_at = 0
        self._heard: Counter[str] = Counter()

    def begin_life(self, victim: Program, kill_at: int) -> None:
        """A new process. It is killed at that message of the first station, counted from 1."""
        self.victim, self.kill_at = victim, kill_at
        self._heard.clear()

    def respond(self, station: Station, link: Link, call: Call) -> str | None:
        """Count, and kill or answer."""
        self._heard[station.station_id] += 1
        if station.station_id == STATIONS[0] and self._heard[STATIONS[0]] == self.kill_at:
            assert self.victim is not None
            self.victim.signal(signal.SIGKILL)
            if self.kill_at % 2 == 0:  # half of the deaths come when the message has been booked
                super().respond(station, link, call)
            return None
        return super().respond(station, link, call)

    async def drive(self, name: str) -> None:
        """Let a station of this life charge twice, one after the other."""
        await self.until(lambda: self._heard[name] > STATUSES, "it has reported its connectors", timeout=PATIENCE)
        for _ in range(TRANSACTIONS):
            # That of an earlier life, perhaps: its end may still be on its way.
            former = self.ledger.running(name, 1)
            while await self._request(name, "RemoteStartTransaction", connectorId=1, idTag="TAG") != "Accepted":  # noqa: ASYNC110
                await trio.sleep(0.02)  # the last session is not over yet
            await self.until(partial(self._charges, name, former, samples=1), "it charges", timeout=PATIENCE)
            running = self.ledger.running(name, 1)
            assert running is not None
            await self._request(name, "RemoteStopTransaction", transactionId=running.transaction_id)
            await self.until(lambda: self.ledger.running(name, 1) is None, "it has stopped", timeout=PATIENCE)

    def _charges(self, name: str, former: LedgerTransaction | None, *, samples: int) -> bool:
        running = self.ledger.running(name, 1)
        return running is not None and running is not former and running.meter_values >= samples

    async def _request(self, name: str, action: str, **payload: Any) -> str:
        try:
            return str((await self.station(name).call(action, payload))["status"])
        except (StationNotConnected, CallUnanswered):
            await trio.sleep_forever()  # killed meanwhile: so ends this life
            raise AssertionError from None


async def live(central: Killer, run: Program) -> bool:
    """One life: True when it was finished, False when it was killed."""
    finished = False
    async with trio.open_nursery() as life:

        async def die_with(process: trio.Process) -> None:
            await process.wait()
            life.cancel_scope.cancel()

        life.start_soon(die_with, run.process)
        async with trio.open_nursery() as sessions:
            for name in STATIONS:
                sessions.start_soon(central.drive, name)
        finished = True
        life.cancel_scope.cancel()
    return finished


@pytest.mark.timeout(240)  # a row of processes, each of which starts anew
async def test_a_process_killed_at_every_message_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=len(STATIONS), **TEMPLATE)
    finished = False
    lives = 0
    async with trio.open_nursery() as nursery:
        central = Killer(nursery)
        url: str = await nursery.start(central.serve)
        arguments = ("run", config, "--csms", url, "--speed", str(SPEED), "--data-dir", tmp_path / "data")
        while not finished:
            lives += 1
            async with program(*arguments) as run:
                central.begin_life(run, lives)
                if await live(central, run):
                    run.signal(signal.SIGTERM)  # its end has messages as well
                code = await run.ended()
                assert code in {0, -signal.SIGKILL}, run.err
                finished = code == 0
        nursery.cancel_scope.cancel()
    assert lives > AT_LEAST
    assert central.violations == [], central.violations[:3]
    check(central, lives)


def check(central: Killer, lives: int) -> None:
    """Exactly one start and one stop of each transaction, in order, with all of its energy."""
    totals = central.ledger.totals()
    assert totals["open"] == totals["abandoned"] == totals["unknownStops"] == 0
    assert totals["started"] == totals["stopped"] > lives
    reasons = Counter(transaction.reason for transaction in central.ledger)
    assert set(reasons) == {"PowerLoss", "Remote"}
    for name in STATIONS:
        calls = [call for call in central.calls_from(name) if call.action in _OF_TRANSACTIONS]
        contents: dict[str, Any] = {}  # the first time that each message was seen
        for call in calls:
            contents.setdefault(f"{call.action} {call.payload}", call)
        once = list(contents.values())
        counts = Counter(call.action for call in once)
        transactions = (
            central.transactions_of(name) if hasattr(central, "transactions_of") else central.ledger.of_station(name)
        )
        assert counts["StartTransaction"] == counts["StopTransaction"] == len(transactions)
        moments = [moment(call.payload) for call in once]
        assert all(earlier <= later for earlier, later in pairwise(moments))
        registers = [wh for call in once for wh in shown(call.payload)]
        assert registers == sorted(registers)  # nothing that was ever shown is taken back
        for transaction in transactions:
            seen = [
                wh
                for call in once
                if call.payload.get("transactionId") == transaction.transaction_id
                for wh in shown(call.payload)
            ]
            assert transaction.meter_stop == max(seen)


def moment(payload: Mapping[str, Any]) -> float:
    text = payload["timestamp"] if "timestamp" in payload else payload["meterValue"][0]["timestamp"]
    return parse_timestamp(text)[0]


def shown(payload: Mapping[str, Any]) -> list[int]:
    """The registers in a message, in Wh."""
    if "meterValue" in payload:
        return [int(payload["meterValue"][0]["sampledValue"][0]["value"])]
    return [payload[name] for name in ("meterStart", "meterStop") if name in payload]
