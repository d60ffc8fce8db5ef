"""What a central system sees of the charging that a template leads to: transactions, meter values, the generator."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import trio

from simulator.timestamps import parse_timestamp
from tests.station.key_sights import Sight
from tests.station.key_world import START, Document, World, key_world

# -- transactions ------------------------------------------------------------------------------------------------------


async def authorizes_remote_start(template: Document) -> bool:
    """Whether the station asks before it starts what the central system told it to."""
    async with key_world(template) as world:
        await world.accepted()
        await world.start_transaction()
        return bool(world.calls("Authorize"))


async def last_two(template: Document) -> list[str]:
    """The last two CALLs of a transaction, statuses left out."""
    async with key_world(template) as world:
        await _one_transaction(world)
        return [call.action for call in world.calls() if call.action in ("MeterValues", "StopTransaction")][-2:]


async def contexts(template: Document) -> list[str]:
    """The reading contexts of a transaction's MeterValues."""
    async with key_world(template) as world:
        await _one_transaction(world)
        return [sample["context"] for sample in _samples(world)]


async def sends_transaction_data(template: Document) -> bool:
    """Whether StopTransaction has meter values."""
    async with key_world(template) as world:
        await _one_transaction(world)
        return "transactionData" in world.calls("StopTransaction")[0].payload


async def second_starts_at_zero(template: Document) -> bool:
    """Whether the energy register of the second transaction begins at 0."""
    async with key_world(template) as world:
        await _one_transaction(world)
        second = await world.start_transaction()
        return bool(second.payload["meterStart"] == 0)


async def status_after_transaction(template: Document) -> str:
    """The status of connector 1 ten seconds after a transaction."""
    async with key_world(template) as world:
        await _one_transaction(world)
        await trio.sleep(10)
        return str(world.calls("StatusNotification")[-1].payload["status"])


async def starts_without_a_vehicle_of_ours(template: Document) -> bool:
    """Whether a remote start leads to a transaction although nobody plugs in."""
    async with key_world(template) as world:
        await world.accepted()
        assert await world.ask("RemoteStartTransaction", {"idTag": "TAG", "connectorId": 1}) == {"status": "Accepted"}
        await trio.sleep(10)
        return bool(world.calls("StartTransaction"))


async def goes_on_though_refused(template: Document) -> bool:
    """Whether a transaction goes on whose StartTransaction the central system answers with Invalid."""
    async with key_world(template) as world:
        await world.accepted()
        world.central.on("StartTransaction", {"transactionId": 7, "idTagInfo": {"status": "Invalid"}})
        await world.start_transaction()
        await trio.sleep(60)
        return not world.calls("StopTransaction")


async def limits_after_a_tx_profile(template: Document) -> list[float]:
    """The composite schedule of a transaction: a TxProfile of 6 A for a minute over a default of 10 A."""

    def profile(number: int, purpose: str, limit: float, **members: Any) -> Document:
        return {
            "chargingProfileId": number,
            "stackLevel": 0,
            "chargingProfilePurpose": purpose,
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
                **members,
            },
        }

    async with key_world(template) as world:
        await world.accepted()
        await world.start_transaction()
        for made in (profile(1, "TxDefaultProfile", 10), profile(2, "TxProfile", 6, duration=60)):
            asked = {"connectorId": 1, "csChargingProfiles": made}
            assert await world.ask("SetChargingProfile", asked) == {"status": "Accepted"}
        asked = {"connectorId": 1, "duration": 300, "chargingRateUnit": "A"}
        schedule = (await world.ask("GetCompositeSchedule", asked))["chargingSchedule"]
        return [period["limit"] for period in schedule["chargingSchedulePeriod"]]


async def _one_transaction(world: World) -> None:
    await world.accepted()
    await world.start_transaction()
    await trio.sleep(90)
    await world.stop_transaction()


# -- meter values ------------------------------------------------------------------------------------------------------


def _samples(world: World) -> Iterator[dict[str, Any]]:
    for call in world.calls("MeterValues"):
        for value in call.payload["meterValue"]:
            yield from value["sampledValue"]


async def _sampled(template: Document, count: int = 1) -> list[dict[str, Any]]:
    """The samples of the first MeterValues of a transaction."""
    async with key_world(template) as world:
        await world.accepted()
        await world.start_transaction()
        await world.seen("MeterValues", count)
        return list(_samples(world))


async def power_sample(template: Document) -> str:
    """The first sample of the whole power."""
    return next(str(sample["value"]) for sample in await _sampled(template) if "phase" not in sample)


def has_phase(phase: str | None) -> Sight:
    """Whether there is a sample of that phase, or of none."""

    async def see(template: Document) -> bool:
        return phase in {sample.get("phase") for sample in await _sampled(template)}

    return see


