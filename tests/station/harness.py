"""Whole stations against a scripted central system, in virtual time, in memory or over real sockets.

::

    async with station_world(keys={"MeterValueSampleInterval": 10}) as world:
        await world.ready()                                     # accepted, every status told
        transaction = await world.charge(1)                     # a remote start, until StartTransaction is answered
        await world.sleep(25)
        assert len(world.sent("MeterValues")) == 2
        assert await world.call("RemoteStopTransaction", transactionId=transaction.transaction_id) == {"status": ...}

Everything is the real thing but the network, which is memory streams with real WebSocket frames, unless a world says
``sockets=True``: then it is TCP on the loopback interface, by the transport that the program takes by default. Such
tests run under the clock of :mod:`tests.fakes.loopback`. A test whose station breaks a rule of OCPP that a central
system can see fails at its end, unless it says ``faults=True``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio
from trio.testing import wait_all_tasks_blocked

from simulator import events
from simulator.clock import Clock
from simulator.config.model import SimulatorConfig
from simulator.control.fleet import Fleet
from simulator.control.pacing import Pace
from simulator.csms import BootPolicy, CallRejected, Station
from simulator.csms.ledger import LedgerTransaction
from simulator.csms.policy import TagTable
from simulator.energy.vehicle import VehicleModel
from simulator.events import Event, EventBus
from simulator.ids import MessageIds
from simulator.ocpp.validation import PayloadValidator
from simulator.station.connector import Connector
from simulator.station.generator import GeneratorStatus
from simulator.station.services import StationServices
from simulator.station.station import ChargingStation, station_random
from simulator.templates.info import resolve_station
from simulator.templates.load import build_template
from simulator.transport.hub import AVAILABLE, open_hub
from simulator.transport.websocket import Dialer
from tests.fakes.loopback import settle
from tests.fakes.memory_net import MemoryNetwork
from tests.fakes.scripted import CallRecord, ScriptedCentralSystem, scripted_central
from tests.fakes.socket_net import SocketNetwork

E = TypeVar("E", bound=Event)

#: POSIX seconds at which every world begins: 2026-11-22T10:00:00Z.
START = 1_795_341_600.0

#: A station model with two connectors.
TEMPLATE: Mapping[str, Any] = {
    "baseName": "CS",
    "chargePointVendor": "Acme",
    "chargePointModel": "One",
    "power": 22,
    "powerUnit": "kW",
    "numberOfConnectors": 2,
    "resetTime": 30,
    "Connectors": {"0": {}, "1": {}, "2": {}},
}
#: OCPP keys that differ from their defaults in every world: no pings, remote starts without Authorize.
KEYS: Mapping[str, Any] = {"WebSocketPingInterval": 0, "AuthorizeRemoteTxRequests": "false"}

_EVENTS = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]
_NOT_KEPT = (events.FrameSent, events.FrameReceived, Event)


class World:
    """One or more stations, their central system, and what happened. Stations are called CS-1, CS-2, …

    Methods speak of CS-1 unless ``station`` names another one.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        central: ScriptedCentralSystem,
        clock: Clock,
        fleet: Fleet,
        network: MemoryNetwork | SocketNetwork,
    ) -> None:
        self.network = network
        self.nursery = nursery
        self.central = central
        self.clock = clock
        self.fleet = fleet
        #: Every event of the bus in its order, frames left out.
        self.events: list[Event] = []
        self.bus: EventBus

    # -- stations ----------------------------------------------------------------------------------------------------

    @property
    def stations(self) -> list[ChargingStation]:
        """All stations, by number."""
        return list(self.fleet)

    @property
    def station(self) -> ChargingStation:
        """CS-1 itself."""
        return self.stations[0]

    def connector(self, connector_id: int = 1) -> Connector:
        """A connector of CS-1."""
        return self.station.connectors[connector_id]

    def counters(self, connector_id: int = 1) -> GeneratorStatus:
        """The counters of the generator of a connector."""
        return self.station.generator.statuses[connector_id]

    # -- time --------------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Return when everything that happens in this instant has happened."""
        if isinstance(self.network, SocketNetwork):
            await settle()
        else:
            await wait_all_tasks_blocked()

    async def sleep(self, seconds: float) -> None:
        """Let wall seconds pass, and everything happen that is due then."""
        await trio.sleep(seconds)
        await self.settle()

    # -- what the central system sees --------------------------------------------------------------------------------

    def calls(self, action: str | None = None, *, station: str = "CS-1") -> list[CallRecord]:
        """The CALLs of a station, of one action or all."""
        return self.central.calls_from(station, action)

    def sent(self, action: str, *, station: str = "CS-1", after: int = 0) -> list[dict[str, Any]]:
        """The payloads of a station's CALLs of an action, without the first ``after``."""
        return [call.payload for call in self.calls(action, station=station)[after:]]

    def actions(self, *, station: str = "CS-1") -> list[str]:
        """The actions of a station's CALLs in their order."""
        return self.central.actions_from(station)

    def statuses(self, connector_id: int | None = None, *, station: str = "CS-1") -> list[Any]:
        """The statuses that were told: of a connector, or (connector, status) of all."""
        told = [(p["connectorId"], p["status"]) for p in self.sent("StatusNotification", station=station)]
        return told if connector_id is None else [status for connector, status in told if connector == connector_id]

    def times(self, action: str, *, station: str = "CS-1") -> list[float]:
        """When the CALLs of an action came, on trio's clock."""
        return [call.time for call in self.calls(action, station=station)]

    def transactions(self, *, station: str = "CS-1") -> list[LedgerTransaction]:
        """The ledger of the central system."""
        return self.central.ledger.of_station(station)

    def closings(self, *, station: str = "CS-1") -> list[int]:
        """The close codes of a station's connections that have ended."""
        return [code for who, code in self.central.closings if who == station]

    async def wait_for(self, action: str, count: int = 1, *, station: str = "CS-1", **options: Any) -> dict[str, Any]:
        """Wait for the ``count``-th CALL of an action; returns its payload."""
        return (await self.central.wait_for(station, action, count, **options)).payload

    # -- what the central system does --------------------------------------------------------------------------------

    def known(self, station: str = "CS-1") -> Station:
        """The station as the central system knows it."""
        return self.central.station(station)

    async def call(self, action: str, /, *, to: str = "CS-1", **payload: Any) -> dict[str, Any]:
        """Send a CALL to a station; returns the answer's payload."""
        return await self.known(to).call(action, payload)

    async def status_of(self, action: str, /, *, to: str = "CS-1", **payload: Any) -> str:
        """The same for an answer that is a status."""
        return str((await self.call(action, to=to, **payload))["status"])

    async def refused(self, action: str, /, *, to: str = "CS-1", **payload: Any) -> str:
        """The same for an answer that is a CALLERROR: its code."""
        try:
            answer = await self.call(action, to=to, **payload)
        except CallRejected as rejected:
            return rejected.code
        raise AssertionError(f"{action} was answered {answer}")

    async def key(self, name: str, value: object) -> str:
        """ChangeConfiguration; returns the status."""
        return await self.status_of("ChangeConfiguration", key=name, value=str(value))

    async def trigger(self, message: str, connector_id: int | None = None) -> str:
        """TriggerMessage; returns the status."""
        where: dict[str, Any] = {} if connector_id is None else {"connectorId": connector_id}
        return await self.status_of("TriggerMessage", requestedMessage=message, **where)

    # -- ready-made situations ---------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Wait until every station is accepted and has told all its statuses."""
        for station in self.stations:
            await self.wait_for("StatusNotification", len(station.connectors), station=station.info.station_id)
        await self.settle()

    async def charge(self, connector_id: int = 1, id_tag: str = "TAG", *, to: str = "CS-1") -> LedgerTransaction:
        """Start a transaction remotely; returns it as the ledger has it once the station knows its id."""
        count = len(self.calls("StartTransaction", station=to))
        answer = await self.status_of("RemoteStartTransaction", to=to, connectorId=connector_id, idTag=id_tag)
        assert answer == "Accepted"
        await self.wait_for("StartTransaction", count + 1, station=to)
        await self.settle()
        return self.transactions(station=to)[-1]

    async def stop_charging(self, transaction: LedgerTransaction) -> None:
        """Stop it remotely, until StopTransaction is answered."""
        count = len(self.calls("StopTransaction", station=transaction.station_id))
        answer = await self.status_of(
            "RemoteStopTransaction", to=transaction.station_id, transactionId=transaction.transaction_id
        )
        assert answer == "Accepted"
        await self.wait_for("StopTransaction", count + 1, station=transaction.station_id)
        await self.settle()

    def go_offline(self) -> None:
        """Cut every line and refuse new ones until :meth:`come_back`."""
        self.network.refuse()
        self.network.cut()

    async def come_back(self, *, within: float = 400.0) -> None:
        """Take connections again and wait until CS-1 has come back and said what it had to say."""
        self.network.restore()
        await self.central.connected("CS-1", self.known().connections + 1, timeout=within)
        await self.settle()

    # -- what the bus saw --------------------------------------------------------------------------------------------

    def happened(self, kind: type[E], *, station: str = "CS-1") -> list[E]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind) and event.station_id == station]


