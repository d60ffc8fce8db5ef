"""One function per procedure of the UI protocol."""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from simulator.control import verbs
from simulator.control.asked import Asked, Handler
from simulator.control.fanout import ANSWER_WITHIN, Failed, aggregate, ask_stations
from simulator.control.fleet import stop_within
from simulator.control.ocpp_procedures import OCPP_HANDLERS
from simulator.control.provisioning import check_url
from simulator.control.registry.listing import encode_all, page
from simulator.control.registry.secrets import without_secrets
from simulator.control.registry.snapshot import Fields
from simulator.energy.vehicle import Arrival, Goal
from simulator.events import Connected, Disconnected, StationStopped
from simulator.station.station import ChargingStation
from simulator.telemetry.statistics import Names
from ui_protocol import requests
from ui_protocol.base import Response
from ui_protocol.responses import (
    ListChargingStationsResponse,
    ListMessagesResponse,
    ListTemplatesResponse,
    PerformanceStatisticsResponse,
    SimulatorState,
    SimulatorStateResponse,
    TemplateStatistics,
)

#: Stations that are made or started before others get their turn.
BATCH = 25
#: Wall seconds between two looks at a connection that is being closed.
_LOOK_EVERY = 0.02
_OPEN, _CLOSED = 1, 3
#: Turns that a station gets to power up after it was asked to.
_TURNS_TO_START = 20

# -- simulator ---------------------------------------------------------------------------------------------------------


async def start_simulator(asked: Asked) -> Response:
    """Start every station that does not run; where the fleet has a pace, the answer does not wait for the last."""
    control = asked.control
    async with control.members:
        await control.set_started(True)
        waiting = [station for station in control.fleet if station.info.template.auto_start]
        if control.fleet.paced:
            for station in waiting:
                control.fleet.enlist(station.info.hash_id)
            control.feed.fleet_changed()
            return Response(status="success")
        results = await ask_stations(waiting, lambda station: _start(asked, station))
        control.feed.fleet_changed()
    failed = [failure for failure in results.values() if failure is not None]
    if failed:
        raise Failed(f"{len(failed)} of {len(results)} station(s) did not start: {failed[0].message}")
    return Response(status="success")


async def stop_simulator(asked: Asked) -> Response:
    """End every station in order."""
    control = asked.control
    async with control.members:
        await control.set_started(False)
        in_order = await control.fleet.stop()
        control.feed.fleet_changed()
    if not in_order:
        raise Failed("not every station ended in order within the time given; those were cut off")
    return Response(status="success")


async def simulator_state(asked: Asked) -> Response:
    """The simulator as a whole."""
    control = asked.control
    by_template: dict[str, list[ChargingStation]] = {name: [] for name in (*control.configured, *control.provisioned)}
    for station in control.fleet:
        by_template.setdefault(station.info.template_name, []).append(station)
    await trio.lowlevel.checkpoint()
    states = control.statistics.states()
    return SimulatorStateResponse(
        status="success",
        state=SimulatorState(
            version=control.version,
            started=control.started,
            configuration=without_secrets(msgspec.to_builtins(control.config)),
            template_statistics={
                name: TemplateStatistics(
                    configured=control.configured.get(name, 0),
                    provisioned=control.provisioned.get(name, 0),
                    added=len(stations),
                    started=sum(station.started for station in stations),
                    indexes=sorted(station.info.template_index for station in stations),
                )
                for name, stations in by_template.items()
            },
            statistics={
                "states": msgspec.to_builtins(states),
                **control.statistics.summary(),
            },
        ),
    )


# -- fleet -------------------------------------------------------------------------------------------------------------


