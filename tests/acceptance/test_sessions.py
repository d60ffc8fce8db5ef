"""Scenarios 8 to 18: people, vehicles and tags; starts and stops from afar."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.ocpp.v16.enums import ChargePointErrorCode
from simulator.station.presence import EV_SIDE
from tests.acceptance.bench import bench, charge, last_status, plug, remote_start, remote_stop, swipe, unplug
from tests.station.harness import World


def frames_since(world: World, action: str) -> list[str]:
    """What passed after the last request of the central system, in its order: "answer" or the action of a CALL."""
    frames = [(frame.direction, getattr(frame.frame, "action", "answer")) for frame in world.central.frames]
    at = max(index for index, frame in enumerate(frames) if frame == ("out", action))
    return [name for direction, name in frames[at + 1 :] if direction == "in"]


async def test_e08_plug_first() -> None:
    """Plugged in, then an accepted tag: Preparing; Authorize; StartTransaction and Charging."""
    async with bench() as world:
        await world.ready()
        await plug(world)
        assert world.statuses(1)[-1] == "Preparing"
        assert world.sent("Authorize") == []
        await swipe(world, "A")
        assert world.sent("Authorize") == [{"idTag": "A"}]
        assert world.actions().index("Authorize") < world.actions().index("StartTransaction")
        [start] = world.sent("StartTransaction")
        assert (start["connectorId"], start["idTag"], type(start["meterStart"])) == (1, "A", int)
        assert world.statuses(1)[-1] == "Charging"


async def test_e09_tag_first() -> None:
    """A tag, then plugged in: Authorize, Preparing, then StartTransaction and Charging."""
    async with bench() as world:
        await world.ready()
        await swipe(world, "A")
        assert len(world.sent("Authorize")) == 1
        assert world.statuses(1)[-1] == "Preparing"
        assert world.sent("StartTransaction") == []
        await plug(world)
        assert len(world.sent("Authorize")) == 1
        assert len(world.sent("StartTransaction")) == 1
        assert world.statuses(1)[-1] == "Charging"


async def test_e10_nobody_plugs_in() -> None:
    """A tag and no vehicle within ConnectionTimeOut: Available again, and no transaction."""
    async with bench(keys={"ConnectionTimeOut": 5}) as world:
        await world.ready()
        await swipe(world, "A")
        await world.sleep(4.9)
        assert world.statuses(1)[-1] == "Preparing"
        await world.sleep(0.2)
        assert world.statuses(1)[-1] == "Available"
        await plug(world)
        assert world.sent("StartTransaction") == []


async def test_e11_a_tag_that_is_not_authorised() -> None:
    """Authorize answered Invalid: no transaction, no Charging."""
    async with bench() as world:
        await world.ready()
        world.central.on("Authorize", {"idTagInfo": {"status": "Invalid"}})
        await plug(world)
        await swipe(world, "B")
        await world.sleep(10)
        assert [sent["idTag"] for sent in world.sent("Authorize")] == ["B"]
        assert world.sent("StartTransaction") == []
        assert world.statuses(1)[-1] == "Preparing"


async def test_e12_the_same_tag_stops() -> None:
    """The tag that started stops without Authorize; the connector is Finishing, and Available when unplugged.

    Another tag does neither ask nor stop.
    """
    async with bench() as world:
        await world.ready()
        transaction = await charge(world, "A")
        await world.sleep(60)
        await swipe(world, "B")
        assert world.sent("StopTransaction") == []
        await swipe(world, "A")
        assert [sent["idTag"] for sent in world.sent("Authorize")] == ["A"]
        [stop] = world.sent("StopTransaction")
        assert (stop["transactionId"], stop["idTag"], stop.get("reason", "Local")) == (transaction, "A", "Local")
        assert stop["meterStop"] >= world.sent("StartTransaction")[0]["meterStart"]
        assert world.statuses(1)[-1] == "Finishing"
        await unplug(world)
        assert world.statuses(1)[-1] == "Available"


async def test_e13_a_tag_of_the_group_stops() -> None:
    """A tag with the parent of the starter's stops the transaction in its own name; one of another group does not."""
    parents = {"A": "P", "C": "P", "D": "Q"}

    def info(_: Any, payload: dict[str, Any]) -> dict[str, Any]:
        return {"idTagInfo": {"status": "Accepted", "parentIdTag": parents[payload["idTag"]]}}

    def start(known: Any, payload: dict[str, Any]) -> dict[str, Any]:
        return {"transactionId": 7, **info(known, payload)}

    async with bench() as world:
        world.central.on("Authorize", info)
        world.central.on("StartTransaction", start)
        world.central.on("StopTransaction", {})
        await world.ready()
        await plug(world)
        await swipe(world, "A")
        await swipe(world, "D")
        assert world.sent("StopTransaction") == []
        await swipe(world, "C")
        [stop] = world.sent("StopTransaction")
        assert (stop["transactionId"], stop["idTag"]) == (7, "C")
        assert world.statuses(1)[-1] == "Finishing"


async def test_e14_unplugging_at_the_vehicle_stops() -> None:
    """StopTransactionOnEVSideDisconnect true: StopTransaction(EVDisconnected), and Finishing says why."""
    async with bench() as world:
        await world.ready()
        await charge(world)
        await unplug(world)
        assert [stop["reason"] for stop in world.sent("StopTransaction")] == ["EVDisconnected"]
        [finishing] = [sent for sent in world.sent("StatusNotification") if sent["status"] == "Finishing"]
        assert finishing["info"] == EV_SIDE


