"""Transactions and the queue of their messages, online and offline (OCPP 1.6 §3.7)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from simulator.events import TransactionStarted, TransactionStopped
from simulator.ocpp.errors import ErrorCode
from simulator.timestamps import parse_timestamp
from tests.fakes.script import cut, refuse, withhold
from tests.station.harness import START, World, station_world

QUICK = {"TransactionMessageAttempts": 3, "TransactionMessageRetryInterval": 2}


def gaps(times: list[float]) -> list[float]:
    return [round(later - earlier, 3) for earlier, later in pairwise(times)]


async def test_a_remote_session_from_start_to_end() -> None:
    async with station_world(keys={"MeterValueSampleInterval": 10}) as world:
        await world.ready()
        transaction = await world.charge(1, "TAG")
        await world.sleep(25)
        await world.stop_charging(transaction)
        assert world.actions()[4:] == [
            "StatusNotification",
            "StartTransaction",
            "StatusNotification",
            "MeterValues",
            "MeterValues",
            "StopTransaction",
            "StatusNotification",
            "StatusNotification",
        ]
        assert world.statuses(1) == ["Available", "Preparing", "Charging", "Finishing", "Available"]
        stop = world.sent("StopTransaction")[0]
        assert stop["idTag"] == "TAG"
        assert stop["reason"] == "Remote"
        assert "transactionData" not in stop
        assert transaction.energy > 0
        started, stopped = world.happened(TransactionStarted)[0], world.happened(TransactionStopped)[0]
        assert (started.transaction_id, started.meter_start) == (1, transaction.meter_start)
        assert (stopped.reason, stopped.energy) == ("Remote", transaction.energy)


async def test_messages_of_a_transaction_wait_offline_and_go_out_in_order_with_their_own_times() -> None:
    async with station_world(keys={"MeterValueSampleInterval": 2}) as world:
        await world.ready()
        transaction = await world.charge()
        begun = parse_timestamp(transaction.started_at)[0]
        world.go_offline()
        await world.sleep(7)
        told = len(world.statuses())
        await world.come_back()
        await world.sleep(10)
        values = world.sent("MeterValues")
        sampled = [parse_timestamp(value["meterValue"][0]["timestamp"])[0] - begun for value in values]
        assert [round(instant, 3) for instant in sampled] == [2.0 * n for n in range(1, len(values) + 1)]
        assert {value["transactionId"] for value in values} == {transaction.transaction_id}
        assert len(world.statuses()) == told


async def offline_session(world: World, *, connected_for: float = 0) -> None:
    """A transaction that begins, and unless ``connected_for`` ends, without a connection."""
    await world.ready()
    world.go_offline()
    await world.sleep(1)
    transaction = world.station.sessions.begin(world.connector(), "TAG")
    await world.sleep(100)
    if not connected_for:
        world.station.sessions.end(transaction, "Local")  # type: ignore[arg-type]
        await world.sleep(10)
    await world.come_back()


async def test_a_transaction_that_nobody_saw_is_told_afterwards() -> None:
    async with station_world(keys={"MeterValueSampleInterval": 30}) as world:
        await offline_session(world)
        await world.sleep(1)
        (transaction,) = world.transactions()
        assert parse_timestamp(transaction.started_at)[0] == pytest.approx(START + 1, abs=0.5)
        assert parse_timestamp(str(transaction.stopped_at))[0] == pytest.approx(START + 101, abs=0.5)
        assert world.actions()[4:] == ["StartTransaction", *["MeterValues"] * 3, "StopTransaction"]
        assert [value["transactionId"] for value in world.sent("MeterValues")] == [transaction.transaction_id] * 3
        assert transaction.energy > 0


async def test_a_transaction_that_began_offline_goes_on_online() -> None:
    async with station_world(keys={"MeterValueSampleInterval": 30}) as world:
        await offline_session(world, connected_for=60)
        await world.sleep(60)
        (transaction,) = world.transactions()
        assert transaction.is_open
        assert world.statuses(1)[-1] == "Charging"
        await world.stop_charging(transaction)


@pytest.mark.parametrize("stop_it", [True, False])
@pytest.mark.parametrize("offline", [True, False])
async def test_a_tag_that_the_answer_to_starttransaction_refuses(stop_it: bool, offline: bool) -> None:
    keys = {"StopTransactionOnInvalidId": str(stop_it), "MeterValueSampleInterval": 10}
    async with station_world(keys=keys) as world:
        world.central.on("StartTransaction", {"transactionId": 5, "idTagInfo": {"status": "Invalid"}})
        if offline:
            await offline_session(world, connected_for=60)
        else:
            await world.ready()
            assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.sleep(35)
        if stop_it:
            assert [stop["reason"] for stop in world.sent("StopTransaction")] == ["DeAuthorized"]
            assert world.statuses(1)[-1] == "Available"
        else:
            assert world.sent("StopTransaction") == []
            assert world.statuses(1)[-1] == "SuspendedEVSE"
            registers = [float(v["meterValue"][0]["sampledValue"][0]["value"]) for v in world.sent("MeterValues")[-3:]]
            assert len(set(registers)) == 1  # no energy any more
            assert await world.status_of("RemoteStopTransaction", transactionId=5) == "Accepted"
            await world.settle()
            assert [stop["reason"] for stop in world.sent("StopTransaction")] == ["Remote"]
        world.central.stations["CS-1"].violations.clear()  # the ledger knows nothing of transaction 5


async def test_a_transaction_message_is_tried_as_often_as_its_keys_say() -> None:
    async with station_world(keys=QUICK) as world:
        await world.ready()
        transaction = await world.charge()
        world.central.on("StopTransaction", refuse(ErrorCode.INTERNAL_ERROR))
        assert await world.status_of("RemoteStopTransaction", transactionId=transaction.transaction_id) == "Accepted"
        await world.sleep(60)
        assert gaps(world.times("StopTransaction")) == [2, 4]
        assert len({str(stop) for stop in world.sent("StopTransaction")}) == 1
        world.central.off("StopTransaction")
        world.central.ledger.stop("CS-1", transaction_id=transaction.transaction_id, meter_stop=9**9, timestamp="")
        assert (await world.charge(2)).is_open  # what comes later flows


async def test_others_overtake_a_transaction_message_that_waits_for_its_retry() -> None:
    async with station_world(keys={**QUICK, "TransactionMessageRetryInterval": 20}) as world:
        await world.ready()
        world.central.on("StartTransaction", refuse(ErrorCode.GENERIC_ERROR), times=1)
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.sleep(5)
        assert await world.trigger("Heartbeat") == "Accepted"
        await world.sleep(20)
        first, second = world.times("StartTransaction")
        assert second - first == pytest.approx(20)
        assert first < world.times("Heartbeat")[0] < second
        assert len(world.transactions()) == 1


async def test_a_message_without_an_answer_is_repeated_and_the_late_answer_does_no_harm() -> None:
    async with station_world(keys={**QUICK, "MessageTimeout": 10}, station_timeout=10) as world:
        await world.ready()
        late = withhold(process=True)
        world.central.on("StartTransaction", late, times=1)
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.sleep(11)
        late.release()
        await world.sleep(10)
        assert gaps(world.times("StartTransaction")) == [12]
        (transaction,) = world.transactions()
        await world.stop_charging(transaction)


async def test_a_start_that_is_given_up_leaves_a_transaction_of_the_id_minus_one() -> None:
    async with station_world(keys={**QUICK, "MeterValueSampleInterval": 30}) as world:
        await world.ready()
        world.central.on("StartTransaction", refuse(ErrorCode.INTERNAL_ERROR), times=3)
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.sleep(35)
        assert gaps(world.times("StartTransaction")) == [2, 4]
        assert [value["transactionId"] for value in world.sent("MeterValues")] == [-1]
        assert await world.status_of("RemoteStopTransaction", transactionId=-1) == "Rejected"
        assert await world.status_of("UnlockConnector", connectorId=1) == "Unlocked"
        await world.settle()
        assert [stop["transactionId"] for stop in world.sent("StopTransaction")] == [-1]
        assert world.happened(TransactionStarted) == []


@pytest.mark.parametrize("attempts", [0, 1])
async def test_no_retries(attempts: int) -> None:
    async with station_world(keys={**QUICK, "TransactionMessageAttempts": attempts}) as world:
        await world.ready()
        world.central.on("StartTransaction", refuse(ErrorCode.INTERNAL_ERROR), times=1)
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.sleep(30)
        assert len(world.sent("StartTransaction")) == 1


async def test_a_lost_connection_is_no_failed_attempt() -> None:
    async with station_world(keys={**QUICK, "TransactionMessageAttempts": 2}) as world:
        await world.ready()
        world.central.on("StartTransaction", cut(process=True), times=3)
        world.central.on("StartTransaction", refuse(ErrorCode.INTERNAL_ERROR), times=1)
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.sleep(200)
        assert len(world.sent("StartTransaction")) == 5
        (transaction,) = world.transactions()
        await world.stop_charging(transaction)


async def test_the_central_system_is_gone_for_half_a_minute_and_no_transaction_gets_lost() -> None:
    generator: dict[str, Any] = {
        "enable": True,
        "minDuration": 5,
        "maxDuration": 15,
        "minDelayBetweenTwoTransactions": 1,
        "maxDelayBetweenTwoTransactions": 5,
        "stopAfterHours": 0.2,
        "requireAuthorize": False,
    }
    async with station_world(
        template={"AutomaticTransactionGenerator": generator}, keys={"MeterValueSampleInterval": 10}, stations=3
    ) as world:
        for _ in range(4):
            await world.sleep(60)
            world.go_offline()
            await world.sleep(30)
            world.central.network.restore()
        await world.sleep(600)
        for number, station in enumerate(world.stations, start=1):
            name = f"CS-{number}"
            transactions = world.transactions(station=name)
            assert len(transactions) > 30
            assert not any(transaction.is_open for transaction in transactions)
            assert [t.transaction_id for t in transactions] == [
                event.transaction_id for event in world.happened(TransactionStarted, station=name)
            ]
            assert len(world.happened(TransactionStopped, station=name)) == len(transactions)
            assert len(world.sent("BootNotification", station=name)) == 1
            assert station.lane.queued_transaction_messages == 0
            assert sum(station.generator.statuses[c].start_transaction_requests for c in (1, 2)) == len(transactions)
