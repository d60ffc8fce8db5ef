"""The yardsticks: loops that only move messages, with no station behind them.

A loop connects N times, sends a BootNotification and then MeterValues of a fixed content, one a second or as fast as
the answers come, with the id of each matched to its answer. What a simulator costs beyond that is its own doing.

* ``websocket``: trio-websocket as its manual shows it, a task for each station, with a deadline for each answer;
* ``hub``: the simulator's own hub, with the same task for each station, which its answer wakes; no deadline.

``python -m benchmarks.bare websocket URL --stations N [--rate MESSAGES_PER_SECOND]``; a rate of 0 sends without pauses.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
import outcome
import trio
import trio_websocket

from simulator.config.ws_options import WebSocketOptions
from simulator.transport.connection import Connection
from simulator.transport.hub import open_hub
from simulator.transport.websocket import Dialer

KINDS = ("websocket", "hub")

#: As long as the MeterValues of the stations that are measured beside it: five sampled values.
_SAMPLE = '{{"value":"{}","measurand":"{}","unit":"{}"}}'
_VALUES = [
    ("48731", "Energy.Active.Import.Register", "Wh"),
    ("10873.51", "Power.Active.Import", "W"),
    ("229.87", "Voltage", "V"),
    ("15.77", "Current.Import", "A"),
    ("41", "SoC", "Percent"),
]
BODY = (
    '{"connectorId":1,"transactionId":4711,"meterValue":[{"timestamp":"2026-01-31T12:00:00.000Z","sampledValue":['
    + ",".join(_SAMPLE.format(*value) for value in _VALUES)
    + "]}]}"
)
BOOT = '{"chargePointVendor":"Acme","chargePointModel":"Bare"}'
ANSWER_WITHIN = 30.0

_ids = count(1)
_decode = msgspec.json.Decoder().decode


class Line(Protocol):
    """A connection as the loop uses it."""

    async def ask(self, text: str) -> str | bytes:
        """Send a message and wait for the next one."""
        ...


class TrioWebSocket:
    """trio-websocket's connection."""

    def __init__(self, connection: trio_websocket.WebSocketConnection) -> None:
        self._connection = connection

    async def ask(self, text: str) -> str | bytes:
        """See :class:`Line`."""
        with trio.fail_after(ANSWER_WITHIN):
            await self._connection.send_message(text)
            message: str | bytes = await self._connection.get_message()
        return message


class OnHub:
    """A connection of the hub, which hands messages over where it reads them; who asks is parked meanwhile."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._task: trio.lowlevel.Task | None = None

    async def ask(self, text: str) -> str | bytes:
        """See :class:`Line`."""
        self._connection.post(text)
        self._task = trio.lowlevel.current_task()
        message: str | bytes = await trio.lowlevel.wait_task_rescheduled(self._abort)
        return message

    def take(self, message: str | bytes) -> None:
        """A message has come."""
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task, outcome.Value(message))

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


async def station(line: Line, rate: float) -> None:
    """Boot, then send for ever."""
    await call(line, "BootNotification", BOOT)
    due = trio.current_time() + random.random()
    while True:
        if rate:
            await trio.sleep_until(due)
            due += 1 / rate
        await call(line, "MeterValues", BODY)


async def call(line: Line, action: str, body: str) -> None:
    """One CALL and its answer."""
    message_id = f"{next(_ids):x}"
    answer = _decode(await line.ask(f'[2,"{message_id}","{action}",{body}]'))
    if answer[:2] != [3, message_id]:
        raise RuntimeError(f"{answer} does not answer {message_id}")


async def over_websocket(url: str, rate: float) -> None:
    """A station on trio-websocket."""
    parts = urlsplit(url)
    async with trio_websocket.open_websocket(
        parts.hostname or "", parts.port or 80, parts.path, use_ssl=False, subprotocols=["ocpp1.6"]
    ) as connection:
        await station(TrioWebSocket(connection), rate)


async def run(stations: int, connect: Callable[[str], Any], url: str) -> None:
    """All stations, started at once."""
    async with trio.open_nursery() as nursery:
        for number in range(stations):
            nursery.start_soon(connect, f"{url}/BARE-{number:05d}")


async def run_websocket(url: str, stations: int, rate: float) -> None:
    """The loop on trio-websocket."""
    await run(stations, partial(over_websocket, rate=rate), url)


async def run_hub(url: str, stations: int, rate: float) -> None:
    """The loop on the simulator's hub."""
    async with open_hub() as hub:
        dialer = Dialer(hub=hub)

        async def over_hub(place: str) -> None:
            async with trio.open_nursery() as nursery:
                connection = await dialer.dial(
                    place, nursery=nursery, subprotocols=("ocpp1.6",), options=WebSocketOptions()
                )
                line = OnHub(connection)
                nursery.start_soon(connection.receive_each, line.take)
                await station(line, rate)

        await run(stations, over_hub, url)


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(prog="benchmarks.bare", description="Loops that only move messages")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("url")
    parser.add_argument("--stations", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=1.0, help="messages per second and station; 0: no pauses")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # The best that the loop can do: collecting garbage costs it a third more.
    gc.disable()
    trio.run(run_websocket if options.kind == "websocket" else run_hub, options.url, options.stations, options.rate)


if __name__ == "__main__":
    main()
