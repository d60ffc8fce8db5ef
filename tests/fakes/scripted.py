"""A central system for tests: says what the test wants, keeps everything it saw, and lets tests wait for it.

It works over real sockets (``async with scripted_central() as central: url = await central.listen()``) and in memory,
where a test may run in virtual time (``MockClock(autojump_threshold=0)``; over sockets it needs the clock of
:mod:`tests.fakes.loopback`)::

    async with scripted_central() as central:
        dialer = Dialer(open_stream=central.memory_dialer())
        ...  # run the station under test with that dialer and the URL central.MEMORY_URL
        await central.connected("CS-1")
        boot = await central.wait_for("CS-1", "BootNotification")

Waiting is by events, never by polling; every wait has a deadline on trio's clock and then fails with what was seen.
"""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import trio

from simulator.csms import CentralSystem, Link, Station, StationNotConnected, station_id_of
from simulator.csms.central import SERVER_OPTIONS, Direction
from simulator.ocpp.errors import CallRefused
from simulator.ocpp.frames import Call, Frame, encode_error, encode_result, parse_frame
from simulator.transport.connection import ConnectionClosed
from simulator.transport.server import Authorize, ServerConnection, serve_stream
from tests.fakes.memory_net import Line, MemoryNetwork
from tests.fakes.script import Close, Cut, Default, Delay, Handler, Raw, Reply, Rule, Script, Withhold
from tests.fakes.socket_net import SocketLine, SocketNetwork
from tests.fakes.tls_lines import Peeked, Upgrade, upgrade_of

_SHOWN_ON_FAILURE = 15

#: Names a file that every frame of every test is added to, for those who judge them by other means.
RECORDING = "OCPP_FRAMES"


class FrameRecord(msgspec.Struct, frozen=True):
    """A frame that passed. ``time`` is on trio's clock, ``direction`` is "in" (from the station) or "out"."""

    index: int
    time: float
    station_id: str
    connection: int
    direction: Direction
    text: str | bytes
    frame: Frame

    def __str__(self) -> str:
        return f"{self.time:10.3f} {self.station_id}#{self.connection} {self.direction:>3} {self.text!r}"


class CallRecord(msgspec.Struct, frozen=True):
    """A CALL of a station."""

    index: int
    time: float
    station_id: str
    connection: int
    message_id: str
    action: str
    payload: dict[str, Any]