async def test_e15_unplugging_at_the_vehicle_suspends() -> None:
    """StopTransactionOnEVSideDisconnect false: SuspendedEV says why, and plugging in resumes."""
    async with bench(keys={"StopTransactionOnEVSideDisconnect": "false"}) as world:
        await world.ready()
        transaction = await charge(world)
        await unplug(world)
        assert (last_status(world)["status"], last_status(world)["info"]) == ("SuspendedEV", EV_SIDE)
        await world.sleep(30)
        assert world.sent("StopTransaction") == []
        await plug(world)
        assert world.statuses(1)[-1] == "Charging"
        await unplug(world)
        assert await remote_stop(world, transaction) == "Accepted"
        assert [stop["reason"] for stop in world.sent("StopTransaction")] == ["Remote"]
        assert "Finishing" in world.statuses(1)


@pytest.mark.parametrize("asks", [False, True])
async def test_e16_remote_start(asks: bool) -> None:
    """RemoteStart, then plugged in: Authorize before StartTransaction exactly if AuthorizeRemoteTxRequests."""
    async with bench(keys={"AuthorizeRemoteTxRequests": asks}) as world:
        await world.ready()
        assert await remote_start(world, "A") == "Accepted"
        assert frames_since(world, "RemoteStartTransaction")[0] == "answer"
        assert world.statuses(1)[-1] == "Preparing"
        assert world.sent("Authorize") == ([{"idTag": "A"}] if asks else [])
        assert world.sent("StartTransaction") == []
        await plug(world)
        assert [start["idTag"] for start in world.sent("StartTransaction")] == ["A"]
        assert world.statuses(1)[-1] == "Charging"


@pytest.mark.parametrize("asks", [False, True])
async def test_remote_start_of_a_plugged_vehicle(asks: bool) -> None:
    """With a vehicle plugged in the transaction begins at once (a certification case)."""
    async with bench(keys={"AuthorizeRemoteTxRequests": asks}) as world:
        await world.ready()
        await plug(world)
        assert await remote_start(world, "A") == "Accepted"
        assert world.sent("Authorize") == ([{"idTag": "A"}] if asks else [])
        assert len(world.sent("StartTransaction")) == 1
        assert world.statuses(1)[-1] == "Charging"


async def test_remote_start_that_nobody_follows() -> None:
    """No vehicle within ConnectionTimeOut: Preparing, then Available (a certification case)."""
    async with bench(keys={"ConnectionTimeOut": 8}) as world:
        await world.ready()
        assert await remote_start(world, "A") == "Accepted"
        await world.sleep(8.1)
        assert world.statuses(1) == ["Available", "Preparing", "Available"]
        assert world.sent("StartTransaction") == []


async def test_remote_start_of_a_refused_tag() -> None:
    """Authorize answered Invalid: no transaction (a certification case)."""
    async with bench(keys={"AuthorizeRemoteTxRequests": True}) as world:
        world.central.on("Authorize", {"idTagInfo": {"status": "Invalid"}})
        await world.ready()
        await plug(world)
        assert await remote_start(world, "B") == "Accepted"
        await world.sleep(10)
        assert len(world.sent("Authorize")) == 1
        assert world.sent("StartTransaction") == []
        assert world.statuses(1)[-1] == "Preparing"


async def test_remote_start_of_a_cached_tag() -> None:
    """LocalPreAuthorize and a tag in the cache: no Authorize; after ClearCache there is one (certification cases)."""
    async with bench(keys={"AuthorizeRemoteTxRequests": True, "LocalPreAuthorize": True}) as world:
        await world.ready()
        asked = []
        for clear in (False, False, True):
            if clear:
                assert await world.status_of("ClearCache") == "Accepted"
            before = len(world.sent("Authorize"))
            await plug(world)
            assert await remote_start(world, "A") == "Accepted"
            assert world.statuses(1)[-1] == "Charging"
            asked.append(len(world.sent("Authorize")) - before)
            await remote_stop(world, world.transactions()[-1].transaction_id)
            await unplug(world)
        assert asked == [1, 0, 1]


async def test_e17_remote_requests_that_cannot_be() -> None:
    """Starts on a busy, the zeroth and an unknown connector, and the stop of an unknown transaction, are rejected."""
    async with bench() as world:
        await world.ready()
        await charge(world)
        spoken = len(world.calls())
        for connector_id in (1, 0, 99):
            assert await remote_start(world, "B", connector_id) == "Rejected"
        assert await remote_stop(world, 4711) == "Rejected"
        await world.sleep(10)
        assert len(world.calls()) == spoken
        assert world.transactions()[0].is_open


async def test_e18_remote_stop() -> None:
    """RemoteStop: accepted, and only then StopTransaction(Remote) and Finishing."""
    async with bench() as world:
        await world.ready()
        transaction = await charge(world)
        assert await remote_stop(world, transaction) == "Accepted"
        assert frames_since(world, "RemoteStopTransaction")[:2] == ["answer", "StopTransaction"]
        assert world.sent("StopTransaction")[0]["reason"] == "Remote"
        assert world.statuses(1)[-1] == "Finishing"


async def test_a_lock_that_fails_begins_nothing() -> None:
    """The lock fails after a remote start: Faulted, and no transaction (a certification case)."""
    async with bench() as world:
        await world.ready()
        assert await remote_start(world, "A") == "Accepted"
        world.station.presence.raise_error(1, ChargePointErrorCode.CONNECTOR_LOCK_FAILURE)
        await plug(world)
        await world.sleep(10)
        assert (last_status(world)["status"], last_status(world)["errorCode"]) == ("Faulted", "ConnectorLockFailure")
        assert world.sent("StartTransaction") == []
