"""The control of one simulator: takes requests of the UI protocol, whoever brings them, and always answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import trio

from simulator import __version__
from simulator.config.load import LoadedConfig
from simulator.config.model import SimulatorConfig
from simulator.config.problems import nearest
from simulator.control.asked import Asked
from simulator.control.connections import ConnectionWatch
from simulator.control.fanout import Failed, shown_payload
from simulator.control.feed import Changes, Feed, Follower
from simulator.control.fleet import Fleet
from simulator.control.procedures import HANDLERS
from simulator.control.provisioning import Provisioner
from simulator.control.registry.listing import encode_all
from simulator.control.registry.snapshot import Fields, Snapshots
from simulator.events import EventBus
from simulator.station.station import ChargingStation
from simulator.telemetry.log import get_logger
from simulator.telemetry.statistics import FleetStatistics
from simulator.telemetry.wire_log import WireFrame, WireLog
from simulator.templates.fleet import FleetPlan
from ui_protocol.base import Request, Response, StationsRequest, StationsResponse
from ui_protocol.procedures import PROCEDURES, Procedure, find_procedure
from ui_protocol.requests import Direction, StationOptions

log = get_logger("simulator.control")

#: Members that clients of other simulators send along as a matter of course; they mean nothing here and harm nobody.
_OF_OTHERS = frozenset(
    {"connectorId", "customData", "evseId", "idTag", "meterStop", "ocppVersion", "responsesFailed", "timestamp"}
)
_MOST_WARNINGS = 20

#: Wrong spellings of ``hashIds``: passed over, they would make a request for one station one for all of them.
_ALMOST_HASH_IDS = frozenset({"hashid", "hashids", "hash_id", "hash_ids"})


class Control:
    """What clients may ask of a simulator.

    :param provisioner: makes stations at run time; None: none can be added.
    :param wire_log: the latest frames of the OCPP wire; None: they cannot be looked at.
    :param forget: deletes what is kept on disk of the station with that hashId.
    :param keep_started: lets the next run know whether the fleet runs; None: it need not.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        bus: EventBus,
        statistics: FleetStatistics,
        config: SimulatorConfig,
        provisioner: Provisioner | None = None,
        wire_log: WireLog | None = None,
        forget: Callable[[str], object] = lambda hash_id: None,
        keep_started: Callable[[bool], Awaitable[None]] | None = None,
        provisioned: Mapping[str, int] | None = None,
        version: str = __version__,
    ) -> None:
        self.fleet = fleet
        self.statistics = statistics
        self.config = config
        self.provisioner = provisioner
        self.wire_log = wire_log
        self.forget = forget
        self._keep_started = keep_started
        self.version = version
        self.feed = Feed(bus)
        self.connections = ConnectionWatch(bus)
        self.snapshots = Snapshots()
        #: Whether the fleet runs: ``stopSimulator`` ends it, ``startSimulator`` begins it again.
        self.started = True
        #: Stations of the configuration, by template; the others were added.
        self.configured: dict[str, int] = dict(Counter(station.info.template_name for station in fleet))
        #: How many are meant to be added, by template.
        self.provisioned: Mapping[str, int] = provisioned or {}
        #: Starts and stops of the whole fleet, and changes of its members, come one after the other.
        self.members = trio.Lock()
        #: Set when the simulator ends: clients are told, and nothing is answered any more.
        self.going_away = trio.Event()

    def follow(self, loaded: LoadedConfig, plan: FleetPlan) -> None:
        """The configuration has changed."""
        self.config = loaded.config
        self.configured = dict(Counter(planned.entry.loaded.name for planned in plan.stations))
        self.provisioned = provisioned_of(loaded, plan)
        if self.provisioner is not None:
            self.provisioner.follow(loaded)
        # What was encoded of former templates is of no use any more.
        self.snapshots = Snapshots()

    async def set_started(self, started: bool) -> None:
        """People start or end the fleet."""
        self.started = started
        if self._keep_started is not None:
            await self._keep_started(started)

    def close(self) -> None:
        """Read no more events."""
        self.feed.close()
        self.connections.close()

    def say_goodbye(self) -> None:
        """The simulator is about to end: sessions are told and closed."""
        self.going_away.set()

    def follower(self) -> Follower:
        """A new client that wants to be told of changes."""
        return Follower(self)

    # -- requests ----------------------------------------------------------------------------------------------------

    async def call(self, name: str, payload: Any, follower: Follower | None = None) -> Response:
        """Carry out a procedure; whatever is wrong with it is a failure with a reason, never an exception.

        :param payload: the parameters as they came, decoded; None is an empty object.
        :param follower: the session that asks, where there is one.

        On cancel what has begun at stations goes its way; nobody is told how.
        """
        parameters = {} if payload is None else payload
        procedure = find_procedure(name)
        try:
            if procedure is None:
                raise Failed(_unknown(name))
            if not isinstance(parameters, dict):
                raise Failed("the payload is not an object")
            return await self._call(procedure, parameters, follower)
        except Failed as failure:
            message = failure.message
        except Exception:
            log.exception("%s could not be processed", name[:100])
            message = "internal error, see the log"
        return _failure(name, procedure, parameters, message)

    async def _call(self, procedure: Procedure, payload: dict[str, Any], follower: Follower | None) -> Response:
        if issubclass(procedure.request, StationsRequest):
            for member in payload:
                if member != "hashIds" and member.lower() in _ALMOST_HASH_IDS:
                    raise Failed(f"there is no member {member}; the stations meant are listed in hashIds")
        try:
            request: Request = msgspec.convert(payload, procedure.request)
        except msgspec.ValidationError as error:
            raise Failed(str(error).replace("Object missing", "missing").replace(" - at `$.", ": `")) from None
        if isinstance(request, StationsRequest) and request.hash_ids == ():
            raise Failed("hashIds is an empty list: name the stations, or leave it out to mean all of them")
        answer = await HANDLERS[procedure.name](Asked(self, procedure, payload, request, follower))
        warnings = passed_over(procedure, payload)
        return msgspec.structs.replace(answer, warnings=warnings) if warnings else answer

    # -- stations ----------------------------------------------------------------------------------------------------

    def select(self, hash_ids: Sequence[str] | None) -> tuple[list[ChargingStation], list[str]]:
        """The stations meant, each once, and the hashIds that no station has."""
        if hash_ids is None:
            return list(self.fleet), []
        stations, unknown = [], []
        for hash_id in dict.fromkeys(hash_ids):
            station = self.fleet.get(hash_id)
            if station is None:
                unknown.append(hash_id)
            else:
                stations.append(station)
        return stations, unknown

    async def delta(self, changes: Changes, fields: Fields) -> Mapping[str, Any]:
        """The pictures of changed stations, as ``StationsDelta``."""
        stations = [station for hash_id in changes.changed if (station := self.fleet.get(hash_id)) is not None]
        pictures = await encode_all(stations, lambda station: self.snapshots.station(station, fields))
        return {"changed": pictures, "removed": changes.removed, "total": len(self.fleet)}

    def messages(
        self,
        hash_ids: Sequence[str] | None,
        *,
        action: str | None,
        direction: Direction | None,
        after: int,
        limit: int,
    ) -> list[WireFrame]:
        """The newest frames of the OCPP wire, oldest first."""
        if self.wire_log is None:
            raise Failed("the messages of the OCPP wire are not kept: wireLog.memory is 0")
        return self.wire_log.read(hash_ids, action=action, direction=direction, after=after, limit=limit)