def sampled(member: str) -> Sight:
    """That member of each sample."""

    async def see(template: Document) -> list[Any]:
        return [sample.get(member) for sample in await _sampled(template)]

    return see


def located(location: str) -> Sight:
    """The measurands that are reported from that location."""

    async def see(template: Document) -> list[str]:
        return sorted(
            {sample["measurand"] for sample in await _sampled(template) if sample.get("location") == location}
        )

    return see


def powers_stay_below(value: float) -> Sight:
    """Whether none of ten samples of the whole power is above that value."""

    async def see(template: Document) -> bool:
        samples = await _sampled(template, 10)
        return all(float(sample["value"]) <= value for sample in samples if "phase" not in sample)

    return see


def phases_at(value: str) -> Sight:
    """The phases whose sample has that value."""

    async def see(template: Document) -> list[Any]:
        return [sample.get("phase") for sample in await _sampled(template) if sample["value"] == value]

    return see


def powers_are(value: str) -> Sight:
    """Whether all of ten samples of the whole power have that value."""

    async def see(template: Document) -> bool:
        return {sample["value"] for sample in await _sampled(template, 10) if "phase" not in sample} == {value}

    return see


def powers_reach(value: str) -> Sight:
    """Whether none of ten samples of the whole power is below that value."""

    async def see(template: Document) -> bool:
        samples = await _sampled(template, 10)
        return all(float(sample["value"]) >= float(value) for sample in samples if "phase" not in sample)

    return see


# -- the generator -----------------------------------------------------------------------------------------------------


async def charges_on_a_weekend(template: Document) -> bool:
    """Whether transactions begin on the Saturday and Sunday after the world's begin, a Thursday."""
    async with key_world(template) as world:
        await trio.sleep(4 * 86_400)
        return any(world.since_begin(call.time) > 2 * 86_400 for call in world.calls("StartTransaction"))


async def starts_by_itself(template: Document) -> bool:
    """Whether a transaction begins within five minutes without anybody asking for one."""
    async with key_world(template) as world:
        await trio.sleep(300)
        return bool(world.calls("StartTransaction"))


async def first_tag(template: Document) -> str:
    """The tag of the first transaction."""
    async with key_world(template) as world:
        return str((await world.seen("StartTransaction")).payload["idTag"])


async def tags(template: Document) -> list[str]:
    """The tags of the first three transactions."""
    async with key_world(template) as world:
        await world.seen("StartTransaction", 3)
        return [call.payload["idTag"] for call in world.calls("StartTransaction")]


async def authorizes(template: Document) -> bool:
    """Whether the first transaction is asked for."""
    async with key_world(template) as world:
        await world.seen("StartTransaction")
        return bool(world.calls("Authorize"))


async def _turns(template: Document) -> list[tuple[str, float]]:
    """What the generator starts and stops in its time, and when."""
    async with key_world(template) as world:
        await trio.sleep(1000)
        return [(call.action, call.time) for call in world.calls("StartTransaction", "StopTransaction")]


async def durations(template: Document) -> list[float]:
    """Seconds that transactions take; the last is cut by the generator's end."""
    turns = pairwise(await _turns(template))
    return [end - begin for (action, begin), (_, end) in turns if action == "StartTransaction"][:-1]


async def pauses(template: Document) -> list[float]:
    """Seconds between two transactions."""
    turns = pairwise(await _turns(template))
    return [end - begin for (action, begin), (_, end) in turns if action == "StopTransaction"]


def shortest(sight: Sight, *, below: float) -> Sight:
    """Whether the shortest is below that."""

    async def see(template: Document) -> bool:
        return bool(min(await sight(template)) < below)

    return see


def longest(sight: Sight, *, above: float) -> Sight:
    """Whether the longest is above that."""

    async def see(template: Document) -> bool:
        return bool(max(await sight(template)) > above)

    return see


def starts_between(begin: float, end: float) -> Sight:
    """Whether a transaction begins between these seconds."""

    async def see(template: Document) -> bool:
        async with key_world(template) as world:
            await trio.sleep(end)
            return any(world.since_begin(call.time) > begin for call in world.calls("StartTransaction"))

    return see


async def starts_offline(template: Document) -> bool:
    """Whether a transaction begins while there is no connection."""
    async with key_world(template) as world:
        await world.seen("StartTransaction")
        gone = world.elapsed
        world.central.network.refuse()
        world.central.network.cut()
        await trio.sleep(400)
        back = world.elapsed
        world.central.network.restore()
        await trio.sleep(200)
        starts = (parse_timestamp(call.payload["timestamp"])[0] - START for call in world.calls("StartTransaction"))
        return any(gone + 1 < start < back for start in starts)
