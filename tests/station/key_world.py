"""A small world for one key of a file: writes the files, plans the fleet, runs it against a scripted central system.

Everything is in memory and in virtual time (``autojump_clock``). What a station shows is read off the wire.
"""

from __future__ import annotations

import copy
import enum
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import trio

from simulator.clock import Clock
from simulator.config.load import LoadedConfig, load_config
from simulator.config.problems import ConfigurationError
from simulator.control.fleet import Fleet
from simulator.control.pacing import Pace
from simulator.csms import CallRejected
from simulator.events import EventBus
from simulator.ids import MessageIds
from simulator.ocpp.validation import PayloadValidator
from simulator.station.memory import NoStore, StationStore
from simulator.station.memory_parts import kept_info
from simulator.station.services import StationServices
from simulator.station.station import ChargingStation, station_random
from simulator.templates.fleet import FleetPlan, choose_supervision_url, plan_fleet
from simulator.templates.info import resolve_station
from simulator.transport.server import ServerConnection
from simulator.transport.websocket import Dialer
from tests.fakes.scripted import CallRecord, ScriptedCentralSystem

Document = dict[str, Any]

#: 2026-01-01 00:00:00 UTC, where the simulated time of each world begins.
START = 1_767_225_600.0

TEMPLATE: Document = {
    "baseName": "CS",
    "chargePointModel": "One",
    "chargePointVendor": "Me",
    "power": 22080,
    "Connectors": {"0": {}, "1": {}},
}
#: The vehicle of ``vehicles.json``: it takes a fraction of what the station can deliver.
SMALL_VEHICLE: Document = {
    "id": "small",
    "batteryCapacityWh": 20000,
    "maxPowerW": 2000,
    "acPhases": 1,
    "acMaxCurrentA": 8,
    "initialSocPercentMin": 10,
    "initialSocPercentMax": 20,
    "chargingCurve": [{"socPercent": 0, "powerFraction": 1}, {"socPercent": 100, "powerFraction": 1}],
}
TAGS = ["TAG-1", "TAG-2", "TAG-3"]


class Absent(enum.Enum):
    """The type of :data:`ABSENT`; an enumeration, because copies of its member are the member."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
"""In a document to merge: the key is taken out."""

NO_STORE = NoStore()

_VALIDATOR = PayloadValidator()


def merged(base: Mapping[str, Any], *more: Mapping[str, Any]) -> Document:
    """Documents one over the other, object by object; :data:`ABSENT` takes a key out."""
    result = copy.deepcopy(dict(base))
    for document in more:
        for key, value in document.items():
            if value is ABSENT:
                result.pop(key, None)
            elif isinstance(value, Mapping) and isinstance(result.get(key), dict):
                result[key] = merged(result[key], value)
            else:
                result[key] = copy.deepcopy(value)
    return result


def template_of(*documents: Mapping[str, Any]) -> Document:
    """The plain template with documents merged over it."""
    return merged(TEMPLATE, *documents)


def ocpp_keys(**values: str) -> Document:
    """The template's section that sets OCPP keys."""
    return {"Configuration": {"configurationKey": [{"key": key, "value": value} for key, value in values.items()]}}


@contextmanager
def planned(
    template: Mapping[str, Any] = TEMPLATE, config: Mapping[str, Any] | None = None
) -> Iterator[tuple[LoadedConfig, FleetPlan]]:
    """A configuration of one station, its template, ``tags.json`` and ``vehicles.json``, as files, read and planned.

    :raises ConfigurationError: something is wrong with them.
    """
    fleet = {
        "supervisionUrls": ScriptedCentralSystem.MEMORY_URL,
        "stationTemplateUrls": [{"file": "one", "numberOfStations": 1}],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tags.json").write_text(json.dumps(TAGS), encoding="utf-8")
        (folder / "vehicles.json").write_text(json.dumps({"profiles": [SMALL_VEHICLE]}), encoding="utf-8")
        for file in ("one", "two"):
            document = merged(template, {"nameSuffix": "-2"} if file == "two" else {})
            (folder / f"{file}.station-template.json").write_text(json.dumps(document), encoding="utf-8")
        (folder / "config.json").write_text(json.dumps(merged(fleet, config or {})), encoding="utf-8")
        loaded = load_config(folder / "config.json", environ={})
        yield loaded, plan_fleet(loaded, environ={})


def problems(template: Mapping[str, Any] = TEMPLATE, config: Mapping[str, Any] | None = None) -> list[str]:
    """The errors in the files, each as its path and what is wrong: what ``simulator check`` prints."""
    try:
        with planned(template, config):
            return []
    except ConfigurationError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems if problem.severity == "error"]


class Central(ScriptedCentralSystem):
    """A scripted central system that keeps what stations dial and how they introduce themselves."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__(nursery, start=START)
        #: The hosts that were dialled, and when.
        self.dialled: list[tuple[float, str]] = []
        self.handshakes: list[ServerConnection] = []

    async def open_stream(self, host: str, port: int) -> trio.abc.Stream:
        """The ``open_stream`` of the stations' dialer."""
        self.dialled.append((trio.current_time(), host))
        return await self.network(host, port)

    async def handle(self, connection: ServerConnection) -> None:
        self.handshakes.append(connection)
        await super().handle(connection)