def provisioned_of(loaded: LoadedConfig, plan: FleetPlan) -> dict[str, int]:
    """How many stations are meant to be added at run time, by template."""
    wanted: Counter[str] = Counter()
    for entry in plan.entries:
        number = loaded.config.station_template_urls[entry.position].provisioned_number_of_stations
        if number:
            wanted[entry.loaded.name] += number
    return dict(wanted)


def passed_over(procedure: Procedure, payload: Mapping[str, Any]) -> list[str]:
    """What to say of members of the payload that have no meaning; a client may have meant another one."""
    unknown = _unknown_members(payload, procedure.request)
    if isinstance(options := payload.get("options"), dict) and procedure.name == "addChargingStations":
        unknown += [(f"options.{name}", guess) for name, guess in _unknown_members(options, StationOptions)]
    return [
        f"{procedure.name} knows no member {name}" + (f"; did you mean {guess}?" if guess else "")
        for name, guess in unknown[:_MOST_WARNINGS]
    ]


def _unknown_members(payload: Mapping[str, Any], kind: type[msgspec.Struct]) -> list[tuple[str, str | None]]:
    known = kind.__struct_encode_fields__
    return [
        (name[:100], nearest(name[:100], known)) for name in payload if name not in known and name not in _OF_OTHERS
    ]


def _unknown(name: str) -> str:
    guess = nearest(name[:100], PROCEDURES)
    return f"there is no procedure {name[:100]!r}" + (f"; did you mean {guess}?" if guess else "")


def _failure(name: str, procedure: Procedure | None, payload: Any, message: str | None) -> Response:
    shown = shown_payload(payload) if isinstance(payload, dict) else None
    if procedure is not None and procedure.of_stations:
        return StationsResponse(
            status="failure", command=name[:100], request_payload=shown, error_message=message, hash_ids_succeeded=[]
        )
    return Response(status="failure", command=name[:100], request_payload=shown, error_message=message)
