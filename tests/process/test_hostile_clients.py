"""Clients of the UI server that mean no good: the stations go on in time, and the first Ctrl-C ends the run in 5 s."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import ssl
import sys
from base64 import b64encode
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path

import pytest
import trio
import trustme

from simulator.csms.policy import BootPolicy
from tests.process.program import Program, central_system, program, write_fleet
from tests.ui.hostile import MALFORMED, request_frame, upgrade
from tests.ui.house import exchange

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")

STATIONS = 5
#: Seconds between two heartbeats of a station, and between two samples of a transaction.
INTERVAL = 1
#: Seconds that a station may be late on a busy machine.
LATE = 2.0
#: Wall seconds for the attacks together.
ATTACKS = 60.0
ORDERED_END = 5.0

USER = {"Authorization": f"Basic {b64encode(b'admin:right').decode()}"}
USER_LINE = f"Authorization: {USER['Authorization']}\r\n".encode()


def fleet_with(folder: Path, **ui_server: object) -> Path:
    """A configuration: stations that charge and tell their meters each second, and a UI server on a free port."""
    config = write_fleet(
        folder,
        stations=STATIONS,
        Configuration={"configurationKey": [{"key": "MeterValueSampleInterval", "value": str(INTERVAL)}]},
        AutomaticTransactionGenerator={
            "enable": True,
            "minDuration": 3600,
            "maxDuration": 3600,
            "minDelayBetweenTwoTransactions": 1,
            "maxDelayBetweenTwoTransactions": 1,
        },
    )
    document = json.loads(config.read_text())
    document["uiServer"] = {"options": {"host": "127.0.0.1", "port": 0}, **ui_server}
    document["wireLog"] = {"file": "wire.ndjson"}
    config.write_text(json.dumps(document))
    return config


async def port_of(run: Program) -> int:
    """The port of the UI server, once it listens."""
    await run.until(lambda: "dashboard: " in run.out and "\n" in run.out.partition("dashboard: ")[2], "the dashboard")
    return int(run.out.partition("dashboard: ")[2].split()[0].rpartition(":")[2])


def longest_pauses(folder: Path, action: str) -> dict[str, float]:
    """The most seconds between two calls of an action, by station, as the stations sent them."""
    sent: dict[str, list[float]] = {}
    for file in folder.glob("logs/wire-*.ndjson"):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            if (record["direction"], record["kind"], record.get("action")) == ("sent", "call", action):
                sent.setdefault(record["stationId"], []).append(datetime.fromisoformat(record["time"]).timestamp())
    return {
        station: max(after - before for before, after in itertools.pairwise(times)) for station, times in sent.items()
    }


async def spoil(port: int, opening: bytes) -> None:
    """Send something that is no opening, and wait until it has been the end of the connection."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(opening)
            await stream.send_eof()
            while await stream.receive_some():
                pass


async def guess(port: int, times: int) -> list[int]:
    """Try wrong passwords; returns the status of each answer."""
    statuses = []
    for number in range(times):
        wrong = {"Authorization": f"Basic {b64encode(f'admin:{number}'.encode()).decode()}", "Connection": "close"}
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            statuses.append((await exchange(stream, "POST", "/ui/0.0.1/listTemplates", b"{}", wrong)).status)
    return statuses


async def flood(port: int, requests: int) -> None:
    """Ask over one session without waiting, and read until every answer has come."""
    frames = [request_frame("listChargingStations", {"limit": 1, "fields": ["started"]}) for _ in range(requests)]
    done, tail, answers = b'"status":"success"', b"", 0
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream, trio.open_nursery() as nursery:
        await stream.send_all(upgrade(USER_LINE))
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 101 ")
        nursery.start_soon(stream.send_all, b"".join(frames))
        while answers < requests:
            chunk = await stream.receive_some(1 << 20)
            assert chunk, f"closed after {answers} answers"
            answers += (tail + chunk).count(done)
            tail = (tail + chunk)[1 - len(done) :]


async def stop_reading(stream: trio.abc.Stream) -> None:
    """Open a session that subscribes to everything, asks for lists without end, and reads none of it."""
    await stream.send_all(upgrade(USER_LINE))
    assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 101 ")
    await stream.send_all(request_frame("subscribe", {"topics": ["stations", "messages"]}))
    with trio.move_on_after(1.0):
        while True:
            await stream.send_all(request_frame("listChargingStations"))


async def narrow_stream(port: int) -> trio.SocketStream:
    """A connection on which little is under way before the reader has to read."""
    raw = trio.socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await raw.connect(("127.0.0.1", port))
    return trio.SocketStream(raw)


#: What clients begin and leave at that.
HALVES = {
    "nothing": b"",
    "half a head": b"POST /ui/0.0.1/heartbeat HTTP/1.1\r\nHost: loc",
    "half a body": b"POST /ui/0.0.1/heartbeat HTTP/1.1\r\nHost: localhost\r\n"
    + USER_LINE
    + b"Content-Length: 1000\r\n\r\n{",
    "half a frame": upgrade(USER_LINE) + request_frame("listChargingStations")[:20],
    "half a ClientHello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 20,
}


async def leave_halves(port: int, stack: AsyncExitStack) -> None:
    """Connections that stay open, each with half of something on it."""
    for half in HALVES.values():
        stream = await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))
        await stream.send_all(half)


async def test_stations_do_not_notice_and_the_end_comes_in_time(tmp_path: Path) -> None:
    locked = {"enabled": True, "type": "protocol-basic-auth", "username": "admin", "password": "right"}
    config = fleet_with(tmp_path, authentication=locked)
    data = tmp_path / "data"
    async with (
        central_system(boot=BootPolicy(interval=INTERVAL)) as (central, url),
        program("run", config, "--csms", url, "--data-dir", data) as run,
        AsyncExitStack() as stack,
    ):
        port = await port_of(run)
        await central.until(lambda: central.open_transactions() == 2 * STATIONS, "all connectors charge", timeout=20)
        with trio.fail_after(ATTACKS):
            for opening in MALFORMED.values():
                await spoil(port, opening)
            await stop_reading(await stack.enter_async_context(await narrow_stream(port)))
            await flood(port, 10_000)
            statuses = await guess(port, 100)
            assert statuses[:10] == [401] * 10
            assert 429 in statuses
            await leave_halves(port, stack)
        run.signal(signal.SIGINT)
        assert await run.ended(within=ORDERED_END) == 0
        assert central.violations == []
        assert central.open_transactions() == 0
        assert [station.connections for station in central.stations.values()] == [1] * STATIONS
    for action in ("Heartbeat", "MeterValues"):
        longest = longest_pauses(data, action)
        assert len(longest) == STATIONS
        assert max(longest.values()) < INTERVAL + LATE, action


async def test_halves_of_tls_do_not_hold_up_the_end(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    config = fleet_with(tmp_path, tls={"certFile": "server.pem", "keyFile": "server.pem"})
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with (
        central_system() as (central, url),
        program("run", config, "--csms", url, "--data-dir", tmp_path / "data") as run,
        AsyncExitStack() as stack,
    ):
        port = await port_of(run)
        await central.until(lambda: central.open_transactions() == 2 * STATIONS, "all connectors charge", timeout=20)
        await leave_halves(port, stack)
        raw = await stack.enter_async_context(await narrow_stream(port))
        await stop_reading(trio.SSLStream(raw, context, server_hostname="localhost"))
        run.signal(signal.SIGINT)
        assert await run.ended(within=ORDERED_END) == 0
        assert central.open_transactions() == 0
