"""What those who watch a fleet cost it: a page of the list, and telling subscribers what changes.

``python -m benchmarks.push [--stations 5000] [--metered 0]``: every station sends a heartbeat every ``--interval``
seconds; ``--metered`` stations charge, with MeterValues every second. The CPU of the simulator's process is taken
without subscribers and with three, in turn, and the difference is what pushing costs. The exit code is 1 when the first
page of the list takes 100 ms or more, or pushing 5 % of a core or more.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from benchmarks.processes import Central, Process, RunFailed, central, client, machine
from simulator.config.ws_options import WebSocketOptions
from simulator.transport.connection import Connection
from simulator.transport.websocket import Dialer
from ui_protocol import SUBPROTOCOL

SUBSCRIBERS = 3
#: Stations on a page, as the dashboard asks for them.
PAGE = 200
#: What the fleet page of the dashboard shows of a station.
FIELDS = [
    *("stationInfo.chargingStationId", "stationInfo.templateName", "started", "stopping", "wsState", "timestamp"),
    *("bootNotificationResponse", "queuedMessages", "connectors.status", "connectors.errorCode", "connectors.power"),
    *("connectors.soc", "connectors.transactionId", "connectors.transactionIdTag"),
]
#: Milliseconds for the first page, and % of one core for pushing.
PAGE_WITHIN, PUSH_WITHIN = 100.0, 5.0
#: Wall seconds for the fleet to boot.
BOOT_WITHIN = 300.0
READY = 3.0


def call(port: int, procedure: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Call a procedure over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", f"/ui/0.0.1/{procedure}", json.dumps(payload))
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    if answer["status"] != "success":
        raise RunFailed(f"{procedure} failed: {json.dumps(answer)[:500]}")
    return answer


def write_config(folder: Path, stations: int, url: str, port: int) -> Path:
    """A fleet of one model whose stations do nothing by themselves but beat."""
    template = {
        "baseName": "CS",
        "chargePointVendor": "Acme",
        "chargePointModel": "One",
        "power": 22,
        "powerUnit": "kW",
        "Configuration": {"configurationKey": [{"key": "MeterValueSampleInterval", "readonly": False, "value": "1"}]},
        "Connectors": {"0": {}, "1": {"MeterValues": [{"unit": "W", "measurand": "Power.Active.Import"}, {}]}},
    }
    (folder / "push.station-template.json").write_text(json.dumps(template), encoding="utf-8")
    config = {
        "supervisionUrls": url,
        "stationTemplateUrls": [{"file": "push", "numberOfStations": stations}],
        "uiServer": {"options": {"host": "127.0.0.1", "port": port}},
        "worker": {"processes": 0},
        "logConsole": False,
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def wait_until_ready(process: Process, stations: int, metered: int) -> int:
    """Wait until all stations are accepted and the transactions run; returns the port of the UI server."""
    deadline = time.monotonic() + BOOT_WITHIN
    while "dashboard: " not in process.said():
        _pause(process, deadline)
    port = int(process.said().partition("dashboard: ")[2].split()[0].rpartition(":")[2])
    while call(port, "simulatorState", {})["state"]["statistics"]["states"]["accepted"] < stations:
        _pause(process, deadline)
    for begin in range(0, metered, 500):
        page = {"offset": begin, "limit": min(500, metered - begin), "fields": []}
        listed = call(port, "listChargingStations", page)["chargingStations"]
        hash_ids = [station["stationInfo"]["hashId"] for station in listed]
        call(port, "startTransaction", {"hashIds": hash_ids, "connectorId": 1})
    time.sleep(READY)
    return port


def _pause(process: Process, deadline: float) -> None:
    process.check()
    if time.monotonic() > deadline:
        raise RunFailed(f"the fleet is not there after {BOOT_WITHIN:g} s")
    time.sleep(0.2)


def first_page(port: int, fields: Sequence[str] | None) -> float:
    """Milliseconds until a client has the first page; the median of 20."""
    taken = []
    payload: dict[str, Any] = {"offset": 0, "limit": PAGE, **({} if fields is None else {"fields": list(fields)})}
    for _ in range(20):
        begun = time.perf_counter()
        call(port, "listChargingStations", payload)
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


async def _read(connection: Connection, told: list[int]) -> None:
    while True:
        told[0] += len(await connection.receive())
        told[1] += 1


async def share_of_a_core(process: Process, port: int, seconds: float, subscribers: int, told: list[int]) -> float:
    """The share of one core that the simulator's process takes with so many subscribers, in %.

    :param told: bytes and messages that they were told, to be added to.
    """
    async with trio.open_nursery() as nursery:
        for _ in range(subscribers):
            nursery.start_soon(partial(_follow, port, told))
        await trio.sleep(READY)
        told[:] = [0, 0]
        before, begun = process.cpu(), time.monotonic()
        await trio.sleep(seconds)
        share = (process.cpu() - before) / (time.monotonic() - begun) * 100
        nursery.cancel_scope.cancel()
    return share


async def _follow(port: int, told: list[int]) -> None:
    async with Dialer().open(
        f"ws://127.0.0.1:{port}/", subprotocols=(SUBPROTOCOL,), options=WebSocketOptions()
    ) as connection:
        payload = {"topics": ["stations"], "fields": FIELDS}
        connection.post(json.dumps([str(uuid.uuid4()), "subscribe", payload]))
        await _read(connection, told)


def measure(sink: Central, options: argparse.Namespace) -> dict[str, Any]:
    """One measurement."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_config(folder, options.stations, sink.url, 0)
        command = [sys.executable, "-m", "simulator", "run", str(path), "--data-dir", str(folder / "data")]
        with client(command, folder) as process:
            port = wait_until_ready(process, options.stations, options.metered)
            alone, watched, told = [], [], [0, 0]
            for _ in range(options.rounds):
                alone.append(trio.run(share_of_a_core, process, port, options.duration, 0, [0, 0]))
                watched.append(trio.run(share_of_a_core, process, port, options.duration, SUBSCRIBERS, told))
            pairs = zip(alone, watched, strict=True)
            return {
                "stations": options.stations,
                "metered": options.metered,
                "firstPageMs": round(first_page(port, FIELDS), 1),
                "firstPageWholeMs": round(first_page(port, None), 1),
                "coreAlone": round(statistics.median(alone), 1),
                "coreWatched": round(statistics.median(watched), 1),
                "pushing": round(statistics.median(more - less for less, more in pairs), 2),
                "toldPerSecond": round(told[1] / options.duration, 1),
                "kBPerSecond": round(told[0] / options.duration / 1000, 1),
            }


def main() -> None:
    """Measure and print; the exit code says whether it held."""
    parser = argparse.ArgumentParser(prog="benchmarks.push", description="What those who watch a fleet cost it")
    parser.add_argument("--stations", type=int, default=5000)
    parser.add_argument("--metered", type=int, default=0, help="stations that charge, with MeterValues every second")
    parser.add_argument("--interval", type=int, default=1, help="seconds between heartbeats")
    parser.add_argument("--duration", type=float, default=10.0, help="seconds of each window")
    parser.add_argument("--rounds", type=int, default=3, help="windows without and with subscribers, in turn")
    options = parser.parse_args()
    try:
        with central(options.interval) as sink:
            found = measure(sink, options)
    except RunFailed as error:
        sys.exit(f"error: {error}")
    print(json.dumps({"machine": machine(), **found}, indent=1))
    if max(found["firstPageMs"], found["firstPageWholeMs"]) >= PAGE_WITHIN or found["pushing"] >= PUSH_WITHIN:
        sys.exit("too much: a page must take less than 100 ms, and pushing less than 5 % of a core")


if __name__ == "__main__":
    main()