async def list_charging_stations(asked: Asked) -> Response:
    """The stations meant, a page of them, as far as the client wants to know."""
    control, request = asked.control, asked.request
    stations, unknown = control.select(request.hash_ids)
    if unknown and not stations:
        raise Failed("no station has any of these hashIds")
    if request.search:
        wanted = request.search.casefold()
        stations = [station for station in stations if wanted in station.info.station_id.casefold()]
    fields = Fields(request.fields)
    pictures: list[Any] = [
        *await encode_all(
            page(stations, request.offset, request.limit), lambda station: control.snapshots.station(station, fields)
        )
    ]
    return ListChargingStationsResponse(status="success", charging_stations=pictures, total=len(stations))


async def list_templates(asked: Asked) -> Response:
    """The templates that stations can be made of."""
    provisioner = asked.control.provisioner
    if provisioner is None:
        return ListTemplatesResponse(status="success", templates=sorted(asked.control.configured))
    return ListTemplatesResponse(status="success", templates=await trio.to_thread.run_sync(provisioner.templates))


async def add_charging_stations(asked: Asked) -> Response:
    """Make stations of a template, and start them unless told otherwise."""
    control, request = asked.control, asked.request
    provisioner = control.provisioner
    if provisioner is None:
        raise Failed("no stations can be added to this simulator")
    loaded = await trio.to_thread.run_sync(provisioner.load, request.template, request.options)
    added: list[ChargingStation] = []
    async with control.members:
        made = provisioner.make(
            loaded,
            request.number_of_stations,
            names={station.info.station_id for station in control.fleet},
            position=len(control.fleet),
            options=request.options,
        )
        for number, (info, url) in enumerate(made):
            if number % BATCH == BATCH - 1:
                await trio.lowlevel.checkpoint()
            added.append(control.fleet.add(info, url))
            control.statistics.configured += 1
            control.feed.changed(info.hash_id)
            if loaded.template.auto_start and control.started:
                control.fleet.enlist(info.hash_id)
    return aggregate(asked.procedure.name, asked.payload, dict.fromkeys(s.info.hash_id for s in added))


async def delete_charging_stations(asked: Asked) -> Response:
    """Stop stations and forget them."""
    control, request = asked.control, asked.request
    within = _stop_within(asked)

    async def delete(station: ChargingStation) -> None:
        hash_id = station.info.hash_id
        await control.fleet.stop_station(hash_id, within)
        control.fleet.remove(hash_id)
        control.statistics.forget(hash_id)
        control.statistics.configured -= 1
        control.feed.removed(hash_id)
        if request.delete_configuration:
            control.forget(hash_id)

    async with control.members:
        return await asked.of_stations(delete)


async def performance_statistics(asked: Asked) -> Response:
    """Records of the stations that keep statistics."""
    control, request = asked.control, asked.request
    stations, _ = control.select(request.hash_ids)

    def record(station: ChargingStation) -> dict[str, Any] | None:
        return control.statistics.record(station.info.hash_id, Names.COUNT_LAST)

    known = [station for station in stations if control.statistics.keeps_records(station.info.hash_id)]
    records: list[Any] = [*await encode_all(page(known, request.offset, request.limit), record)]
    return PerformanceStatisticsResponse(status="success", performance_statistics=records)


async def list_messages(asked: Asked) -> Response:
    """The latest frames of the OCPP wire."""
    request = asked.request
    await trio.lowlevel.checkpoint()
    frames: list[Any] = [
        *asked.control.messages(
            request.hash_ids,
            action=request.action,
            direction=request.direction,
            after=request.after,
            limit=request.limit,
        )
    ]
    return ListMessagesResponse(status="success", messages=frames)


async def subscribe(asked: Asked) -> Response:
    """Let the session follow what it names."""
    if asked.follower is None:
        raise Failed("subscribe needs a WebSocket: over HTTP nobody can be told")
    if "messages" in asked.request.topics and asked.control.wire_log is None:
        raise Failed("the messages of the OCPP wire are not kept: wireLog.memory is 0")
    await trio.lowlevel.checkpoint()
    asked.follower.subscribe(asked.request)
    return Response(status="success")


# -- stations ----------------------------------------------------------------------------------------------------------