def document(template: Mapping[str, Any] | None = None, keys: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON of a template: :data:`TEMPLATE` and :data:`KEYS` with changes; a value of None takes a key away."""
    merged = {**TEMPLATE, **(template or {})}
    entries = {**KEYS, **(keys or {})}
    merged["Configuration"] = {
        "configurationKey": [
            {"key": name, **value} if isinstance(value, Mapping) else {"key": name, "value": str(value)}
            for name, value in entries.items()
            if value is not None
        ]
    }
    return {name: value for name, value in merged.items() if value is not None}


@asynccontextmanager
async def _network(
    central: ScriptedCentralSystem, sockets: bool
) -> AsyncIterator[tuple[MemoryNetwork | SocketNetwork, Dialer, str]]:
    """The way from the stations to the central system, what opens connections on it, and where they lead."""
    if not sockets:
        yield central.network, Dialer(open_stream=central.memory_dialer()), central.MEMORY_URL
        return
    network = await central.listen_for_lines()
    if AVAILABLE:
        async with open_hub() as hub:
            yield network, Dialer(hub=hub), network.url
    else:
        yield network, Dialer(), network.url


@asynccontextmanager
async def station_world(
    *,
    template: Mapping[str, Any] | None = None,
    keys: Mapping[str, Any] | None = None,
    stations: int = 1,
    tags: Sequence[str] = (),
    vehicles: Sequence[VehicleModel] | None = None,
    seed: int | None = 1,
    speed: float = 1.0,
    grid: float = 0.0,
    boot: BootPolicy | None = None,
    central_tags: TagTable | None = None,
    pace: Pace | None = None,
    start: bool = True,
    faults: bool = False,
    auto_reconnect_max_retries: int = -1,
    change: Callable[[World], None] = lambda world: None,
    services: Mapping[str, Any] | None = None,
    first_id: str = "CS-1",
    sockets: bool = False,
    **central_options: Any,
) -> AsyncIterator[World]:
    """A running world; it ends, without ceremony, with the block.

    :param template: changes to :data:`TEMPLATE`; None takes a member away.
    :param keys: OCPP keys of the template by name; a mapping gives their other members (``readonly`` …).
    :param tags: the tag list of the stations.
    :param vehicles: the models that come; by default those of the simulator.
    :param central_tags: what the central system knows of tags; by default all are good.
    :param boot: what the central system answers to BootNotification; Accepted with 300 s by default.
    :param pace: how fast the stations are started; all at once by default.
    :param start: whether the stations are started; else ``world.fleet.start(hash_id)`` does.
    :param faults: the stations may break rules here: do not fail for that.
    :param first_id: what CS-1 is called instead.
    :param sockets: connect over TCP instead of in memory.
    :param services: other members of the stations' :class:`StationServices`.
    :param change: called before anything starts, to prepare the central system.
    """
    failure: Exception | None = None
    central_options.update(start=START, boot=boot, tags=central_tags)
    async with (
        scripted_central(**central_options) as central,
        _network(central, sockets) as (network, dialer, url),
        trio.open_nursery() as nursery,
    ):
        try:
            clock = Clock(start=START, speed=speed, grid=grid)
            await nursery.start(clock.run)
            bus = EventBus()
            shared = StationServices(
                clock=clock,
                bus=bus,
                dialer=dialer,
                validator=PayloadValidator(),
                message_ids=MessageIds(),
                seed=seed,
                auto_reconnect_max_retries=auto_reconnect_max_retries,
                **(services or {}),
            )
            fleet = Fleet(shared, SimulatorConfig(), pace or Pace())
            world = World(nursery, central, clock, fleet, network)
            world.bus = bus
            for kind in _EVENTS:
                if kind not in _NOT_KEPT:
                    bus.subscribe(kind, world.events.append)
            loaded = build_template(document(template, keys), Path("test.station-template.json"))
            for index in range(1, stations + 1):
                info = resolve_station(
                    loaded,
                    index,
                    station_id=first_id if index == 1 else f"CS-{index}",
                    hash_id=f"hash-{index}",
                    rng=station_random(0, str(index)),
                    id_tags=tags,
                    vehicles=vehicles,
                    fallback_supervision_urls=(url,),
                )
                fleet.add(info, info.supervision_urls[0])
            change(world)
            if start:
                await nursery.start(fleet.run)
            yield world
            if not faults:
                assert central.violations == [], "\n".join(map(str, central.violations))
        except Exception as error:
            failure = error
        finally:
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
