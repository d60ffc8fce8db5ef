"""Scenarios 34, 35, 38 and 39: tags that are known locally, charging profiles, files."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.energy.electrical import Circuit
from simulator.timestamps import format_timestamp
from tests.acceptance.bench import bench, charge, remote_start, swipe, unplug
from tests.fakes.transfers import FakeTransfers
from tests.station.harness import START, World

Period = tuple[int, float]


async def send_list(world: World, version: int, kind: str, *tags: str) -> str:
    payload: dict[str, Any] = {"listVersion": version, "updateType": kind}
    if tags:
        payload["localAuthorizationList"] = [{"idTag": tag, "idTagInfo": {"status": "Accepted"}} for tag in tags]
    return await world.status_of("SendLocalList", **payload)


async def list_version(world: World) -> int:
    version: int = (await world.call("GetLocalListVersion"))["listVersion"]
    return version


async def test_e34_the_local_list() -> None:
    """Full and differential updates, a version that does not fit, and a full update without entries."""
    async with bench(keys={"LocalAuthListEnabled": "true"}) as world:
        await world.ready()
        assert await send_list(world, 2, "Full", "A") == "Accepted"
        assert await list_version(world) == 2
        assert await send_list(world, 5, "Differential", "B") == "Accepted"
        assert await send_list(world, 4, "Differential", "C") == "VersionMismatch"
        assert await list_version(world) == 5
        assert await send_list(world, 6, "Full") == "Accepted"
        assert await list_version(world) == 0
        assert await send_list(world, 1, "Full") == "Accepted"
        assert await list_version(world) == 0


async def test_remote_start_of_a_listed_tag() -> None:
    """LocalPreAuthorize and a tag of the list: no Authorize (a certification case)."""
    keys = {"LocalAuthListEnabled": "true", "LocalPreAuthorize": "true", "AuthorizeRemoteTxRequests": "true"}
    async with bench(keys=keys) as world:
        await world.ready()
        await send_list(world, 1, "Full", "A")
        assert await remote_start(world, "A") == "Accepted"
        world.station.presence.plug_in(1)
        await world.settle()
        assert world.sent("Authorize") == []
        assert len(world.sent("StartTransaction")) == 1


async def test_e35_the_cache() -> None:
    """A tag in the cache starts without Authorize; after ClearCache it is asked for again."""
    async with bench(keys={"LocalPreAuthorize": "true"}) as world:
        await world.ready()
        asked = []
        for clear in (False, False, True):
            if clear:
                assert await world.status_of("ClearCache") == "Accepted"
            before = len(world.sent("Authorize"))
            await charge(world, "A")
            asked.append(len(world.sent("Authorize")) - before)
            await swipe(world, "A")
            await unplug(world)
        assert asked == [1, 0, 1]


def profile(
    world: World, number: int, periods: list[Period], duration: int | None, *, level: int = 0, purpose: str = "Default"
) -> dict[str, Any]:
    names = {"Default": "TxDefaultProfile", "Max": "ChargePointMaxProfile", "Tx": "TxProfile"}
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": names[purpose],
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "startSchedule": format_timestamp(world.clock.now()),
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": start, "limit": limit} for start, limit in periods],
            **({} if duration is None else {"duration": duration}),
        },
    }


async def install(world: World, connector_id: int, wanted: dict[str, Any]) -> None:
    status = await world.status_of("SetChargingProfile", connectorId=connector_id, csChargingProfiles=wanted)
    assert status == "Accepted"


async def composite(world: World, connector_id: int, duration: int) -> list[Period]:
    answer = await world.call("GetCompositeSchedule", connectorId=connector_id, duration=duration, chargingRateUnit="A")
    assert (answer["status"], answer["connectorId"]) == ("Accepted", connector_id)
    schedule = answer["chargingSchedule"]
    assert (schedule["duration"], schedule["chargingRateUnit"]) == (duration, "A")
    return [(period["startPeriod"], period["limit"]) for period in schedule["chargingSchedulePeriod"]]


def local_limit(world: World) -> float:
    """A per phase that a connector delivers by itself."""
    info = world.station.info
    power = info.maximum_power / info.number_of_connectors
    return round(power / Circuit(info.voltage_out, info.number_of_phases).voltage / info.number_of_phases, 1)


LOW: list[Period] = [(0, 6), (100, 8), (200, 10)]


async def test_e38_stacked_profiles() -> None:
    """The higher level counts while it lasts, then the lower, then the station's own limit. Improper ones fail."""
    async with bench() as world:
        await world.ready()
        await install(world, 1, profile(world, 1, LOW, 400))
        await install(world, 1, profile(world, 2, [(0, 7), (100, 9)], 150, level=1))
        await world.sleep(10)
        assert await composite(world, 1, 350) == [(0, 7), (90, 9), (140, 8), (190, 10)]
        assert await world.status_of("ClearChargingProfile", id=2) == "Accepted"
        assert await composite(world, 1, 350) == [(0, 6), (90, 8), (190, 10)]
        assert await world.status_of("ClearChargingProfile") == "Accepted"
        [(_, limit)] = await composite(world, 1, 350)
        assert limit == pytest.approx(local_limit(world), abs=0.2)
        assert await world.status_of("ClearChargingProfile") == "Unknown"
        alone = profile(world, 3, LOW, 400, purpose="Tx")
        assert await world.status_of("SetChargingProfile", connectorId=1, csChargingProfiles=alone) == "Rejected"
        wrong = profile(world, 3, LOW, 400)
        wrong["chargingSchedule"]["chargingRateUnit"] = "kW"
        code = await world.refused("SetChargingProfile", connectorId=1, csChargingProfiles=wrong)
        assert code == "PropertyConstraintViolation"