async def _start(asked: Asked, station: ChargingStation) -> None:
    """Start one station; returns once it is on."""
    runs = station.started
    if not runs:
        asked.control.fleet.start(station.info.hash_id)
        for _ in range(_TURNS_TO_START):
            await trio.lowlevel.checkpoint()
            if station.started:
                return
        raise Failed("the station did not start; it may have crashed, see the log")
    if station.stopping:
        raise Failed("the station is being stopped")


async def start_charging_station(asked: Asked) -> Response:
    """Start stations; one that runs counts as started."""
    return await asked.of_stations(lambda station: _start(asked, station))


async def stop_charging_station(asked: Asked) -> Response:
    """End stations in order; one that does not run counts as stopped."""
    within = _stop_within(asked)

    async def stop(station: ChargingStation) -> None:
        await asked.control.fleet.stop_station(station.info.hash_id, within)

    return await asked.of_stations(stop)


def _stop_within(asked: Asked) -> float:
    """Wall seconds that each of the stations meant gets for its ordered end: many at once take longer."""
    stations, _ = asked.control.select(asked.request.hash_ids)
    return min(stop_within(len(stations)), ANSWER_WITHIN - 5)


async def open_connection(asked: Asked) -> Response:
    """Connect; returns once the connections are open. A station that is away for a reset is waited for."""
    watch = asked.control.connections

    async def connect(station: ChargingStation) -> None:
        verbs.must_run(station)
        if station.line.state == _OPEN and not station.reset_under_way:
            return
        station.line.open()
        with trio.move_on_after(ANSWER_WITHIN - 1) as waiting:
            fate = await watch.next(station.info.hash_id)
            while isinstance(fate, Disconnected):  # that was the end of the former connection
                fate = await watch.next(station.info.hash_id)
        if waiting.cancelled_caught and station.reset_under_way:
            raise Failed("the station is away for a reset; it connects once it is back")
        if waiting.cancelled_caught:
            raise Failed("the connection is not open yet; the station goes on trying")
        if isinstance(fate, StationStopped):
            raise Failed("the station was stopped")
        if not isinstance(fate, Connected):
            raise Failed(f"cannot connect: {fate.reason}")

    return await asked.of_stations(connect)


async def close_connection(asked: Asked) -> Response:
    """Disconnect and stay so; returns once the connections are closed."""

    async def disconnect(station: ChargingStation) -> None:
        verbs.must_run(station)
        station.line.close(hold=True)
        # Nobody is told of the end of the closing handshake, nor of that of an attempt to connect: look.
        while station.started and station.line.state != _CLOSED:  # noqa: ASYNC110
            await trio.sleep(_LOOK_EVERY)

    return await asked.of_stations(disconnect)


async def set_supervision_url(asked: Asked) -> Response:
    """Move stations to another central system."""
    request = asked.request
    check_url(request.url)

    async def move(station: ChargingStation) -> None:
        await verbs.supervise(station, request.url, request.supervision_user, request.supervision_password)
        asked.control.feed.changed(station.info.hash_id)

    return await asked.of_stations(move)


async def change_configuration(asked: Asked) -> Response:
    """Write an OCPP configuration key."""
    request = asked.request

    async def change(station: ChargingStation) -> None:
        status = station.keys.change(request.key, request.value)
        if status not in {"Accepted", "RebootRequired"}:
            raise Failed(None, {"status": status})
        asked.control.feed.changed(station.info.hash_id)

    return await asked.of_stations(change)


async def start_generator(asked: Asked) -> Response:
    """Start automatic transaction generators."""

    async def start(station: ChargingStation) -> None:
        verbs.must_run(station)
        if not station.registration.accepted:
            raise Failed("the central system has not accepted the station")
        try:
            station.generator.start(_numbers(asked))
        except ValueError as error:
            raise Failed(str(error)) from None

    return await asked.of_stations(start)


