"""Scenarios 29 to 33: without a connection, and with a central system that fails."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from simulator.timestamps import format_timestamp
from tests.acceptance.bench import bench, booted, charge, instant, last_status, plug, refused_starts, remote_stop, swipe
from tests.fakes.script import refuse
from tests.station.harness import World

LISTED = {"LocalAuthListEnabled": "true", "LocalAuthorizeOffline": "true"}
QUICK = {"TransactionMessageAttempts": 3, "TransactionMessageRetryInterval": 2}


async def list_tag(world: World, id_tag: str) -> None:
    """The central system puts a tag on the station's list."""
    entry = {"idTag": id_tag, "idTagInfo": {"status": "Accepted"}}
    payload: dict[str, Any] = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [entry]}
    assert await world.status_of("SendLocalList", **payload) == "Accepted"


async def test_e29_a_lost_connection_in_a_transaction() -> None:
    """No boot; queued readings come oldest first with their own times, then live ones; no status that is known."""
    async with bench(keys={"MeterValueSampleInterval": 2}) as world:
        await world.ready()
        transaction = await charge(world)
        told = len(world.statuses())
        world.go_offline()
        await world.sleep(6)
        await world.come_back()
        await world.sleep(10)
        assert len(world.sent("BootNotification")) == 1
        values = world.sent("MeterValues")
        times = [instant(value) for value in values]
        assert [round(later - earlier, 3) for earlier, later in pairwise(times)] == [2] * (len(times) - 1)
        assert len(times) >= 8
        assert {value["transactionId"] for value in values} == {transaction}
        assert len(world.statuses()) == told


async def test_e30_a_transaction_without_a_connection() -> None:
    """A listed tag charges offline: afterwards its start, then its stop with the id of the answer, and own times."""
    async with bench(keys=LISTED) as world:
        await world.ready()
        await list_tag(world, "A")
        world.go_offline()
        await world.settle()
        await plug(world)
        await swipe(world, "A")
        began = format_timestamp(world.clock.now())
        await world.sleep(30)
        await swipe(world, "A")
        ended = format_timestamp(world.clock.now())
        await world.come_back()
        actions = [action for action in world.actions() if "Transaction" in action]
        assert actions == ["StartTransaction", "StopTransaction"]
        [start], [stop] = world.sent("StartTransaction"), world.sent("StopTransaction")
        assert (start["timestamp"], stop["timestamp"]) == (began, ended)
        assert stop["transactionId"] == world.transactions()[0].transaction_id
        assert stop.get("reason", "Local") == "Local"


async def test_the_end_of_a_transaction_without_a_connection() -> None:
    """Begun online, ended offline: StopTransaction and Finishing follow the reconnection (a certification case)."""
    async with bench() as world:
        await world.ready()
        transaction = await charge(world)
        world.go_offline()
        await world.settle()
        await swipe(world, "A")
        await world.come_back()
        [stop] = world.sent("StopTransaction")
        assert (stop["transactionId"], stop.get("reason", "Local")) == (transaction, "Local")
        assert world.statuses(1)[-1] == "Finishing"


async def test_a_transaction_that_begins_without_a_connection() -> None:
    """Begun offline and accepted afterwards: StartTransaction and Charging, and it goes on (a certification case)."""
    async with bench(keys=LISTED) as world:
        await world.ready()
        await list_tag(world, "A")
        world.go_offline()
        await world.settle()
        await plug(world)
        await swipe(world, "A")
        await world.sleep(10)
        await world.come_back()
        assert len(world.sent("StartTransaction")) == 1
        assert world.statuses(1)[-1] == "Charging"
        assert await remote_stop(world, world.transactions()[0].transaction_id) == "Accepted"


@pytest.mark.parametrize("stops", [True, False])
async def test_e31_a_start_that_is_refused_afterwards(stops: bool) -> None:
    """An offline start answered Invalid: it ends as DeAuthorized, or stays without energy, as its key says."""
    async with bench(keys={**LISTED, "StopTransactionOnInvalidId": stops}, faults=True) as world:
        await world.ready()
        await list_tag(world, "A")
        world.central.on("StartTransaction", refused_starts())
        world.central.on("StopTransaction", {})
        world.go_offline()
        await world.settle()
        await plug(world)
        await swipe(world, "A")
        await world.sleep(10)
        await world.come_back()
        await world.sleep(10)
        if stops:
            [stop] = world.sent("StopTransaction")
            assert (stop["transactionId"], stop["reason"]) == (7, "DeAuthorized")
            assert last_status(world)["status"] == "Finishing"
        else:
            assert world.sent("StopTransaction") == []
            assert last_status(world)["status"] == "SuspendedEVSE"


async def test_e32_a_message_that_is_refused_again_and_again() -> None:
    """StopTransaction answered by CALLERRORs: three attempts, 2 s and 4 s apart, never a fourth; others follow."""
    async with bench(keys=QUICK) as world:
        await world.ready()
        await charge(world)
        world.central.on("StopTransaction", refuse())
        await swipe(world, "A")
        await world.sleep(30)
        times = world.times("StopTransaction")
        assert [round(later - earlier) for earlier, later in pairwise(times)] == [2, 4]
        await charge(world, "B", 2)
        assert [start["idTag"] for start in world.sent("StartTransaction")] == ["A", "B"]


async def test_e33_a_start_that_is_given_up() -> None:
    """StartTransaction fails three times: its readings and its StopTransaction carry the transactionId -1."""
    async with bench(keys={**QUICK, "MeterValueSampleInterval": 10}, faults=True) as world:
        await world.ready()
        world.central.on("StartTransaction", refuse())
        await plug(world)
        await swipe(world, "A")
        await world.sleep(25)
        await swipe(world, "A")
        await world.sleep(5)
        assert len(world.sent("StartTransaction")) == 3
        assert [value["transactionId"] for value in world.sent("MeterValues")] == [-1, -1]
        assert world.sent("StopTransaction")[0]["transactionId"] == -1


@pytest.mark.parametrize("warned", [True, False])
async def test_a_power_failure_in_a_transaction(warned: bool) -> None:
    """StopTransaction(PowerLoss) before the end of the power or after the boot (certification cases)."""
    async with bench() as world:
        await world.ready()
        transaction = await charge(world)
        world.station.power_cycle(warned=warned)
        await booted(world, 2)
        [stop] = world.calls("StopTransaction")
        assert (stop.payload["transactionId"], stop.payload["reason"]) == (transaction, "PowerLoss")
        assert (stop.index < world.calls("BootNotification")[1].index) is warned
        assert world.statuses(1)[-1] in {"Preparing", "Finishing"}
