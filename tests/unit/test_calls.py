"""The outgoing CALLs of a station: one place on the wire, two lines that wait for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import outcome
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simulator.clock import Clock
from simulator.events import CallSent, EventBus
from simulator.ids import MessageIds
from simulator.ocpp.frames import CallError, CallResult, encode_payload
from simulator.ocpp.v16.messages import (
    AuthorizeRequest,
    BootNotificationRequest,
    HeartbeatRequest,
    StartTransactionRequest,
    StatusNotificationRequest,
    StatusNotificationResponse,
)
from simulator.ocpp.validation import PayloadValidator
from simulator.outbox import Departure
from simulator.station.call_results import CallTimeout, NotAllowed, NotConnected, Result
from simulator.station.calls import CallLane
from simulator.station.journal import TransactionMessage
from simulator.station.queued_call import CallRules, Gate
from simulator.station.services import StationServices
from simulator.transport.connection import ConnectionClosed
from simulator.transport.websocket import Dialer

TIME = "2026-11-22T10:00:00Z"
BOOT = BootNotificationRequest(charge_point_vendor="A", charge_point_model="B")
START = StartTransactionRequest(connector_id=1, id_tag="A", meter_start=0, timestamp=TIME)


class Bench:
    """A lane and the other end of its wire."""

    def __init__(self, clock: Clock) -> None:
        self.bus = EventBus()
        self.wire: list[list[Any]] = []
        self.dead = False
        self.said: list[str] = []
        self.sent: list[str] = []
        self.bus.subscribe(CallSent, lambda event: self.sent.append(event.action))
        self.supported = True
        services = StationServices(
            clock=clock, bus=self.bus, dialer=Dialer(), validator=PayloadValidator(), message_ids=MessageIds()
        )
        rules = CallRules(
            timeout=lambda: 10.0,
            attempts=lambda: 2,
            retry_interval=lambda: 5.0,
            supported=lambda action: self.supported,
            validate=True,
            strict=False,
        )
        self.lane = CallLane(services, "h", "CS-1", rules, lambda level, text: self.said.append(text))

        self.lane.hand_over(self)
        self._results: dict[int, list[Any]] = {}

    # -- who knows the transactions ----------------------------------------------------------------------------------

    def answered(self, message: TransactionMessage, result: Result) -> None:
        self._results[message.number].append(result)

    def wire_id(self, transaction: int) -> int:
        return 100 + transaction

    def queue(self, request: StartTransactionRequest, results: list[Any] | None = None) -> None:
        number = len(self._results)
        self._results[number] = [] if results is None else results
        payload = msgspec.Raw(encode_payload(request))
        self.lane.queue_transaction_message(TransactionMessage(number, "StartTransaction", payload), request)

    # -- the wire ----------------------------------------------------------------------------------------------------

    def attach(self, gate: Gate = Gate.ACCEPTED) -> None:
        self.dead = False
        self.lane.attach(self.post, gate)

    def post(self, text: str | bytes, departure: Departure | None = None, /) -> None:
        if self.dead:
            raise ConnectionClosed(1006, "dead")
        self.wire.append(json.loads(text))

    @property
    def actions(self) -> list[str]:
        return [frame[2] for frame in self.wire]

    def answer(self, payload: dict[str, Any] | None = None) -> None:
        self.lane.on_result(CallResult(self.wire[-1][1], {} if payload is None else payload))

    def refuse(self) -> None:
        self.lane.on_error(CallError(self.wire[-1][1], "InternalError", "", {}))


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        clock = Clock()
        await nursery.start(clock.run)
        yield Bench(clock)
        nursery.cancel_scope.cancel()


def status(connector: int) -> StatusNotificationRequest:
    return StatusNotificationRequest(connector_id=connector, error_code="NoError", status="Available")  # type: ignore[arg-type]


async def test_the_next_call_waits_for_the_answer_and_the_first_come_goes_first(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.attach()
        b.lane.send(HeartbeatRequest())
        b.queue(START)
        b.lane.send(status(1))
        assert b.actions == ["Heartbeat"]
        b.answer({"currentTime": TIME})
        assert b.actions == ["Heartbeat", "StartTransaction"]
        b.answer({"idTagInfo": {"status": "Accepted"}, "transactionId": 1})
        b.answer()
        assert b.actions == b.sent == ["Heartbeat", "StartTransaction", "StatusNotification"]
        await b.lane.delivered()


@pytest.mark.parametrize(
    ("gate", "triggered", "passes"),
    [
        (Gate.BOOTING, False, ["BootNotification"]),
        (Gate.BOOTING, True, ["BootNotification"]),
        (Gate.PENDING, False, ["BootNotification"]),
        (Gate.PENDING, True, ["BootNotification", "Heartbeat"]),
        (Gate.REJECTED, True, ["BootNotification"]),
        (Gate.ACCEPTED, False, ["BootNotification", "Heartbeat"]),
        (Gate.CLOSED, True, []),
    ],
)
async def test_what_the_registration_lets_through(
    autojump_clock: MockClock, gate: Gate, triggered: bool, passes: list[str]
) -> None:
    async with bench() as b:
        b.attach(gate)
        failures: list[Any] = []
        b.lane.send(BOOT, failures.append, triggered=triggered)
        if b.wire:
            b.answer({"currentTime": TIME, "interval": 1, "status": "Accepted"})
        b.lane.send(HeartbeatRequest(), failures.append, triggered=triggered)
        assert b.actions == passes
        errors = [failure.error for failure in failures if isinstance(failure, outcome.Error)]
        assert all(isinstance(error, NotAllowed) for error in errors)
        assert len(errors) == 2 - len(passes)
        b.queue(START)
        if b.wire and b.actions[-1] == "Heartbeat":
            b.answer({"currentTime": TIME})
        assert ("StartTransaction" in b.actions) == (gate is Gate.ACCEPTED)


async def test_a_gate_that_closes_refuses_what_waits_and_never_sends_two(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.attach()
        results: list[Any] = []

        def again(result: Any) -> None:
            results.append(result)
            b.lane.send(BOOT, results.append)

        b.lane.send(HeartbeatRequest())
        b.lane.send(status(1), again)
        b.lane.send(status(2), again)
        b.lane.open_gate(Gate.REJECTED)
        b.answer({"currentTime": TIME})
        assert b.actions == ["Heartbeat", "BootNotification"]
        assert [type(result.error) for result in results] == [NotAllowed, NotAllowed]


async def test_waiting_for_an_answer(autojump_clock: MockClock) -> None:
    async with bench() as b:
        with pytest.raises(NotConnected):
            await b.lane.call(HeartbeatRequest())
        b.attach()
        async with trio.open_nursery() as nursery:
            answers: list[str] = []

            async def ask() -> None:
                answers.append((await b.lane.call(HeartbeatRequest())).current_time)

            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            b.answer({"currentTime": TIME})
        assert answers == [TIME]
        begun = trio.current_time()
        with pytest.raises(CallTimeout, match="10 s"):
            await b.lane.call(HeartbeatRequest())
        assert trio.current_time() - begun == pytest.approx(10)
        with pytest.raises(NotAllowed, match="invalid content"):
            await b.lane.call(AuthorizeRequest(id_tag="x" * 30))


async def test_a_cancelled_call_is_withdrawn_or_its_answer_passed_over(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.attach()
        for _ in range(2):  # the first has left, the second waits behind it
            with trio.move_on_after(1):
                await b.lane.call(HeartbeatRequest())
        b.answer({"currentTime": TIME})
        assert b.actions == ["Heartbeat"]
        await b.lane.delivered()


async def test_a_lost_connection_fails_what_passes_and_keeps_what_belongs_to_transactions(
    autojump_clock: MockClock,
) -> None:
    async with bench() as b:
        b.attach()
        results: list[Any] = []
        b.queue(START, results)
        b.lane.send(status(1), results.append)
        b.lane.detach()
        assert [type(result.error) for result in results] == [NotConnected]
        await trio.sleep(100)
        b.attach()
        for _ in range(2):  # two attempts are left: the lost one does not count
            b.refuse()
            await trio.sleep(6)
        assert b.actions == ["StartTransaction"] * 3
        assert isinstance(results[-1], outcome.Error)
        assert b.lane.queued_transaction_messages == 0


async def test_a_socket_that_dies_under_a_passing_call(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.attach()
        b.dead = True
        with pytest.raises(NotConnected):
            await b.lane.call(HeartbeatRequest())
        assert not b.lane.connected


async def test_a_message_that_is_switched_off_or_invalid_does_not_block_the_queue(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.attach()
        results: list[Any] = []
        bad = StartTransactionRequest(connector_id=1, id_tag="x" * 21, meter_start=0, timestamp=TIME)
        b.queue(bad, results)
        b.supported = False
        b.queue(START, results)
        b.supported = True
        b.queue(START, results)
        assert [type(result.error) for result in results] == [NotAllowed, NotAllowed]
        assert b.actions == ["StartTransaction"]
        assert any("21" in text or "idTag" in text for text in b.said)


async def test_delivered_waits_for_what_may_be_sent_and_no_more(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.attach(Gate.PENDING)
        b.queue(START)
        await b.lane.delivered()
        b.lane.open_gate(Gate.ACCEPTED)
        with trio.move_on_after(5) as scope:
            await b.lane.delivered()
        assert scope.cancelled_caught
        b.answer({"idTagInfo": {"status": "Accepted"}, "transactionId": 1})
        await b.lane.delivered()


async def test_a_plain_empty_answer_is_taken_as_it_stands(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.attach()
        results: list[Result] = []
        b.lane.send(status(1), results.append)
        message_id = b.wire[-1][1]
        for other in ('[3,"x",{}]', f'[3, "{message_id}", {{}}]', f'[4,"{message_id}",{{}}]', f'[3,"{message_id}",[]]'):
            assert not b.lane.on_plain_answer(other)
        assert b.lane.on_plain_answer(f'[3,"{message_id}",{{}}]')
        assert not b.lane.on_plain_answer(f'[3,"{message_id}",{{}}]')
        assert [result.unwrap() for result in results] == [StatusNotificationResponse()]


async def test_an_empty_answer_that_breaks_its_schema_is_left_to_the_reader(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.attach()
        b.lane.send(HeartbeatRequest())
        assert not b.lane.on_plain_answer(f'[3,"{b.wire[-1][1]}",{{}}]')
        b.answer({"currentTime": TIME})


class _Shape:
    proven = False


async def test_contents_of_one_shape_are_checked_until_one_was_valid(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.attach()
        shape = _Shape()
        readings = b'[{"timestamp":"2026-11-22T10:00:00Z","sampledValue":[{"value":"1"}]}]'
        valid, invalid = b'{"connectorId":1,"meterValue":%b}' % readings, b'{"connectorId":"x"}'
        for number, payload in enumerate((invalid, valid)):
            b._results[number] = []
            message = TransactionMessage(number, "MeterValues", msgspec.Raw(payload))
            assert not shape.proven
            b.lane.queue_transaction_message(message, shape=shape)
        assert shape.proven
        assert len(b.wire) == 1
        assert "invalid" in b.said[0]
