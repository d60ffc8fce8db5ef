"""The program as a process of its own, and a central system in the test that watches it over real sockets.

Nothing here sleeps: a test waits for what a process writes, for its end, or for what the central system sees, and every
wait has a deadline in wall seconds.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from simulator.csms import station_id_of
from simulator.transport.connection import ConnectionClosed
from simulator.transport.server import ServerConnection
from tests.fakes.scripted import ScriptedCentralSystem

#: The program with warnings as errors, as in all tests.
COMMAND = (sys.executable, "-W", "error", "-m", "simulator")
#: Wall seconds for a process that starts on a busy machine.
PATIENCE = 20.0

#: A station model with two connectors that charge again and again. Simulated seconds.
TEMPLATE: Mapping[str, Any] = {
    "baseName": "CS",
    "chargePointVendor": "Acme",
    "chargePointModel": "One",
    "power": 22,
    "powerUnit": "kW",
    "resetTime": 60,
    "reconnectExponentialDelay": True,
    "Connectors": {"0": {}, "1": {}, "2": {}},
    "AutomaticTransactionGenerator": {
        "enable": True,
        "minDuration": 600,
        "maxDuration": 600,
        "minDelayBetweenTwoTransactions": 10,
        "maxDelayBetweenTwoTransactions": 20,
        "stopAfterHours": 1000,
        "requireAuthorize": True,
    },
}


class Program:
    """A running process and what it has written so far."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._changed = trio.Event()

    @property
    def out(self) -> str:
        """Standard output so far."""
        return _decoded(self.stdout)

    @property
    def err(self) -> str:
        """Standard error so far."""
        return _decoded(self.stderr)

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def read(self, stream: trio.abc.ReceiveStream, into: bytearray) -> None:
        """Collect what comes out of a pipe or a terminal until its end."""
        try:
            async for chunk in stream:
                into += chunk
                self._changed.set()
                self._changed = trio.Event()
        except trio.BrokenResourceError:  # a terminal whose last user has gone
            pass

    async def until(self, met: Callable[[], bool], what: str, *, timeout: float = PATIENCE) -> None:
        """Wait until ``met()`` is true; it is looked at after each output."""
        with trio.move_on_after(timeout):
            while not met():
                await self._changed.wait()
            return
        raise AssertionError(f"{what}: not within {timeout:g} s\nstdout: {self.out}\nstderr: {self.err}")

    async def ended(self, *, within: float = PATIENCE) -> int:
        """Wait for the end of the process and return its exit code."""
        with trio.move_on_after(within):
            return await self.process.wait()
        raise AssertionError(f"did not end within {within:g} s\nstdout: {self.out}\nstderr: {self.err}")


def _decoded(output: bytearray) -> str:
    """The text of an output; a character of which only the beginning has come is left out."""
    return codecs.getincrementaldecoder("utf-8")().decode(bytes(output))


@asynccontextmanager
async def program(
    *arguments: str | Path,
    command: Sequence[str] = COMMAND,
    cwd: Path | None = None,
    environ: Mapping[str, str | None] | None = None,
    **options: Any,
) -> AsyncIterator[Program]:
    """Run the program beside the block; at its end the process is killed if it still runs, and all output is read.

    :param environ: changes of the environment; None takes a variable out.
    :param options: of :class:`subprocess.Popen`; by default both outputs are pipes that are read.
    """
    variables = {**os.environ, **(environ or {})}
    options = {"stdin": -3, "stdout": -1, "stderr": -1, **options}  # DEVNULL, PIPE, PIPE
    process = await trio.lowlevel.open_process(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env={name: value for name, value in variables.items() if value is not None},
        **options,
    )
    running = Program(process)
    async with trio.open_nursery() as nursery:
        for stream, into in ((process.stdout, running.stdout), (process.stderr, running.stderr)):
            if stream is not None:
                nursery.start_soon(running.read, stream, into)
        try:
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def finished(*arguments: str | Path, within: float = PATIENCE, **options: Any) -> Program:
    """Run the program to its end."""
    async with program(*arguments, **options) as running:
        await running.ended(within=within)
    return running


def write_fleet(folder: Path, *, stations: int, **template: Any) -> Path:
    """A configuration and its template in ``folder``; returns the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ours.station-template.json").write_text(json.dumps({**TEMPLATE, **template}))
    (folder / "authorization-tags.json").write_text(json.dumps(["TAG-A", "TAG-B", "TAG-C"]))
    config = folder / "config.json"
    config.write_text(
        json.dumps(
            {
                "supervisionUrls": "ws://127.0.0.1:1/",
                "stationTemplateUrls": [{"file": "ours", "numberOfStations": stations}],
                "stagger": False,  # no heartbeat comes among what a test watches
            }
        )
    )
    return config


class Central(ScriptedCentralSystem):
    """A scripted central system on a real socket that keeps the close code of every connection."""

    async def handle(self, connection: ServerConnection) -> None:
        """Serve the connection, and see how it ended."""
        await super().handle(connection)
        try:
            await connection.receive()
        except ConnectionClosed as closed:
            self.closings.append((station_id_of(connection.path), closed.code))
            self._wake()

    def open_transactions(self) -> int:
        """How many transactions run now."""
        return len(self.ledger.open)


@asynccontextmanager
async def central_system(*, port: int = 0, **options: Any) -> AsyncIterator[tuple[Central, str]]:
    """A central system that listens, by default on a free port, and its URL.

    What the block raises comes out as it is.
    """
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        central = Central(nursery, **options)
        url: str = await nursery.start(partial(central.serve, "127.0.0.1", port))
        try:
            yield central, url
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
