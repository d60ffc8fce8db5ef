"""A live simulator in the test's own trio run: stations of shipped models, a scripted central system, a control.

::

    async with ui_house(stations={"schneider": 2}) as house:
        await house.ready()
        answer = await house.call("heartbeat")
        async with house.serving() as server:                 # real sockets on 127.0.0.1
            async with server.session() as session:
                assert (await session.ask("simulatorState"))["status"] == "success"

The stations reach the central system over memory streams; clients reach the UI server over real ones, so the time is
that of the wall.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from simulator.clock import Clock
from simulator.config.load import default_config
from simulator.config.model import SimulatorConfig
from simulator.config.ws_options import WebSocketOptions
from simulator.control.control import Control
from simulator.control.fleet import Fleet
from simulator.control.making import Maker
from simulator.control.pacing import Pace
from simulator.control.provisioning import Provisioner
from simulator.events import EventBus
from simulator.ids import MessageIds
from simulator.ocpp.validation import PayloadValidator
from simulator.station.memory import NoStore
from simulator.station.services import StationServices
from simulator.station.station import ChargingStation
from simulator.telemetry.statistics import FleetStatistics
from simulator.telemetry.wire_log import WireLog
from simulator.templates.fleet import plan_fleet
from simulator.templates.info import resolve_station
from simulator.transport.connection import Connection, ConnectionClosed
from simulator.transport.websocket import Dialer
from simulator.ui_server.serve import serve_ui
from simulator.ui_server.settings import UiSettings
from tests.fakes.scripted import ScriptedCentralSystem, scripted_central

#: Seconds after which a wait in these tests has failed.
PATIENCE = 30.0

#: What a server in these tests listens on, unless a test says otherwise.
ANYWHERE = UiSettings(host="127.0.0.1", port=0)


class House:
    """The parts of the simulator under test."""

    def __init__(self, central: ScriptedCentralSystem, fleet: Fleet, control: Control, bus: EventBus) -> None:
        self.central = central
        self.fleet = fleet
        self.control = control
        self.bus = bus

    @property
    def stations(self) -> list[ChargingStation]:
        """All stations in their order."""
        return list(self.fleet)

    @property
    def hash_ids(self) -> list[str]:
        """Their identities."""
        return [station.info.hash_id for station in self.fleet]

    async def ready(self) -> None:
        """Wait until every station is accepted and has told the status of its connectors."""
        for station in self.stations:
            await self.central.wait_for(
                station.info.station_id, "StatusNotification", len(station.connectors), timeout=PATIENCE
            )
        await self.online()

    async def online(self) -> None:
        """Wait until every station is connected and accepted, and has nothing left to say."""
        await self.central.until(
            lambda: all(station.online for station in self.stations), "every station online", timeout=PATIENCE
        )
        with trio.fail_after(PATIENCE):
            for station in self.stations:
                await station.lane.delivered()

    async def call(self, procedure: str, payload: Any = None) -> dict[str, Any]:
        """The answer of a procedure as JSON."""
        with trio.fail_after(PATIENCE):
            answer = await self.control.call(procedure, payload)
        decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(answer))
        return decoded

    @asynccontextmanager
    async def serving(self, settings: UiSettings = ANYWHERE) -> AsyncIterator[UiServer]:
        """The UI server on real sockets for the duration of the context."""
        async with trio.open_nursery() as nursery:
            urls = await nursery.start(serve_ui, settings, self.control)
            yield UiServer(urls, nursery)
            nursery.cancel_scope.cancel()


class UiServer:
    """A UI server that listens."""

    def __init__(self, urls: list[str], nursery: trio.Nursery) -> None:
        self.urls = urls
        self.nursery = nursery

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.urls[0].rpartition(":")[2])

    @property
    def web_socket_url(self) -> str:
        """The URL for WebSockets."""
        return f"ws://127.0.0.1:{self.port}/"

    async def stream(self) -> trio.SocketStream:
        """A bare connection."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    @asynccontextmanager
    async def session(self, *subprotocols: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[UiSession]:
        """A client of the UI protocol."""
        options = WebSocketOptions(headers=dict(headers or {}))
        offered = subprotocols or ("ui0.0.1",)
        async with Dialer().open(self.web_socket_url, subprotocols=offered, options=options) as connection:
            yield UiSession(connection)

    async def http(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """One request on a connection of its own."""
        with trio.fail_after(PATIENCE):
            async with await self.stream() as stream:
                return await exchange(stream, method, path, body, {"Connection": "close", **(headers or {})})

    async def post(self, procedure: str, payload: Any, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Call a procedure over HTTP."""
        return await self.http("POST", f"/ui/0.0.1/{procedure}", json.dumps(payload).encode(), headers)


class HttpAnswer(msgspec.Struct):
    """An answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body decoded."""
        return json.loads(self.body)


async def exchange(
    stream: trio.abc.Stream, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    """One HTTP request and its answer, on a connection that is open."""
    lines = {"Host": "localhost", "Content-Length": str(len(body)), **(headers or {})}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    await stream.send_all(head.encode() + b"\r\n" + body)
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = await stream.receive_some(65536)
        if not chunk:
            raise EOFError(f"closed after {received!r}")
        received += chunk
    top, _, rest = received.partition(b"\r\n\r\n")
    first, *fields = top.decode().split("\r\n")
    found = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    length = int(found.get("content-length", "0")) if method != "HEAD" else 0
    while len(rest) < length:
        chunk = await stream.receive_some(65536)
        if not chunk:
            raise EOFError("closed within the body")
        rest += chunk
    return HttpAnswer(int(first.split()[1]), found, rest)


class UiSession:
    """One client on a WebSocket."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        #: What came unasked, in its order.
        self.news: list[list[Any]] = []

    async def ask(self, procedure: str, payload: Any = None, *, identity: str | None = None) -> dict[str, Any]:
        """Call a procedure and wait for its answer."""
        identity = identity or str(uuid.uuid4())
        self.connection.post(json.dumps([identity, procedure, {} if payload is None else payload]))
        with trio.fail_after(PATIENCE):
            while True:
                message = await self.receive()
                if message[0] == identity:
                    answer: dict[str, Any] = message[1]
                    return answer
                self.news.append(message)

    async def receive(self) -> list[Any]:
        """The next message, decoded."""
        message: list[Any] = json.loads(await self.connection.receive())
        return message

    async def receive_named(self, name: str) -> list[Any]:
        """The next message that came unasked and has that name."""
        with trio.fail_after(PATIENCE):
            while True:
                message = await self.receive()
                if message[0] == name:
                    return message

    async def close_code(self) -> int:
        """Wait until the server closes the connection; returns the code."""
        with trio.fail_after(PATIENCE):
            try:
                while True:
                    await self.connection.receive()
            except ConnectionClosed as closed:
                return closed.code


def _keeps(fleet: Fleet, hash_id: str) -> bool:
    station = fleet.get(hash_id)
    return station is not None and station.info.template.enable_statistics


@asynccontextmanager
async def ui_house(
    *,
    stations: Mapping[str, int] | None = None,
    changes: Mapping[str, Any] | None = None,
    run: bool = True,
    config: Mapping[str, Any] | None = None,
    folder: Path = Path("house"),
) -> AsyncIterator[House]:
    """A simulator whose stations are of shipped models.

    :param stations: how many of each model; two of ``schneider``.
    :param changes: members of every station's template to replace (snake case).
    :param run: start them.
    :param config: further members of the configuration.
    """
    wanted = {"schneider": 2} if stations is None else stations
    document = {
        "supervisionUrls": ScriptedCentralSystem.MEMORY_URL,
        "stationTemplateUrls": [{"file": name, "numberOfStations": count} for name, count in wanted.items()],
        **(config or {}),
    }
    loaded = default_config(folder / "config.json", document, environ={})
    plan = plan_fleet(loaded, environ={})
    async with scripted_central() as central, trio.open_nursery() as nursery:
        clock = Clock()
        await nursery.start(clock.run)
        bus = EventBus()
        services = StationServices(
            clock=clock,
            bus=bus,
            dialer=Dialer(open_stream=central.memory_dialer()),
            validator=PayloadValidator(),
            message_ids=MessageIds(),
            seed=1,
        )
        fleet = Fleet(services, SimulatorConfig(), Pace())
        for planned in plan.stations:
            template = msgspec.structs.replace(planned.entry.loaded.template, **(changes or {}))
            info = resolve_station(
                msgspec.structs.replace(planned.entry.loaded, template=template),
                planned.index,
                station_id=planned.station_id,
                hash_id=planned.hash_id,
                rng=random.Random(planned.position),
                id_tags=planned.entry.id_tags,
                fallback_supervision_urls=planned.entry.supervision_urls,
            )
            fleet.add(info, central.MEMORY_URL)
        control = Control(
            fleet=fleet,
            bus=bus,
            statistics=FleetStatistics(
                bus, configured=len(fleet), keeps_actions=lambda hash_id: _keeps(fleet, hash_id)
            ),
            config=loaded.config,
            provisioner=Provisioner(
                loaded,
                environ={},
                maker=Maker(seed=1, store=NoStore(), distribution=lambda: loaded.config.supervision_url_distribution),
            ),
            wire_log=WireLog(bus),
        )
        if run:
            await nursery.start(fleet.run)
        yield House(central, fleet, control, bus)
        control.say_goodbye()
        await fleet.stop()
        nursery.cancel_scope.cancel()
