"""What a central system, or ``simulator check``, sees of a template: each takes a template and runs a world with it."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from simulator.app import RunOptions, Simulator
from simulator.config.problems import ConfigurationError
from simulator.station.memory import NoStore
from simulator.timestamps import format_timestamp
from tests.station.key_world import START, Document, World, key_world, merged, planned, problems

Sight = Callable[[Document], Awaitable[Any]]


def errors_instead(sight: Sight) -> Sight:
    """The same, or the list of the errors where the template has some."""

    async def see(template: Document) -> Any:
        try:
            return await sight(template)
        except ConfigurationError:
            return problems(template)

    return see


async def errors(template: Document) -> list[str]:
    """The errors that ``simulator check`` prints."""
    return problems(template)


# -- from run to run ---------------------------------------------------------------------------------------------------


class _Drawer(NoStore):
    """Keeps what the stations of a world give it when they are asked for it."""

    def __init__(self) -> None:
        self._whole: dict[str, Callable[[], Mapping[str, Any]]] = {}
        self._kept: dict[str, Mapping[str, Any]] = {}

    def recall(self, hash_id: str) -> Mapping[str, Any]:
        return self._kept.get(hash_id, {})

    def join(self, hash_id: str, whole: Callable[[], Mapping[str, Any]]) -> None:
        self._whole[hash_id] = whole

    def close(self) -> None:
        """The process ends."""
        self._kept = {hash_id: whole() for hash_id, whole in self._whole.items()}


async def keeps_a_changed_key(template: Document) -> bool:
    """Whether a key that the central system changed is still changed in the next run."""
    drawer = _Drawer()
    async with key_world(template, store=drawer) as world:
        await world.accepted()
        await world.ask("ChangeConfiguration", {"key": "ConnectionTimeOut", "value": "77"})
        drawer.close()
    async with key_world(template, store=drawer) as world:
        await world.accepted()
        return await world.key("ConnectionTimeOut") == "77"


async def keeps_what_the_generator_counts(template: Document) -> bool:
    """Whether the generator goes on counting where the run before has ended."""
    drawer, counted = _Drawer(), []
    for _ in range(2):
        async with key_world(template, store=drawer) as world:
            await trio.sleep(300)
            counted.append(world.station.generator.statuses[1].start_transaction_requests)
            drawer.close()
    return counted[1] > counted[0]


async def keeps_its_serial_number(template: Document) -> bool:
    """Whether the station has the serial number of the run before, which had other random numbers."""
    drawer, told = _Drawer(), []
    for seed in (1, 2):
        async with key_world(template, store=drawer, seed=seed) as world:
            boot = await world.seen("BootNotification")
            told.append(boot.payload["chargePointSerialNumber"])
            drawer.close()
    return len(set(told)) == 1


# -- the connection ----------------------------------------------------------------------------------------------------


async def dialled(template: Document) -> list[str]:
    """The host that the station connects to."""
    async with key_world(template) as world:
        await trio.sleep(1)
        return [host for _, host in world.central.dialled]


async def moved(template: Document) -> list[str]:
    """The hosts dialled before and after the central system tried to move the station."""
    async with key_world(template) as world:
        await world.accepted()
        await world.ask("ChangeConfiguration", {"key": "ConnectionUrl", "value": "ws://moved.test/"})
        await world.ask("Reset", {"type": "Soft"})
        await world.central.connected(world.name, 2, timeout=100)
        return [host for _, host in world.central.dialled]


def header(name: str) -> Sight:
    """A header of the opening handshake."""

    async def see(template: Document) -> str | None:
        async with key_world(template) as world:
            await world.accepted()
            headers = world.central.handshakes[0].headers
            return next((value for known, value in headers if known.lower() == name), None)

    return see


async def authorization(template: Document) -> str | None:
    """User and password of the opening handshake."""
    value = await header("authorization")(template)
    return None if value is None else base64.b64decode(value.removeprefix("Basic ")).decode()


def attempts_within(seconds: float, *, most: int) -> Sight:
    """How often the station tries to come back in that time after the central system went away, counted to ``most``."""

    async def see(template: Document) -> int:
        async with key_world(template) as world:
            await world.accepted()
            world.central.network.refuse()
            world.central.network.cut()
            await trio.sleep(seconds)
            return min(world.central.network.attempts - 1, most)

    return see


async def time_away(template: Document) -> int:
    """Seconds that a reset takes."""
    async with key_world(template) as world:
        await world.accepted()
        await world.ask("Reset", {"type": "Soft"})
        await world.central.disconnected(world.name)
        gone = world.elapsed
        await world.central.connected(world.name, 2, timeout=300)
        return round(world.elapsed - gone)


# -- registration ------------------------------------------------------------------------------------------------------


@errors_instead
async def station_name(template: Document) -> str:
    """The name by which the station connects."""
    async with key_world(template) as world:
        await world.accepted()
        return world.central.handshakes[0].path.rpartition("/")[2]


def booted(member: str) -> Sight:
    """A member of BootNotification."""

    @errors_instead
    async def see(template: Document) -> Any:
        async with key_world(template) as world:
            return (await world.seen("BootNotification")).payload.get(member)

    return see


def serial(member: str) -> Sight:
    """The first two characters and the length of a serial number in BootNotification."""

    async def see(template: Document) -> tuple[str, int] | None:
        value = await booted(member)(template)
        return None if value is None else (value[:2], len(value))

    return see


def _reject(world: World) -> None:
    answer = {"status": "Rejected", "currentTime": format_timestamp(START), "interval": 10}
    world.central.on("BootNotification", answer)


def boots_within(seconds: float) -> Sight:
    """How many BootNotifications a station sends in that time that is rejected for 10 s each time."""

    async def see(template: Document) -> int:
        async with key_world(template) as world:
            _reject(world)
            await trio.sleep(seconds)
            return len(world.calls("BootNotification"))

    return see


async def reports_though_rejected(template: Document) -> bool:
    """Whether a rejected station reports its connectors."""
    async with key_world(template) as world:
        _reject(world)
        await trio.sleep(5)
        return bool(world.calls("StatusNotification"))


async def actions(template: Document) -> list[str]:
    """The kinds of CALLs that the station sends in its first seconds."""
    async with key_world(template) as world:
        await trio.sleep(5)
        return sorted({call.action for call in world.calls()})


async def keeps_statistics(template: Document) -> bool:
    """Whether the run keeps statistics of the station by action."""
    with planned(template, {"supervisionUrls": "ws://127.0.0.1:1/"}) as (loaded, plan):
        simulator = Simulator(loaded, plan, RunOptions(duration=2))
        await simulator.run()
        return simulator.statistics.record(plan.stations[0].hash_id) is not None


# -- connectors --------------------------------------------------------------------------------------------------------


async def _first_statuses(world: World) -> dict[int, str]:
    await world.accepted()
    return {call.payload["connectorId"]: call.payload["status"] for call in world.calls("StatusNotification")}


@errors_instead
async def reported_connectors(template: Document) -> list[int]:
    """The connectors that the station reports after its boot."""
    async with key_world(template) as world:
        return sorted(await _first_statuses(world))


async def first_status(template: Document) -> str:
    """The status of connector 1 after the boot."""
    async with key_world(template) as world:
        return (await _first_statuses(world))[1]


async def boots_as_defined(template: Document) -> bool:
    """Whether each connector has the ``bootStatus`` of its own definition."""
    defined = {
        int(number): connector["bootStatus"] for number, connector in template["Connectors"].items() if connector
    }
    async with key_world(template) as world:
        statuses = await _first_statuses(world)
        return {number: status for number, status in statuses.items() if number} == defined


# -- OCPP keys and commands --------------------------------------------------------------------------------------------


def value_of(key: str) -> Sight:
    """The value of an OCPP key."""

    @errors_instead
    async def see(template: Document) -> str | None:
        async with key_world(template) as world:
            await world.accepted()
            return await world.key(key)

    return see


async def names_of_url_keys(template: Document) -> list[str]:
    """The OCPP keys whose value is the supervision URL."""
    async with key_world(template) as world:
        await world.accepted()
        keys = (await world.ask("GetConfiguration"))["configurationKey"]
        return [key["key"] for key in keys if key.get("value") == world.central.MEMORY_URL]


async def _on_ac_and_dc(template: Document, sight: Sight) -> tuple[Any, Any]:
    return await sight(template), await sight(merged(template, {"currentOutType": "DC"}))


async def amperages(template: Document) -> tuple[Any, Any]:
    """The most amperes of the station: on AC, on DC."""
    return await _on_ac_and_dc(template, value_of("MaxCurrent"))


async def rotations(template: Document) -> tuple[Any, Any]:
    """The phase rotation that the station tells: on AC, on DC."""
    return await _on_ac_and_dc(template, value_of("ConnectorPhaseRotation"))


def change_of(key: str) -> Sight:
    """The answer to a change of an OCPP key."""

    async def see(template: Document) -> str:
        async with key_world(template) as world:
            await world.accepted()
            status: str = (await world.ask("ChangeConfiguration", {"key": key, "value": "9"}))["status"]
            return status

    return see


def status_of(action: str, **payload: Any) -> Sight:
    """The status that answers a request."""

    async def see(template: Document) -> str:
        async with key_world(template) as world:
            await world.accepted()
            return str((await world.ask(action, payload))["status"])

    return see


def answer_to(action: str, **payload: Any) -> Sight:
    """The code of the CALLERROR that answers a request; None for a CALLRESULT."""

    async def see(template: Document) -> str | None:
        async with key_world(template) as world:
            await world.accepted()
            return (await world.ask(action, payload)).get("error")

    return see


async def trigger_of_heartbeat(template: Document) -> str:
    """The status that answers a TriggerMessage for a Heartbeat."""
    async with key_world(template) as world:
        await world.accepted()
        status: str = (await world.ask("TriggerMessage", {"requestedMessage": "Heartbeat"}))["status"]
        return status


answer_to_a_strange_member = answer_to("GetConfiguration", noSuchMember=1)