async def test_profiles_are_cleared_step_by_step() -> None:
    """By id, by purpose and level, then all: what is left counts (a certification case)."""
    async with bench() as world:
        await world.ready()
        await install(world, 1, profile(world, 1, [(0, 6), (60, 8), (200, 10)], 400, level=1))
        await install(world, 0, profile(world, 2, [(0, 7), (100, 9)], 400))
        await install(world, 0, profile(world, 3, [(0, 11), (200, 12)], None, purpose="Max"))
        assert await world.status_of("ClearChargingProfile", id=1) == "Accepted"
        assert await composite(world, 1, 350) == [(0, 7), (100, 9)]
        criteria: dict[str, Any] = {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0}
        assert await world.status_of("ClearChargingProfile", **criteria) == "Accepted"
        assert await composite(world, 1, 350) == [(0, 11), (200, 12)]
        assert await world.status_of("ClearChargingProfile") == "Accepted"
        assert len(await composite(world, 1, 350)) == 1


@pytest.mark.parametrize("fall_back", [True, False])
async def test_three_purposes_in_one_schedule(fall_back: bool) -> None:
    """The transaction's profile, else the default, never above the station's maximum (a certification case).

    Whether the default counts again once the transaction's profile is exhausted is a switch of the template.
    """
    async with bench(template={"txProfileFallBack": fall_back}) as world:
        await world.ready()
        await charge(world)
        defaults: list[Period] = [(0, 6), (60, 10), (120, 8), (180, 15), (260, 8)]
        of_transaction: list[Period] = [(0, 8), (50, 11), (140, 16), (200, 6), (240, 12)]
        await install(world, 0, profile(world, 1, [(0, 10)], 86_400, purpose="Max"))
        await install(world, 0, profile(world, 2, defaults, 300))
        await install(world, 1, profile(world, 3, of_transaction, 260, purpose="Tx"))
        await world.sleep(20)
        expected = [(0, 8), (30, 10), (180, 6), (220, 10)]
        assert await composite(world, 1, 400) == expected + ([(240, 8), (280, 10)] if fall_back else [])


async def test_a_default_profile_in_a_transaction() -> None:
    """A default that comes while a vehicle charges holds for it at once (a certification case)."""
    async with bench() as world:
        await world.ready()
        await charge(world)
        await install(world, 1, profile(world, 1, LOW, 400))
        assert await composite(world, 1, 350) == LOW


async def test_a_profile_of_the_transaction() -> None:
    """A TxProfile of the running transaction counts; one of another transaction is rejected (certification cases)."""
    async with bench() as world:
        await world.ready()
        transaction = await charge(world)
        own = {**profile(world, 1, LOW, 400, purpose="Tx"), "transactionId": transaction}
        other = {**own, "transactionId": transaction + 1}
        assert await world.status_of("SetChargingProfile", connectorId=1, csChargingProfiles=other) == "Rejected"
        await install(world, 1, own)
        assert await composite(world, 1, 350) == LOW


async def test_a_remote_start_with_a_profile() -> None:
    """The profile of a remote start holds for its transaction; another purpose is rejected (certification cases)."""
    async with bench() as world:
        await world.ready()
        wrong = profile(world, 1, LOW, 400)
        assert await remote_start(world, "A", chargingProfile=wrong) == "Rejected"
        assert await remote_start(world, "A", chargingProfile=profile(world, 1, LOW, 400, purpose="Tx")) == "Accepted"
        world.station.presence.plug_in(1)
        await world.settle()
        assert await composite(world, 1, 350) == LOW


def steps(world: World, action: str) -> list[str]:
    return [payload["status"] for payload in world.sent(action)]


@pytest.mark.parametrize("good", [True, False])
async def test_e39_firmware_and_diagnostics(good: bool) -> None:
    """The answer comes first, then the steps to success or failure; Idle never comes unasked."""
    transfers = FakeTransfers()
    transfers.failing = 0 if good else -1
    async with bench(services={"transfers": transfers}) as world:
        await world.ready()
        answer = await world.call("GetDiagnostics", location="ftp://files/logs", retries=0)
        assert answer["fileName"]
        await world.wait_for("DiagnosticsStatusNotification", 2)
        await world.sleep(60)
        assert steps(world, "DiagnosticsStatusNotification") == ["Uploading", "Uploaded" if good else "UploadFailed"]
        now = format_timestamp(START)
        assert await world.call("UpdateFirmware", location="ftp://files/new", retrieveDate=now, retries=0) == {}
        await world.sleep(600)
        told = steps(world, "FirmwareStatusNotification")
        if good:
            assert told == ["Downloading", "Downloaded", "Installing", "Installed"]
            assert len(world.sent("BootNotification")) == 2
            assert world.statuses(1)[-1] == "Available"
        else:
            assert told == ["Downloading", "DownloadFailed"]
            assert len(world.sent("BootNotification")) == 1