class World:
    """One running fleet and its central system."""

    def __init__(self, central: Central, fleet: Fleet, bus: EventBus, began: float) -> None:
        self.central = central
        self.fleet = fleet
        self.bus = bus
        self._began = began

    @property
    def station(self) -> ChargingStation:
        """The first station."""
        return next(iter(self.fleet))

    @property
    def name(self) -> str:
        """Its name."""
        return self.station.info.station_id

    @property
    def elapsed(self) -> float:
        """Seconds since the world began."""
        return trio.current_time() - self._began

    def since_begin(self, time: float) -> float:
        """Seconds from the begin of the world to an instant of trio's clock."""
        return round(time - self._began, 3)

    async def accepted(self) -> None:
        """Wait until the first station is accepted and has reported all its connectors."""
        await self.central.wait_for(self.name, "StatusNotification", len(self.station.connectors))

    async def seen(self, action: str, count: int = 1, *, timeout: float = 3600) -> CallRecord:
        """Wait for a CALL of the first station."""
        return await self.central.wait_for(self.name, action, count, timeout=timeout)

    def calls(self, *actions: str) -> list[CallRecord]:
        """The CALLs of the first station so far, of these actions or of all."""
        return [call for call in self.central.calls_from(self.name) if not actions or call.action in actions]

    async def ask(self, action: str, payload: Mapping[str, Any] | None = None) -> Document:
        """Send a CALL to the first station; a CALLERROR comes back as ``{"error": its code}``."""
        try:
            return await self.central.station(self.name).call(action, payload)
        except CallRejected as rejected:
            return {"error": rejected.code}

    async def key(self, name: str) -> str | None:
        """The value of an OCPP key as GetConfiguration shows it; None if it shows none."""
        answer = await self.ask("GetConfiguration", {"key": [name]})
        return next((entry.get("value") for entry in answer.get("configurationKey", ())), None)

    async def start_transaction(self, tag: str = "TAG-1", connector: int = 1) -> CallRecord:
        """Start a transaction remotely and wait for its StartTransaction."""
        before = len(self.calls("StartTransaction"))
        answer = await self.ask("RemoteStartTransaction", {"idTag": tag, "connectorId": connector})
        assert answer == {"status": "Accepted"}
        return await self.seen("StartTransaction", before + 1)

    async def stop_transaction(self) -> CallRecord:
        """Stop the latest transaction remotely, and wait for its StopTransaction and what follows it."""
        before = len(self.calls("StopTransaction"))
        transaction_id = max(self.central.ledger.open)
        assert await self.ask("RemoteStopTransaction", {"transactionId": transaction_id}) == {"status": "Accepted"}
        stop = await self.seen("StopTransaction", before + 1)
        await trio.sleep(1)
        return stop


@asynccontextmanager
async def key_world(
    template: Mapping[str, Any] = TEMPLATE,
    config: Mapping[str, Any] | None = None,
    *,
    seed: int = 1,
    store: StationStore = NO_STORE,
) -> AsyncIterator[World]:
    """Run the fleet of :func:`planned`. It is cancelled at the end of the block.

    :param store: what the stations keep, for another world.
    """
    with planned(template, config) as (loaded, plan):
        async with trio.open_nursery() as nursery:
            clock = Clock(start=START)
            await nursery.start(clock.run)
            central, bus = Central(nursery), EventBus()
            retries = loaded.config.auto_reconnect_max_retries
            services = StationServices(
                clock=clock,
                bus=bus,
                dialer=Dialer(open_stream=central.open_stream),
                validator=_VALIDATOR,
                message_ids=MessageIds(),
                seed=seed,
                store=store,
                auto_reconnect_max_retries=-1 if retries is None else retries,
            )
            pace = Pace.of(loaded.config.worker, delay_given=loaded.is_given("worker.startDelay"))
            fleet = Fleet(services, loaded.config, pace)
            for place in plan.stations:
                rng = station_random(seed, f"{place.hash_id}:info")
                urls = place.entry.supervision_urls
                info = resolve_station(
                    place.entry.loaded,
                    place.index,
                    station_id=place.station_id,
                    hash_id=place.hash_id,
                    rng=rng,
                    id_tags=place.entry.id_tags,
                    vehicles=place.entry.vehicles,
                    fallback_supervision_urls=urls,
                    kept=kept_info(store, place.entry.loaded.template, place.hash_id),
                )
                distribution = loaded.config.supervision_url_distribution
                url = choose_supervision_url(urls, distribution, index=place.index, position=place.position, rng=rng)
                fleet.add(info, url)
            world = World(central, fleet, bus, trio.current_time())
            nursery.start_soon(fleet.run)
            try:
                yield world
            finally:
                nursery.cancel_scope.cancel()