class ScriptedCentralSystem(CentralSystem):
    """A central system that follows a script. Made by :func:`scripted_central`.

    Where the script is silent it answers as :class:`CentralSystem` does. Its time of day begins at ``start`` and goes
    on with trio's clock, so it is virtual where that is.
    """

    #: Where stations connect to in memory; any other URL leads there as well.
    MEMORY_URL: ClassVar[str] = "ws://central.test/ocpp/"

    def __init__(self, nursery: trio.Nursery, *, start: float | None = None, **options: Any) -> None:
        origin = time.time() if start is None else start
        began = trio.current_time()
        options.setdefault("now", lambda: origin + trio.current_time() - began)
        super().__init__(on_frame=self._log_frame, **options)
        self._nursery = nursery
        self._script = Script()
        self._changed = trio.Event()
        self._lines: dict[str, Line | SocketLine] = {}
        #: Every frame, in the order in which it passed.
        self.frames: list[FrameRecord] = []
        #: Every CALL of a station, in the order in which it came.
        self.calls: list[CallRecord] = []
        #: Every connection that ended: the station and the close code (1006: without a close frame).
        self.closings: list[tuple[str, int]] = []
        #: Every connection that was opened, with what the station showed.
        self.upgrades: list[Upgrade] = []
        #: For lines, in memory or not: TLS for those that begin with it. ``plain``: whether others are served.
        self.tls: ssl.SSLContext | None = None
        self.plain = True
        #: For lines: how connections are accepted.
        self.options = SERVER_OPTIONS
        #: For lines: looks at each upgrade request, as for a real socket.
        self.authorize: Authorize | None = None
        self.network = MemoryNetwork(self._accept)
        self._recording = os.environ.get(RECORDING)

    # -- where stations connect ------------------------------------------------------------------------------------

    async def listen(self, host: str = "127.0.0.1", port: int = 0, **options: Any) -> str:
        """Serve on a real socket until the end of the test; returns the URL."""
        url: str = await self._nursery.start(partial(self.serve, host, port, **options))
        return url

    def memory_dialer(self) -> MemoryNetwork:
        """The ``open_stream`` of a ``Dialer`` whose connections all lead here, in memory.

        The same as ``network``: its methods refuse connections, cut lines and silence them.
        """
        return self.network

    async def listen_for_lines(self) -> SocketNetwork:
        """Serve a port of 127.0.0.1 until the end of the test, all that holds in memory included.

        The network returned refuses connections and cuts lines, and has the URL. In virtual time this needs the clock
        of :mod:`tests.fakes.loopback`.
        """
        network = SocketNetwork(self._accept)
        await self._nursery.start(network.serve)
        return network

    def line(self, station_id: str) -> Line:
        """The latest line of a station in memory: to cut or silence that one."""
        line = self._lines[station_id]
        assert isinstance(line, Line)
        return line

    def _accept(self, line: Line | SocketLine) -> None:
        self._nursery.start_soon(self._serve_line, line)

    async def _serve_line(self, line: Line | SocketLine) -> None:
        stream, context = line.server, self.tls
        if context is not None or not self.plain:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                peeked = stream = await Peeked.at(stream)
                context = context if peeked.begins_tls else None
            if context is None and not self.plain:
                await stream.aclose()
                return
        await serve_stream(
            stream,
            partial(self._handle_line, line),
            options=self.options,
            ssl_context=context,
            authorize=self.authorize,
        )

    async def handle(self, connection: ServerConnection) -> None:
        """Serve a connection until it ends."""
        self.upgrades.append(upgrade_of(station_id_of(connection.path), connection))
        await super().handle(connection)

    async def _handle_line(self, line: Line | SocketLine, connection: ServerConnection) -> None:
        station_id = station_id_of(connection.path)
        self._lines[station_id] = line
        await self.handle(connection)
        try:
            await connection.receive()
        except ConnectionClosed as closed:
            self.closings.append((station_id, closed.code))
            self._wake()

    # -- what it says ----------------------------------------------------------------------------------------------

    def on(self, action: str, reply: Reply | Handler, *, station: str | None = None, times: int | None = None) -> None:
        """Answer an action with ``reply`` from now on, or for the next ``times`` calls.

        :param reply: a payload, one of ``refuse`` ``delay`` ``withhold`` ``close`` ``cut`` ``raw`` ``DEFAULT`` of
            :mod:`tests.fakes.script`, or a function of (station, payload), also async, that returns one of these.
        :param station: only calls of that station; such a rule comes before those for all.
        :param times: limited rules are used up in the order in which they were given, before the unlimited one.
        """
        self._script.add(Rule(action, reply, station, times))

    def off(self, action: str, *, station: str | None = None) -> None:
        """Take back everything that was said about an action for that station, or for all."""
        self._script.remove(action, station)

    def respond(self, station: Station, link: Link, call: Call) -> str | None:
        """The usual answer, unless the script has another one."""
        reply = self._script.next(call.action, station.station_id)
        return self._perform(station, link, call, reply)

    def _perform(self, station: Station, link: Link, call: Call, reply: Reply | Handler) -> str | None:
        if isinstance(reply, Default):
            return super().respond(station, link, call)
        if isinstance(reply, CallRefused):
            return encode_error(call.message_id, reply.code, reply.description, reply.details)
        if isinstance(reply, Mapping | msgspec.Struct):
            return encode_result(call.message_id, reply)
        if isinstance(reply, Raw):
            link.send(reply.text.replace("{id}", call.message_id))
        elif isinstance(reply, Withhold):
            usual = partial(super().respond, station, link, call)
            if reply.process:
                usual = partial(str, usual())
            reply.hold(lambda: self._answer_later(link, call, usual()))
        elif isinstance(reply, Close):
            self._nursery.start_soon(link.connection.aclose, reply.code, reply.reason)
        elif isinstance(reply, Cut):
            if reply.process:
                super().respond(station, link, call)
            self._lines[station.station_id].cut()
        elif isinstance(reply, Delay):
            self._nursery.start_soon(self._delayed, station, link, call, reply)
        else:
            return self._ask(station, link, call, reply)
        return None

    def _ask(self, station: Station, link: Link, call: Call, handler: Handler) -> str | None:
        try:
            made = handler(station, call.payload if isinstance(call.payload, dict) else {})
        except CallRefused as refusal:
            made = refusal
        except Exception as error:
            # The transport would keep a crash within its connection; a test must see it.
            self._nursery.start_soon(_raise, error)
            return None
        if isawaitable(made):
            self._nursery.start_soon(self._when_made, station, link, call, made)
            return None
        return self._perform(station, link, call, made)

    async def _delayed(self, station: Station, link: Link, call: Call, reply: Delay) -> None:
        await trio.sleep(reply.seconds)
        self._answer_later(link, call, self._perform(station, link, call, reply.then))

    async def _when_made(self, station: Station, link: Link, call: Call, made: Awaitable[Reply]) -> None:
        try:
            reply = await made
        except CallRefused as refusal:
            reply = refusal
        self._answer_later(link, call, self._perform(station, link, call, reply))

    @staticmethod
    def _answer_later(link: Link, call: Call, answer: str | None) -> None:
        if answer is not None and not link.ended:
            # Whoever closed the line meanwhile: nobody waits for the answer any more.
            with suppress(StationNotConnected):
                link.answer(call.message_id, answer)

    # -- what it saw -----------------------------------------------------------------------------------------------

    def calls_from(self, station_id: str, action: str | None = None) -> list[CallRecord]:
        """The CALLs of a station, of one action or of all."""
        return [call for call in self.calls if call.station_id == station_id and action in (None, call.action)]

    def actions_from(self, station_id: str) -> list[str]:
        """The actions of a station's CALLs in their order."""
        return [call.action for call in self.calls if call.station_id == station_id]

    def _log_frame(self, station: Station, direction: Direction, text: str | bytes) -> None:
        now = trio.current_time()
        connection = station.connections
        frame = parse_frame(text)
        self.frames.append(FrameRecord(len(self.frames), now, station.station_id, connection, direction, text, frame))
        if self._recording is not None and isinstance(text, str):
            link = f"{os.environ.get('PYTEST_CURRENT_TEST')} {id(self)} {station.station_id} {connection}"
            with Path(self._recording).open("a", encoding="utf-8") as file:
                file.write(json.dumps([link, direction, text]) + "\n")
        if direction == "in" and isinstance(frame, Call):
            payload = frame.payload if isinstance(frame.payload, dict) else {}
            index = len(self.calls)
            self.calls.append(
                CallRecord(index, now, station.station_id, connection, frame.message_id, frame.action, payload)
            )
        self._wake()

    def station_connected(self, station: Station) -> None:
        self._wake()

    def station_lost(self, station: Station) -> None:
        self._wake()

    # -- waiting for it --------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, met: Callable[[], bool], what: str, *, timeout: float = 60.0) -> None:
        """Wait until ``met()`` is true; it is looked at after every frame and every change of a connection.

        :raises AssertionError: it was not within ``timeout`` seconds of trio's clock; says what was seen instead.
        """
        with trio.move_on_after(timeout):
            while not met():
                await self._changed.wait()
            return
        seen = "\n".join(str(record) for record in self.frames[-_SHOWN_ON_FAILURE:]) or "(no frame at all)"
        raise AssertionError(f"{what}: not within {timeout:g} s. The last frames:\n{seen}")

    async def wait_for(
        self,
        station_id: str,
        action: str,
        count: int = 1,
        *,
        where: Callable[[dict[str, Any]], bool] = lambda payload: True,
        after: CallRecord | None = None,
        timeout: float = 60.0,
    ) -> CallRecord:
        """Wait for the ``count``-th CALL of an action and return it; one that came before counts as well.

        :param where: count only those whose payload it accepts.
        :param after: count only those that came after this one.
        """
        first = 0 if after is None else after.index + 1
        found: list[CallRecord] = []
        looked = first

        def met() -> bool:
            nonlocal looked
            found.extend(
                call
                for call in self.calls[looked:]
                if call.station_id == station_id and call.action == action and where(call.payload)
            )
            looked = max(looked, len(self.calls))
            return len(found) >= count

        await self.until(met, f"{action} number {count} of {station_id}", timeout=timeout)
        return found[count - 1]

    async def connected(self, station_id: str, count: int = 1, *, timeout: float = 60.0) -> Station:
        """Wait until the station is connected, and has been at least ``count`` times."""
        station = self.station(station_id)
        await self.until(
            lambda: station.connected and station.connections >= count,
            f"connection {count} of {station_id}",
            timeout=timeout,
        )
        return station

    async def disconnected(self, station_id: str, *, timeout: float = 60.0) -> Station:
        """Wait until the station is not connected."""
        station = self.station(station_id)
        await self.until(lambda: not station.connected, f"end of the connection of {station_id}", timeout=timeout)
        return station


async def _raise(error: Exception) -> None:
    raise error


@asynccontextmanager
async def scripted_central(**options: Any) -> AsyncIterator[ScriptedCentralSystem]:
    """A scripted central system; takes the options of :class:`ScriptedCentralSystem` and lives as long as the block.

    What the block raises comes out as it is, not in a group; what a function of the script raises comes in a group.
    """
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield ScriptedCentralSystem(nursery, **options)
        except Exception as error:
            failure = error
        finally:
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
