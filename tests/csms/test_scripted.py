"""The scripted central system that other tests build on, in virtual time."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simulator.csms import BootPolicy, CallRejected, CallUnanswered, Station, StationNotConnected
from simulator.ocpp.errors import ErrorCode
from simulator.ocpp.frames import Call, CallError, CallResult, encode_error, encode_result
from simulator.transport.connection import ConnectionClosed, OpenFailed
from tests.csms.mini_station import MiniStation, mini_station, start
from tests.fakes.script import DEFAULT, close, cut, delay, raw, refuse, withhold
from tests.fakes.scripted import ScriptedCentralSystem, scripted_central


def in_memory(
    central: ScriptedCentralSystem, station_id: str = "CS-1", **options: Any
) -> AbstractAsyncContextManager[MiniStation]:
    return mini_station(central.MEMORY_URL, station_id, open_stream=central.memory_dialer(), **options)


async def test_a_day_of_heartbeats_passes_at_once_and_the_time_of_day_with_it(autojump_clock: MockClock) -> None:
    async with scripted_central(start=0.0) as central, in_memory(central) as station:
        for _ in range(96):
            await trio.sleep(900)
            answer = await station.call("Heartbeat", {})
        assert answer["currentTime"] == "1970-01-02T00:00:00.000Z"
        times = [call.time for call in central.calls_from("CS-1", "Heartbeat")]
        assert len(times) == 96
        assert {round(b - a, 6) for a, b in pairwise(times)} == {900}


async def test_answers_follow_the_script_and_then_are_the_usual_ones(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central) as station, in_memory(central, "CS-2") as other:
        central.on("Authorize", {"idTagInfo": {"status": "Blocked"}})
        central.on("Authorize", refuse(ErrorCode.GENERIC_ERROR, "not now"), times=1)
        central.on(
            "Authorize", lambda who, what: {"idTagInfo": {"status": "Invalid", "parentIdTag": what["idTag"]}}, times=1
        )
        central.on("Authorize", DEFAULT, station="CS-2")
        assert await station.refused("Authorize", {"idTag": "A"}) == "GenericError"
        seen = [(await station.call("Authorize", {"idTag": "A"}))["idTagInfo"] for _ in range(3)]
        assert seen == [{"status": "Invalid", "parentIdTag": "A"}, {"status": "Blocked"}, {"status": "Blocked"}]
        assert (await other.call("Authorize", {"idTag": "A"}))["idTagInfo"]["status"] == "Accepted"
        central.off("Authorize")
        assert (await station.call("Authorize", {"idTag": "A"}))["idTagInfo"]["status"] == "Accepted"


async def test_answers_may_be_late_and_others_overtake_them(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        central.on("Heartbeat", delay(20))
        slow = station.send("Heartbeat", {})
        quick = station.send("Authorize", {"idTag": "A"})
        begun = trio.current_time()
        first, second = await station.receive(), await station.receive()
        assert (first.message_id, second.message_id) == (quick, slow)
        assert trio.current_time() - begun == pytest.approx(20)


async def test_an_answer_made_by_an_async_function(autojump_clock: MockClock) -> None:
    async def slowly(station: Station, payload: dict[str, Any]) -> dict[str, Any]:
        await trio.sleep(5)
        return {"idTagInfo": {"status": "Expired"}}

    async with scripted_central() as central, in_memory(central) as station:
        central.on("Authorize", slowly)
        assert await station.call("Authorize", {"idTag": "A"}) == {"idTagInfo": {"status": "Expired"}}


async def test_a_withheld_answer_can_be_given_later(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        lost, booked = withhold(), withhold(process=True)
        central.on("StartTransaction", lost, times=1)
        central.on("StartTransaction", booked, times=1)
        first = station.send("StartTransaction", start(1))
        second = station.send("StartTransaction", start(2))
        await central.wait_for("CS-1", "StartTransaction", 2)
        await station.settle()
        assert [t.connector_id for t in central.ledger] == [2]
        assert (lost.held, booked.held) == (1, 1)
        booked.release()
        lost.release()
        answers = [await station.receive(), await station.receive()]
        assert [answer.message_id for answer in answers] == [second, first]
        assert len(list(central.ledger)) == 2


async def test_garbage_instead_of_an_answer(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        central.on("Heartbeat", raw('[3,"{id}"'))
        message_id = station.send("Heartbeat", {})
        assert await station.connection.receive() == f'[3,"{message_id}"'


async def test_the_central_system_hangs_up(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        central.on("Heartbeat", close(1012, "restart"))
        station.send("Heartbeat", {})
        with pytest.raises(ConnectionClosed) as closed:
            await station.receive()
        assert closed.value.code == 1012
        await central.disconnected("CS-1")


async def test_a_cut_line_breaks_both_ends_and_what_was_booked_stays(autojump_clock: MockClock) -> None:
    async with scripted_central() as central:
        central.on("StartTransaction", cut(process=True), times=1)
        async with in_memory(central) as station:
            station.send("StartTransaction", start())
            with pytest.raises(ConnectionClosed) as closed:
                await station.receive()
            assert closed.value.code == 1006
            await central.disconnected("CS-1")
        async with in_memory(central, boot=False) as station:
            assert (await station.call("StartTransaction", start()))["transactionId"] == 1
            assert (await central.connected("CS-1", 2)).connections == 2
        assert central.violations == []


async def test_a_silent_line_is_noticed_by_pings_only_and_may_come_back(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        central.line("CS-1").black_hole()
        message_id = station.send("Heartbeat", {})
        with trio.move_on_after(600) as scope:
            await station.receive()
        assert scope.cancelled_caught
        central.line("CS-1").restore()
        assert (await station.receive()).message_id == message_id
        central.network.black_hole()
        with pytest.raises(ConnectionClosed, match="pong"):
            await station.connection.ping(7)


async def test_a_station_that_comes_back_on_a_new_line_is_served_although_the_old_one_is_silent(
    autojump_clock: MockClock,
) -> None:
    async with scripted_central() as central, in_memory(central) as old:
        central.line("CS-1").black_hole()
        async with in_memory(central, boot=False) as new:
            begun = trio.current_time()
            assert await new.call("Heartbeat", {})
            assert trio.current_time() - begun < 1
            central.network.lines[0].restore()
            with pytest.raises(ConnectionClosed):
                await old.receive()
            assert (await central.connected("CS-1")).connections == 2
        assert central.violations == []


async def test_connections_can_be_refused_and_left_unanswered(autojump_clock: MockClock) -> None:
    async with scripted_central() as central:
        central.network.refuse()
        with pytest.raises(OpenFailed, match="refused"):
            async with in_memory(central):
                pass
        central.network.black_hole()
        begun = trio.current_time()
        with pytest.raises(OpenFailed):
            async with in_memory(central, open_timeout=25):
                pass
        assert trio.current_time() - begun == pytest.approx(25)
        central.network.restore()
        async with in_memory(central):
            assert central.network.attempts == 3


async def test_a_wait_that_is_not_met_fails_with_what_was_seen(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central):
        with pytest.raises(AssertionError, match=re.compile("Heartbeat number 2 of CS-1.*BootNotification", re.DOTALL)):
            await central.wait_for("CS-1", "Heartbeat", 2, timeout=3600)


async def test_waits_can_ask_for_content_and_order(autojump_clock: MockClock) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        for tag in "ABA":
            await station.call("Authorize", {"idTag": tag})
        first = await central.wait_for("CS-1", "Authorize", where=lambda payload: payload["idTag"] == "A")
        second = await central.wait_for("CS-1", "Authorize", where=lambda payload: payload["idTag"] == "A", after=first)
        assert second.index == first.index + 2
        assert central.actions_from("CS-1") == ["BootNotification", "Authorize", "Authorize", "Authorize"]


async def test_what_a_function_of_the_script_raises_fails_the_test(autojump_clock: MockClock) -> None:
    def wrong(station: Station, payload: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError("not this one")

    async def run() -> None:
        async with scripted_central() as central, in_memory(central) as station:
            central.on("Heartbeat", wrong)
            station.send("Heartbeat", {})
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await run()
    assert caught.group_contains(AssertionError, match="not this one")


# -- calls to a station ------------------------------------------------------------------------------------------------


async def test_calls_to_a_station_go_out_one_at_a_time(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        known = await central.connected("CS-1")
        for key in "AB":
            nursery.start_soon(known.call, "ChangeConfiguration", {"key": key, "value": ""})
        keys = set()
        for _ in "AB":
            call = await station.receive()
            assert isinstance(call, Call)
            assert isinstance(call.payload, dict)
            keys.add(call.payload["key"])
            with trio.move_on_after(5) as scope:
                await station.receive()
            assert scope.cancelled_caught
            station.connection.post(encode_result(call.message_id, {"status": "Accepted"}))
        await station.settle()
        assert keys == {"A", "B"}
        assert central.violations == []


async def test_a_call_to_a_station_ends_in_time_however_it_ends(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scripted_central() as central:
        known = central.station("CS-1")
        with pytest.raises(StationNotConnected):
            await known.call("ClearCache")
        async with in_memory(central) as station:

            async def refuse_one() -> None:
                call = await station.receive()
                station.connection.post(encode_error(call.message_id, "NotSupported", "no", {}))

            nursery.start_soon(refuse_one)
            with pytest.raises(CallRejected, match="NotSupported: no") as rejected:
                await known.call("ClearCache")
            assert rejected.value.code == "NotSupported"

            begun = trio.current_time()
            with pytest.raises(CallUnanswered, match="ClearCache within 12 s"):
                await known.call("ClearCache", timeout=12)
            assert trio.current_time() - begun == pytest.approx(12)
            # The late answer is dropped and no fault.
            call = await station.receive()
            station.connection.post(encode_result(call.message_id, {"status": "Accepted"}))
            await station.settle()
            assert central.violations == []

            async def hang_up() -> None:
                await station.receive()
                central.line("CS-1").cut()

            nursery.start_soon(hang_up)
            with pytest.raises(StationNotConnected, match="before ClearCache was answered"):
                await known.call("ClearCache", timeout=600)
            assert trio.current_time() - begun < 60


async def test_an_answer_that_its_schema_refuses_is_noted_and_returned(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scripted_central() as central, in_memory(central) as station:
        nursery.start_soon(station.answer_one, {"status": "Maybe"})
        assert await central.stations["CS-1"].call("ClearCache") == {"status": "Maybe"}
        assert [str(violation.kind) for violation in central.violations] == ["invalid response"]


async def test_a_pending_station_may_send_what_it_was_asked_for(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scripted_central() as central, in_memory(central, boot=False) as station:
        central.boot = BootPolicy("Pending", 60)
        known = await central.connected("CS-1")
        await station.call("BootNotification", {"chargePointVendor": "A", "chargePointModel": "B"})
        nursery.start_soon(station.answer_one, {"status": "Accepted"})
        await known.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
        assert isinstance(await station.ask("Heartbeat", {}), CallResult)
        assert isinstance(await station.ask("Authorize", {"idTag": "A"}), CallError)
        assert [violation.action for violation in central.violations] == ["Authorize"]