async def stop_generator(asked: Asked) -> Response:
    """Stop automatic transaction generators; returns once their transactions have ended."""

    async def stop(station: ChargingStation) -> None:
        try:
            await station.generator.stop(_numbers(asked))
        except ValueError as error:
            raise Failed(str(error)) from None

    return await asked.of_stations(stop)


def _numbers(asked: Asked) -> list[int] | None:
    ids = asked.request.connector_ids
    return list(dict.fromkeys(ids)) if ids else None


async def needs_ocpp_2(asked: Asked) -> Response:
    """A procedure that no station can carry out."""
    raise Failed("no station speaks OCPP 2.x")


# -- hands on ----------------------------------------------------------------------------------------------------------


async def lock_connector(asked: Asked) -> Response:
    """Lock the cable."""
    return await asked.of_stations(lambda station: verbs.lock(station, asked.request.connector_id))


async def unlock_connector(asked: Asked) -> Response:
    """Release the cable."""
    return await asked.of_stations(lambda station: verbs.unlock(station, asked.request.connector_id))


async def plug_in(asked: Asked) -> Response:
    """A vehicle plugs in."""
    request: requests.PlugIn = asked.request
    goal = Goal(
        soc_percent=request.target_soc_percent,
        energy_wh=request.energy_wh,
        departs_after_s=request.departs_after_seconds,
    )
    arrival = Arrival(vehicle=request.vehicle, soc=request.soc_percent, goal=None if goal == Goal() else goal)
    return await asked.of_stations(lambda station: verbs.plug_in(station, request.connector_id, arrival))


async def unplug(asked: Asked) -> Response:
    """The vehicle leaves."""
    return await asked.of_stations(lambda station: verbs.unplug(station, asked.request.connector_id))


async def present_id_tag(asked: Asked) -> Response:
    """A tag is held to the reader."""
    request = asked.request
    return await asked.of_stations(lambda station: verbs.present_id_tag(station, request.id_tag, request.connector_id))


async def raise_error(asked: Asked) -> Response:
    """A fault occurs."""
    request = asked.request
    return await asked.of_stations(
        lambda station: verbs.raise_error(station, request.connector_id, request.error_code, request.info)
    )


async def clear_error(asked: Asked) -> Response:
    """The fault is gone."""
    return await asked.of_stations(lambda station: verbs.clear_error(station, asked.request.connector_id))


async def power_cycle(asked: Asked) -> Response:
    """The station loses power and comes back."""
    return await asked.of_stations(verbs.power_cycle)


HANDLERS: dict[str, Handler] = {
    "startSimulator": start_simulator,
    "stopSimulator": stop_simulator,
    "simulatorState": simulator_state,
    "listChargingStations": list_charging_stations,
    "listTemplates": list_templates,
    "addChargingStations": add_charging_stations,
    "deleteChargingStations": delete_charging_stations,
    "performanceStatistics": performance_statistics,
    "listMessages": list_messages,
    "subscribe": subscribe,
    "startChargingStation": start_charging_station,
    "stopChargingStation": stop_charging_station,
    "openConnection": open_connection,
    "closeConnection": close_connection,
    "setSupervisionUrl": set_supervision_url,
    "changeConfiguration": change_configuration,
    "lockConnector": lock_connector,
    "unlockConnector": unlock_connector,
    "startAutomaticTransactionGenerator": start_generator,
    "stopAutomaticTransactionGenerator": stop_generator,
    "get15118EVCertificate": needs_ocpp_2,
    "getCertificateStatus": needs_ocpp_2,
    "notifyCustomerInformation": needs_ocpp_2,
    "notifyReport": needs_ocpp_2,
    "transactionEvent": needs_ocpp_2,
    "plugIn": plug_in,
    "unplug": unplug,
    "presentIdTag": present_id_tag,
    "raiseError": raise_error,
    "clearError": clear_error,
    "powerCycle": power_cycle,
    **OCPP_HANDLERS,
}
