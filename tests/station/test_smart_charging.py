"""Charging profiles as the central system sets and sees them (OCPP 1.6 §3.13; B.10)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.timestamps import format_timestamp
from tests.station.harness import World, station_world


def profile(
    world: World,
    profile_id: int,
    *periods: tuple[int, float],
    purpose: str = "TxDefaultProfile",
    level: int = 0,
    duration: int | None = None,
    unit: str = "A",
    kind: str = "Absolute",
    **more: Any,
) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": start, "limit": limit} for start, limit in periods],
    }
    if kind == "Absolute":
        schedule["startSchedule"] = format_timestamp(world.clock.now())
    if duration is not None:
        schedule["duration"] = duration
    return {
        "chargingProfileId": profile_id,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
        **more,
    }


async def install(world: World, connector_id: int, wanted: dict[str, Any]) -> str:
    return await world.status_of("SetChargingProfile", connectorId=connector_id, csChargingProfiles=wanted)


async def periods(world: World, connector_id: int, duration: int, unit: str = "A") -> list[tuple[int, float]]:
    answer = await world.call(
        "GetCompositeSchedule", connectorId=connector_id, duration=duration, chargingRateUnit=unit
    )
    assert answer["status"] == "Accepted"
    assert "startSchedule" not in answer["chargingSchedule"]
    return [(p["startPeriod"], p["limit"]) for p in answer["chargingSchedule"]["chargingSchedulePeriod"]]


async def test_stacked_defaults_and_their_clearing() -> None:
    async with station_world() as world:
        await world.ready()
        whole = profile(world, 1, (0, 6), (100, 8), (200, 10), duration=400)
        upper = profile(world, 2, (0, 7), (100, 9), duration=150, level=1)
        assert await install(world, 1, whole) == "Accepted"
        assert await install(world, 1, upper) == "Accepted"
        await world.sleep(10)
        assert await periods(world, 1, 350) == [(0, 7), (90, 9), (140, 8), (190, 10)]
        assert await world.status_of("ClearChargingProfile", id=2) == "Accepted"
        assert await periods(world, 1, 350) == [(0, 6), (90, 8), (190, 10)]
        assert await world.status_of("ClearChargingProfile") == "Accepted"
        assert len(await periods(world, 1, 350)) == 1
        assert await world.status_of("ClearChargingProfile") == "Unknown"


async def test_what_cannot_be_installed() -> None:
    async with station_world() as world:
        await world.ready()
        assert await install(world, 1, profile(world, 1, (0, 6), purpose="TxProfile")) == "Rejected"
        assert await install(world, 1, profile(world, 1, (0, 6), purpose="ChargePointMaxProfile")) == "Rejected"
        assert await install(world, 1, profile(world, 1, (5, 6))) == "Rejected"
        assert await install(world, 1, profile(world, 1, (0, 6), level=11)) == "Rejected"
        refused: dict[str, Any] = {"connectorId": 9, "csChargingProfiles": profile(world, 1, (0, 6))}
        assert await world.refused("SetChargingProfile", **refused) == "PropertyConstraintViolation"
        wrong = profile(world, 1, (0, 6), unit="kW")
        assert (
            await world.refused("SetChargingProfile", connectorId=1, csChargingProfiles=wrong)
            == "PropertyConstraintViolation"
        )
        assert await world.status_of("GetCompositeSchedule", connectorId=9, duration=10) == "Rejected"


async def test_a_limit_of_zero_suspends_and_a_higher_one_resumes() -> None:
    async with station_world(keys={"MeterValueSampleInterval": 0}) as world:
        await world.ready()
        await world.charge(1)
        await install(world, 1, profile(world, 1, (0, 0), (600, 16)))
        await world.settle()
        assert world.statuses(1)[-1] == "SuspendedEVSE"
        meter = world.connector(1).meter
        assert meter is not None
        before = meter.transaction_wh
        await world.sleep(599)
        world.station.settle_energy()
        assert meter.transaction_wh == before
        await world.sleep(2)
        assert world.statuses(1)[-1] == "Charging"
        await world.sleep(600)
        world.station.settle_energy()
        assert meter.transaction_wh > before


async def test_no_sample_exceeds_the_limit() -> None:
    keys = {"MeterValueSampleInterval": 10, "MeterValuesSampledData": "Power.Active.Import,Current.Import"}
    async with station_world(keys=keys) as world:
        await world.ready()
        await world.charge(1)
        await install(world, 0, profile(world, 1, (0, 10), (100, 8), unit="A"))
        first = len(world.sent("MeterValues"))
        await world.sleep(300)
        powers = [
            float(value["value"])
            for sent in world.sent("MeterValues", after=first)
            for value in sent["meterValue"][0]["sampledValue"]
            if value["measurand"] == "Power.Active.Import" and "phase" not in value
        ]
        assert powers
        assert max(powers[:9]) <= 10 * 230 * 3
        assert max(powers[11:]) <= 8 * 230 * 3


async def test_station_maximum_is_shared_by_busy_connectors() -> None:
    async with station_world() as world:
        await world.ready()
        await install(world, 0, profile(world, 1, (0, 9000), purpose="ChargePointMaxProfile", unit="W"))
        await world.charge(1)
        alone = await periods(world, 1, 60, "W")
        await world.charge(2)
        assert alone == [(0, 9000)]
        assert await periods(world, 1, 60, "W") == [(0, 4500)]


async def test_remote_start_brings_its_profile() -> None:
    async with station_world() as world:
        await world.ready()
        wrong = profile(world, 1, (0, 8), kind="Relative")
        start: dict[str, Any] = {"connectorId": 1, "idTag": "A"}
        assert await world.status_of("RemoteStartTransaction", chargingProfile=wrong, **start) == "Rejected"
        right = profile(world, 1, (0, 8), kind="Relative", purpose="TxProfile")
        assert await world.status_of("RemoteStartTransaction", chargingProfile=right, **start) == "Accepted"
        await world.wait_for("StartTransaction")
        await world.settle()
        assert await periods(world, 1, 60) == [(0, 8)]
        await world.stop_charging(world.transactions()[0])
        assert await periods(world, 1, 60) != [(0, 8)]


async def test_profile_of_another_transaction_is_refused() -> None:
    async with station_world() as world:
        await world.ready()
        transaction = await world.charge(1)
        tx_profile: dict[str, Any] = {"purpose": "TxProfile", "kind": "Relative"}
        other = profile(world, 1, (0, 8), transactionId=transaction.transaction_id + 1, **tx_profile)
        assert await install(world, 1, other) == "Rejected"
        own = profile(world, 1, (0, 8), transactionId=transaction.transaction_id, **tx_profile)
        assert await install(world, 1, own) == "Accepted"


async def test_a_profile_that_began_within_this_second_is_in_the_answer() -> None:
    async with station_world() as world:
        await world.ready()
        await world.sleep(0.6)
        right = profile(world, 1, (0, 8), (30, 9), kind="Relative", purpose="TxProfile")
        start: dict[str, Any] = {"connectorId": 1, "idTag": "A", "chargingProfile": right}
        assert await world.status_of("RemoteStartTransaction", **start) == "Accepted"
        await world.wait_for("StartTransaction")
        await world.settle()
        assert await periods(world, 1, 60) == [(0, 8), (30, 9)]
        assert await periods(world, 0, 60) == [(0, 23.9), (30, 24.9)]
        await world.sleep(10)
        assert await periods(world, 1, 60) == [(0, 8), (20, 9)]


async def test_a_schedule_that_starts_now_has_begun_in_an_answer_of_the_same_second() -> None:
    async with station_world() as world:
        await world.ready()
        await world.sleep(0.7)
        wanted = profile(world, 1, (0, 7), (30, 9), validFrom=format_timestamp(world.clock.now()))
        assert await install(world, 1, wanted) == "Accepted"
        assert await periods(world, 1, 60) == [(0, 7), (30, 9)]


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
async def test_profiles_outlive_a_reset(kind: str) -> None:
    async with station_world() as world:
        await world.ready()
        await install(world, 1, profile(world, 1, (0, 8)))
        await world.status_of("Reset", type=kind)
        await world.wait_for("BootNotification", 2)
        await world.settle()
        assert await periods(world, 1, 60) == [(0, 8)]
