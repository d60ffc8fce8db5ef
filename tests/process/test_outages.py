"""What goes wrong around a running fleet stays where it is: a central system that goes away, a station that resets."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
import trio

from tests.process.program import central_system, program, write_fleet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")

NAMES = ("CS-00001", "CS-00002", "CS-00003")
#: Wall seconds that the central system is away: a few attempts to connect, and the end of the transactions at 200-fold
#: speed.
AWAY = 3.0


async def test_transactions_outlive_an_outage_of_the_central_system(tmp_path: Path, nursery: trio.Nursery) -> None:
    config = write_fleet(tmp_path, stations=3)
    async with central_system() as (central, _):
        listener = trio.CancelScope()

        async def serve(port: int, *, task_status: trio.TaskStatus[str]) -> None:
            with listener:
                await central.serve("127.0.0.1", port, task_status=task_status)

        url: str = await nursery.start(serve, 0)
        arguments = ("run", config, "--csms", url, "--speed", "200", "--json", "--data-dir", tmp_path / "data")
        async with program(*arguments) as run:
            await central.until(lambda: central.open_transactions() == 6, "all connectors charge", timeout=20)
            running = {transaction.transaction_id for transaction in central.ledger}
            listener.cancel()
            for name in NAMES:
                await central.disconnected(name, timeout=5)
            back_at = trio.current_time() + AWAY
            # The end of the outage is a deadline, not a pause: the process must still run when it comes.
            with trio.move_on_at(back_at):
                pytest.fail(f"ended with {await run.process.wait()}: {run.err}")
            assert central.open_transactions() == 6
            listener = trio.CancelScope()
            await nursery.start(serve, int(url.rstrip("/").rpartition(":")[2]))
            for name in NAMES:
                await central.connected(name, 2, timeout=20)
            await central.until(
                lambda: not running & central.ledger.open.keys(), "the stops of then arrive", timeout=20
            )
            assert central.violations == []
            run.signal(signal.SIGTERM)
            assert await run.ended(within=5) == 0
        # Who was registered before the outage is so after it, and each transaction was booked once.
        assert [central.stations[name].boots for name in NAMES] == [1, 1, 1]
        totals = central.ledger.totals()
        assert totals["open"] == totals["abandoned"] == 0
        transactions = json.loads(run.out)["transactions"]
        assert transactions == {"started": totals["started"], "stopped": totals["stopped"]}
        nursery.cancel_scope.cancel()


async def test_the_reset_of_one_station_is_its_own(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=3, resetTime=120)
    async with (
        central_system() as (central, url),
        program("run", config, "--csms", url, "--speed", "60", "--json", "--data-dir", tmp_path / "data") as run,
    ):
        await central.until(lambda: central.open_transactions() == 6, "all connectors charge", timeout=20)
        before = {name: {t.transaction_id for t in central.ledger.of_station(name)} for name in NAMES}
        at = trio.current_time()
        assert await central.station("CS-00002").call("Reset", {"type": "Soft"}) == {"status": "Accepted"}
        await central.connected("CS-00002", 2, timeout=20)
        assert trio.current_time() - at >= 2  # resetTime
        await central.until(lambda: central.station("CS-00002").boots == 2, "it boots again", timeout=5)
        assert central.closings == [("CS-00002", 1000)]
        for transaction in central.ledger.of_station("CS-00002")[:2]:
            assert transaction.reason == "SoftReset"
        for name in ("CS-00001", "CS-00003"):
            assert central.stations[name].connections == central.stations[name].boots == 1
            assert {t.transaction_id for t in central.ledger.of_station(name) if t.is_open} == before[name]
        assert central.violations == []
        run.signal(signal.SIGINT)
        assert await run.ended(within=5) == 0
    assert json.loads(run.out)["stations"] == {"configured": 3, "started": 3, "accepted": 3}


async def test_killing_the_central_system_s_process_ends_no_station(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=2, AutomaticTransactionGenerator={"enable": False})
    async with program("csms", "--port", "0") as csms:
        await csms.until(lambda: "\n" in csms.out, "the URL")
        url = csms.out.strip()
        arguments = ("run", config, "--csms", url, "--json", "--log-level", "info", "--data-dir", tmp_path / "data")
        async with program(*arguments) as run:
            await run.until(lambda: run.err.count("registered: Accepted") == 2, "both are accepted")
            csms.process.kill()
            await csms.ended()
            await run.until(lambda: run.err.count("connects again in") >= 2, "both try again")
            async with central_system(port=int(url.rstrip("/").rpartition(":")[2])) as (central, _):
                await central.connected(NAMES[0], timeout=30)
                await central.connected(NAMES[1], timeout=30)
                run.signal(signal.SIGINT)
                assert await run.ended(within=5) == 0
    # The log on standard error leaves the summary alone on standard output.
    assert json.loads(run.out)["stations"] == {"configured": 2, "started": 2, "accepted": 2}
