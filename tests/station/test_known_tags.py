"""Local list, cache, and starts with and without the central system (OCPP 1.6 §3.5)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.station.presence import VerbRefused
from simulator.timestamps import format_timestamp
from tests.station.harness import World, station_world
from tests.station.test_presence import BY_HAND, plug, swipe, unplug

LISTED = {"LocalAuthListEnabled": "true"}


def entry(id_tag: str, status: str = "Accepted", **info: Any) -> dict[str, Any]:
    return {"idTag": id_tag, "idTagInfo": {"status": status, **info}}


async def send_list(world: World, version: int, kind: str, entries: list[dict[str, Any]] | None) -> str:
    payload: dict[str, Any] = {"listVersion": version, "updateType": kind}
    if entries is not None:
        payload["localAuthorizationList"] = entries
    return await world.status_of("SendLocalList", **payload)


async def version(world: World) -> int:
    return int((await world.call("GetLocalListVersion"))["listVersion"])


async def test_full_and_differential_updates() -> None:
    async with station_world(keys=LISTED) as world:
        await world.ready()
        assert await send_list(world, 2, "Full", [entry("A")]) == "Accepted"
        assert await send_list(world, 5, "Differential", [entry("B")]) == "Accepted"
        assert await send_list(world, 4, "Differential", [entry("C")]) == "VersionMismatch"
        assert await version(world) == 5
        assert await send_list(world, 6, "Full", None) == "Accepted"
        assert await version(world) == 0


@pytest.mark.parametrize(
    ("number", "kind", "entries"),
    [
        (0, "Full", [entry("A")]),
        (-1, "Full", [entry("A")]),
        (1, "Full", [entry("A"), entry("a")]),
        (1, "Full", [{"idTag": "A"}]),
        (1, "Full", [entry(f"T{n}") for n in range(4)]),
        (1, "Differential", [entry(f"T{n}") for n in range(4)]),
    ],
)
async def test_bad_updates_change_nothing(number: int, kind: str, entries: list[dict[str, Any]]) -> None:
    async with station_world(keys={**LISTED, "SendLocalListMaxLength": 3}) as world:
        await world.ready()
        assert await send_list(world, number, kind, entries) == "Failed"
        assert await version(world) == 0


async def test_switched_off_list() -> None:
    async with station_world() as world:
        await world.ready()
        assert await version(world) == -1
        assert await send_list(world, 1, "Full", [entry("A")]) == "NotSupported"


async def test_listed_tag_starts_without_authorize_when_told_so() -> None:
    async with station_world(template=BY_HAND, keys={**LISTED, "LocalPreAuthorize": "true"}) as world:
        await world.ready()
        await send_list(world, 1, "Full", [entry("A"), entry("X", "Blocked")])
        await plug(world)
        await swipe(world, "a")
        assert world.sent("Authorize") == []
        assert len(world.sent("StartTransaction")) == 1
        await plug(world, 2)
        await swipe(world, "X", 2)  # not valid in the list: the central system decides
        assert [sent["idTag"] for sent in world.sent("Authorize")] == ["X"]


async def test_cache_is_used_and_cleared() -> None:
    async with station_world(template=BY_HAND, keys={"LocalPreAuthorize": "true"}) as world:
        await world.ready()
        for round_ in range(3):
            if round_ == 2:
                assert await world.status_of("ClearCache") == "Accepted"
            await plug(world)
            await swipe(world, "A")
            await swipe(world, "A")
            await unplug(world)
        assert [sent["idTag"] for sent in world.sent("Authorize")] == ["A", "A"]
        assert len(world.sent("StartTransaction")) == 3


async def test_switched_off_cache() -> None:
    async with station_world(
        template=BY_HAND, keys={"LocalPreAuthorize": "true", "AuthorizationCacheEnabled": "false"}
    ) as world:
        await world.ready()
        assert await world.status_of("ClearCache") == "Rejected"
        for _ in range(2):
            await plug(world)
            await swipe(world, "A")
            await unplug(world)
        assert len(world.sent("Authorize")) == 2


@pytest.mark.parametrize(
    ("entries", "keys", "starts"),
    [
        ([entry("A")], {}, True),
        ([entry("A")], {"LocalAuthorizeOffline": "false"}, False),
        ([], {}, False),
        ([], {"AllowOfflineTxForUnknownId": "true"}, True),
        ([entry("A", "Blocked")], {"AllowOfflineTxForUnknownId": "true"}, False),
        ([entry("A", expiryDate="2020-01-01T00:00:00Z")], {"AllowOfflineTxForUnknownId": "true"}, False),
    ],
)
async def test_offline_starts(entries: list[dict[str, Any]], keys: dict[str, str], starts: bool) -> None:
    async with station_world(template=BY_HAND, keys={**LISTED, **keys}) as world:
        await world.ready()
        await send_list(world, 1, "Full", [*entries, entry("other")])
        world.go_offline()
        await world.settle()
        await plug(world)
        if starts:
            await swipe(world, "A")
            began = format_timestamp(world.clock.now())
            await world.sleep(10)
            await swipe(world, "A")
            await world.come_back()
            [start], [stop] = world.sent("StartTransaction"), world.sent("StopTransaction")
            assert start["timestamp"] == began
            assert stop["transactionId"] == world.transactions()[0].transaction_id
        else:
            with pytest.raises(VerbRefused):
                await swipe(world, "A")
            await world.come_back()
            assert world.sent("StartTransaction") == []


async def test_contradiction_of_the_list_is_reported() -> None:
    async with station_world(template=BY_HAND, keys=LISTED) as world:
        await world.ready()
        await send_list(world, 1, "Full", [entry("A")])
        world.central.on("Authorize", {"idTagInfo": {"status": "Blocked"}})
        with pytest.raises(VerbRefused):
            await swipe(world, "A")
        await world.settle()
        last = world.sent("StatusNotification")[-1]
        assert (last["connectorId"], last["errorCode"], last["status"]) == (0, "LocalListConflict", "Available")


@pytest.mark.parametrize(("stops", "allowance"), [("true", 0), ("false", 0), ("true", 500), ("false", 500)])
async def test_start_refused_afterwards(stops: str, allowance: int) -> None:
    keys = {"StopTransactionOnInvalidId": stops, "MaxEnergyOnInvalidId": allowance, "MeterValueSampleInterval": 0}
    async with station_world(keys=keys) as world:
        await world.ready()
        world.central.on("StartTransaction", {"transactionId": 9, "idTagInfo": {"status": "Invalid"}})
        world.central.on("StopTransaction", {})
        await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A")
        await world.wait_for("StartTransaction")
        await world.sleep(3000)
        if stops == "true":
            [stop] = world.sent("StopTransaction")
            assert stop["reason"] == "DeAuthorized"
            assert "Finishing" in world.statuses(1)
            energy = stop["meterStop"]
        else:
            assert world.sent("StopTransaction") == []
            assert world.statuses(1)[-1] == "SuspendedEVSE"
            meter = world.connector(1).meter
            assert meter is not None
            energy = meter.transaction_wh
        assert allowance <= energy <= allowance + 15
