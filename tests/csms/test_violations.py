"""What the central system notices that a station does wrong, and what it lets pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simulator.csms import BootPolicy
from simulator.csms import ViolationKind as Kind
from tests.csms.mini_station import BOOT, MiniStation, mini_station, sample, start, status, stop
from tests.fakes.script import refuse, withhold
from tests.fakes.scripted import ScriptedCentralSystem, scripted_central

Act = Callable[[MiniStation], Awaitable[Any]]


def calls(*messages: tuple[str, Any]) -> Act:
    """A station that makes these calls one after the other."""

    async def act(station: MiniStation) -> None:
        for action, payload in messages:
            await station.ask(action, payload)

    return act


def frames(*texts: str) -> Act:
    """A station that sends these texts."""

    async def act(station: MiniStation) -> None:
        for text in texts:
            station.connection.post(text)
        with trio.move_on_after(1):
            while True:
                await station.connection.receive()

    return act


def at(second: int) -> str:
    return f"2026-11-22T10:00:{second:02d}Z"


def kwh(value: str, second: int) -> dict[str, Any]:
    reading = {"value": value, "unit": "kWh", "measurand": "Energy.Active.Import.Register", "location": "Outlet"}
    return {"connectorId": 1, "meterValue": [{"timestamp": at(second), "sampledValue": [reading]}]}


WRONG: list[tuple[str, Act, list[Kind]]] = [
    ("text that is not JSON", frames("{"), [Kind.MALFORMED_FRAME]),
    ("a CALL of three elements", frames('[2,"1","Heartbeat"]'), [Kind.MALFORMED_FRAME]),
    ("an id of 37 characters", frames('[2,"' + "x" * 37 + '","Heartbeat",{}]'), [Kind.MALFORMED_FRAME]),
    ("message type 5", frames("[5]"), [Kind.UNKNOWN_MESSAGE_TYPE]),
    ("a CALLRESULT to nothing", frames('[3,"1",{}]'), [Kind.UNASKED_ANSWER]),
    ("a CALLERROR to nothing", frames('[4,"1","GenericError","",{}]'), [Kind.UNASKED_ANSWER]),
    ("an unknown action", calls(("Foo", {})), [Kind.UNKNOWN_ACTION]),
    ("an action of the other direction", calls(("Reset", {"type": "Soft"})), [Kind.UNKNOWN_ACTION]),
    ("a missing member", calls(("Authorize", {})), [Kind.INVALID_REQUEST]),
    ("a payload that is an array", calls(("Heartbeat", [])), [Kind.INVALID_REQUEST]),
    (
        "an id used twice",
        frames('[2,"1","Heartbeat",{}]', '[2,"1","Authorize",{"idTag":"A"}]'),
        [Kind.REUSED_MESSAGE_ID],
    ),
    (
        "Available to Finishing",
        calls(("StatusNotification", status("Available")), ("StatusNotification", status("Finishing"))),
        [Kind.ILLEGAL_STATUS],
    ),
    ("connector 0 charging", calls(("StatusNotification", status("Charging", 0))), [Kind.ILLEGAL_STATUS]),
    ("connector -1", calls(("StatusNotification", status("Available", -1))), [Kind.ILLEGAL_STATUS]),
    ("values of no transaction", calls(("MeterValues", sample(1, transaction=9))), [Kind.UNKNOWN_TRANSACTION]),
    (
        "values of another connector's transaction",
        calls(("StartTransaction", start(1)), ("MeterValues", sample(1, connector=2, transaction=1))),
        [Kind.UNKNOWN_TRANSACTION],
    ),
    (
        "values after the stop, as some stations send those of the end",
        calls(("StartTransaction", start()), ("StopTransaction", stop(1)), ("MeterValues", sample(1, transaction=1))),
        [],
    ),
    (
        "values of a transaction that ended before another",
        calls(
            ("StartTransaction", start(at=at(1))),
            ("StopTransaction", stop(1, at=at(2))),
            ("StartTransaction", start(at=at(3))),
            ("StopTransaction", stop(2, at=at(4))),
            ("MeterValues", sample(1, transaction=1, at=at(5))),
        ),
        [Kind.UNKNOWN_TRANSACTION],
    ),
    ("a stop of no transaction", calls(("StopTransaction", stop(9))), [Kind.UNKNOWN_TRANSACTION]),
    (
        "a second start on a connector",
        calls(("StartTransaction", start(at=at(1))), ("StartTransaction", start(at=at(2)))),
        [Kind.OVERLAPPING_TRANSACTION],
    ),
    (
        "a second stop with other values",
        calls(
            ("StartTransaction", start()), ("StopTransaction", stop(1, meter=5)), ("StopTransaction", stop(1, meter=6))
        ),
        [Kind.CONFLICTING_STOP],
    ),
    (
        "a register that falls between samples",
        calls(("MeterValues", sample(5000, at=at(1))), ("MeterValues", kwh("4.9", 2))),
        [Kind.REGISTER_BACKWARDS],
    ),
    (
        "a stop below its start",
        calls(("StartTransaction", start(meter=500)), ("StopTransaction", stop(1, meter=400))),
        [Kind.REGISTER_BACKWARDS],
    ),
    (
        "a stop below the last sample",
        calls(
            ("StartTransaction", start(at=at(1))),
            ("MeterValues", sample(800, transaction=1, at=at(2))),
            ("StopTransaction", stop(1, meter=700, at=at(3))),
        ),
        [Kind.REGISTER_BACKWARDS],
    ),
    (
        "a start below the last stop",
        calls(
            ("StartTransaction", start(meter=0, at=at(1))),
            ("StopTransaction", stop(1, meter=700, at=at(2))),
            ("StartTransaction", start(meter=600, at=at(3))),
        ),
        [Kind.REGISTER_BACKWARDS],
    ),
    (
        "a register that counts each transaction from zero",
        calls(
            ("StartTransaction", start(meter=0, at=at(1))),
            ("StopTransaction", stop(1, meter=700, at=at(2))),
            ("StartTransaction", start(meter=0, at=at(3))),
            ("StopTransaction", stop(2, meter=300, at=at(4))),
        ),
        [],
    ),
    (
        "transaction data below the last sample",
        calls(
            ("StartTransaction", start(at=at(1))),
            ("MeterValues", sample(800, transaction=1, at=at(2))),
            ("StopTransaction", stop(1, meter=800, at=at(4), transactionData=sample(700, at=at(3))["meterValue"])),
        ),
        [Kind.REGISTER_BACKWARDS],
    ),
    ("a value that is no number", calls(("MeterValues", kwh("much", 1))), [Kind.IMPLAUSIBLE_VALUE]),
    ("a transaction on connector 0", calls(("StartTransaction", start(0))), [Kind.IMPLAUSIBLE_VALUE]),
]


@pytest.mark.parametrize(("act", "found"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
async def test_what_a_station_does_wrong_is_noted(autojump_clock: MockClock, act: Act, found: list[Kind]) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        await act(station)
        assert [violation.kind for violation in central.violations] == found
        # None of that ends the conversation.
        assert (await station.call("DataTransfer", {"vendorId": "Acme"}))["status"] == "UnknownVendorId"


RIGHT: list[tuple[str, Act]] = [
    (
        "a whole session",
        calls(
            ("StatusNotification", status("Available", 0)),
            ("StatusNotification", status("Available")),
            ("StatusNotification", status("Preparing")),
            ("Authorize", {"idTag": "TAG"}),
            ("StartTransaction", start(meter=100, at=at(1))),
            ("StatusNotification", status("Charging")),
            ("MeterValues", sample(100.4, transaction=1, at=at(2))),
            ("StatusNotification", status("SuspendedEV")),
            ("StopTransaction", stop(1, meter=900, at=at(3), reason="Local", idTag="TAG")),
            ("StatusNotification", status("Finishing")),
            ("StatusNotification", status("Available")),
            ("StartTransaction", start(meter=900, at=at(4))),
        ),
    ),
    ("a status repeated", calls(*[("StatusNotification", status("Available"))] * 2)),
    (
        "any status after a fault",
        calls(("StatusNotification", status("Faulted")), ("StatusNotification", status("Finishing"))),
    ),
    (
        "any status after a boot",
        calls(
            ("StatusNotification", status("Charging")),
            ("BootNotification", BOOT),
            ("StatusNotification", status("Preparing")),
        ),
    ),
    ("a start sent again", calls(*[("StartTransaction", start())] * 2)),
    ("a stop sent again", calls(("StartTransaction", start()), *[("StopTransaction", stop(1, meter=5))] * 2)),
    ("a frame sent again with its id", frames(*['[2,"1","Heartbeat",{}]'] * 2)),
    (
        "a transaction whose id was never learnt",
        calls(("MeterValues", sample(1, transaction=-1)), ("StopTransaction", stop(-1))),
    ),
    (
        "a sample rounded to whole Wh",
        calls(("MeterValues", sample(10.9, at=at(1))), ("MeterValues", sample(10, at=at(2)))),
    ),
    (
        "an older sample after a newer one",
        calls(("MeterValues", sample(500, at=at(9))), ("MeterValues", sample(300, at=at(2)))),
    ),
    ("registers of different connectors", calls(("MeterValues", sample(9)), ("MeterValues", sample(2, connector=2)))),
]


@pytest.mark.parametrize("act", [case[1] for case in RIGHT], ids=[case[0] for case in RIGHT])
async def test_what_the_standard_allows_is_not_objected_to(autojump_clock: MockClock, act: Act) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        await act(station)
        assert central.violations == []


def in_memory(central: ScriptedCentralSystem, **options: Any) -> Any:
    return mini_station(central.MEMORY_URL, open_stream=central.memory_dialer(), **options)


async def test_a_second_call_before_the_answer_to_the_first_is_noted(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        central.on("Heartbeat", withhold())
        station.send("Heartbeat", {})
        assert (await station.call("Authorize", {"idTag": "A"}))["idTagInfo"]["status"] == "Accepted"
        (violation,) = central.violations
        assert violation.kind is Kind.SECOND_CALL
        assert violation.action == "Authorize"


async def test_a_second_call_after_the_first_was_given_up_is_fine(autojump_clock: MockClock) -> None:
    async with scripted_central(station_timeout=30) as central, in_memory(central) as station:
        central.on("Heartbeat", withhold())
        station.send("Heartbeat", {})
        heartbeat = await central.wait_for("CS-1", "Heartbeat")
        await trio.sleep(30)
        await station.call("Authorize", {"idTag": "A"})
        assert central.violations == []
        assert central.calls[-1].time - heartbeat.time == pytest.approx(30)


async def test_an_id_that_is_being_processed_is_refused(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        central.on("Heartbeat", withhold())
        for _ in range(2):
            station.connection.post('[2,"same","Heartbeat",{}]')
        answer = await station.receive()
        assert getattr(answer, "code", None) == "ProtocolError"
        assert [violation.kind for violation in central.violations] == [Kind.REUSED_MESSAGE_ID]


async def test_before_the_boot_is_accepted_nothing_else_is_answered(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central, boot=False) as station:
        assert await station.refused("Heartbeat", {}) == "SecurityError"
        for answer in ("Rejected", "Pending"):
            central.boots["CS-1"] = BootPolicy(answer, 10)
            await station.call("BootNotification", BOOT)
            assert await station.refused("Heartbeat", {}) == "SecurityError"
        assert [violation.kind for violation in central.violations] == [Kind.NOT_REGISTERED] * 3


async def test_a_refused_boot_registers_nobody(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central, boot=False) as station:
        central.on("BootNotification", refuse(), times=1)
        assert await station.refused("BootNotification", BOOT) == "InternalError"
        assert central.stations["CS-1"].registration is None
        await station.call("BootNotification", BOOT)
        assert central.stations["CS-1"].registration == "Accepted"
