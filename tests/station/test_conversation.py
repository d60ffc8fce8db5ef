"""One CALL at a time, answers at once, and answers that never, late or wrongly come (OCPP-J 1.6 §4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.csms import BootPolicy
from simulator.events import CallErrorReceived, CallTimedOut, OddFrameReceived
from simulator.ocpp.errors import ErrorCode
from tests.fakes.script import raw, refuse, withhold
from tests.station.harness import station_world


async def test_incoming_calls_are_answered_at_once_while_an_own_call_waits() -> None:
    async with station_world(boot=BootPolicy("Accepted", 10), keys={"MessageTimeout": 60}) as world:
        await world.ready()
        held = withhold()
        world.central.on("Heartbeat", held, times=1)
        await world.wait_for("Heartbeat")
        spoken = len(world.calls())
        assert await world.refused("Foo") == "NotImplemented"
        assert await world.refused("StartTransaction", connectorId=1) == "NotSupported"
        assert await world.status_of("DataTransfer", vendorId="nobody") == "UnknownVendorId"
        assert await world.refused("Reset", type="Medium") == "PropertyConstraintViolation"
        assert await world.refused("RemoteStopTransaction", transactionId="7") == "TypeConstraintViolation"
        assert await world.refused("ChangeConfiguration") in {"ProtocolError", "OccurenceConstraintViolation"}
        assert await world.refused("ClearCache", surplus=1) == "FormationViolation"
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.sleep(20)
        assert len(world.calls()) == spoken  # nothing else was said
        held.release()
        await world.settle()
        assert world.actions()[spoken:] == ["StatusNotification", "StartTransaction", "StatusNotification"]


async def test_the_deadline_of_a_call_is_messagetimeout() -> None:
    async with station_world(keys={"MessageTimeout": 30}, station_timeout=12) as world:
        await world.ready()
        assert await world.key("MessageTimeout", 12) == "Accepted"
        world.central.on("Heartbeat", withhold(), times=1)
        assert await world.trigger("Heartbeat") == "Accepted"
        assert await world.trigger("StatusNotification", 1) == "Accepted"
        await world.sleep(20)
        assert world.times("StatusNotification")[-1] - world.times("Heartbeat")[0] == pytest.approx(12)
        assert [event.action for event in world.happened(CallTimedOut)] == ["Heartbeat"]


async def test_late_duplicate_and_invented_answers_are_passed_over() -> None:
    async with station_world(keys={"MessageTimeout": 10}) as world:
        await world.ready()
        late = withhold()
        world.central.on("Heartbeat", late, times=1)
        assert await world.trigger("Heartbeat") == "Accepted"
        await world.sleep(11)
        late.release()
        answered = world.calls("BootNotification")[0].message_id
        world.known().send_raw(json.dumps([3, answered, {"status": "Rejected", "currentTime": "x", "interval": 1}]))
        world.known().send_raw('[4,"never-asked","InternalError","",{}]')
        await world.settle()
        kinds = [event.kind for event in world.happened(OddFrameReceived)]
        assert kinds == ["orphan CALLRESULT", "orphan CALLRESULT", "orphan CALLERROR"]
        assert (await world.charge()).is_open


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "{}",
        "[]",
        "[2]",
        '[2,"a"]',
        '[9,"a","b",{}]',
        "[2,1,2,3]",
        '[3,"x"]',
        '[2,"i","Reset",7]',
        "\ufeff[]",
    ],
)
async def test_frames_that_are_none_do_no_harm(frame: str) -> None:
    async with station_world(faults=True) as world:
        await world.ready()
        world.known().send_raw(frame)
        await world.settle()
        assert (await world.call("GetConfiguration", key=["X"]))["unknownKey"] == ["X"]
        assert world.known().connections == 1


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        (refuse(ErrorCode.SECURITY_ERROR, "no"), "refused"),
        (raw('[3,"{id}",{"currentTime":7}]'), "read as an answer that is invalid"),
        (raw('[3,"{id}",null]'), "read as an answer that is invalid"),
        (raw('[3,"{id}",{"currentTime":"2026-11-22T10:00:00Z","more":null}]'), "used as far as it can be read"),
    ],
    ids=["a CALLERROR", "a wrong type", "no object", "a surplus member"],
)
async def test_a_bad_answer_ends_the_call_and_nothing_else(answer: Any, left: str) -> None:
    async with station_world(boot=BootPolicy("Accepted", 10), station_timeout=1) as world:
        await world.ready()
        world.central.on("Heartbeat", answer, times=1)
        await world.sleep(25)
        assert len(world.sent("Heartbeat")) == 2
        errors = [event.code for event in world.happened(CallErrorReceived)]
        assert errors == (["SecurityError"] if left == "refused" else [])


@pytest.mark.parametrize("strict", [True, False])
async def test_an_answer_with_surplus_members_is_used_unless_compliance_is_strict(strict: bool) -> None:
    answer = {"idTagInfo": {"status": "Accepted", "expiryDate": None}, "transactionId": 77, "more": 1}
    async with station_world(
        template={"ocppStrictCompliance": strict}, keys={"TransactionMessageAttempts": 1}, faults=True
    ) as world:
        await world.ready()
        world.central.on("StartTransaction", answer)
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.settle()
        transaction = world.connector().transaction
        assert transaction is not None
        assert transaction.wire_id == (-1 if strict else 77)


async def test_without_schema_validation_what_can_be_read_is_processed() -> None:
    async with station_world(template={"payloadSchemaValidation": False}) as world:
        await world.ready()
        assert await world.status_of("ClearCache", surplus=1) == "Accepted"
        assert await world.status_of("ChangeConfiguration", key="HeartbeatInterval", value="9", more=None) == "Accepted"
        assert await world.refused("Reset", type="Medium") == "TypeConstraintViolation"
        assert await world.refused("ChangeConfiguration", key=3) == "TypeConstraintViolation"


async def test_a_message_id_is_never_used_twice() -> None:
    async with station_world(boot=BootPolicy("Accepted", 5), stations=2, template={"resetTime": 1}) as world:
        await world.ready()
        await world.sleep(60)
        assert await world.status_of("Reset", type="Hard") == "Accepted"
        await world.sleep(60)
        ids = [call.message_id for call in world.central.calls]
        assert len(set(ids)) == len(ids) > 40
        assert max(map(len, ids)) <= 36


async def test_what_commandssupport_switches_off_is_neither_sent_nor_carried_out() -> None:
    support = {"incomingCommands": {"GetConfiguration": True, "Reset": False}, "outgoingCommands": {"Heartbeat": False}}
    support["outgoingCommands"].update({"BootNotification": True, "StatusNotification": True})
    async with station_world(template={"commandsSupport": support}, boot=BootPolicy("Accepted", 10)) as world:
        await world.ready()
        assert await world.refused("Reset", type="Soft") == "NotSupported"
        assert await world.refused("ClearCache") == "NotSupported"
        assert (await world.call("GetConfiguration", key=["Foo"]))["unknownKey"] == ["Foo"]
        await world.sleep(50)
        assert world.sent("Heartbeat") == []


async def test_an_empty_section_of_commandssupport_means_all_commands() -> None:
    support: dict[str, Any] = {"incomingCommands": {}, "outgoingCommands": {}}
    async with station_world(template={"commandsSupport": support}, boot=BootPolicy("Accepted", 10)) as world:
        await world.ready()
        assert await world.status_of("ClearCache") == "Accepted"
        await world.sleep(11)
        assert len(world.sent("Heartbeat")) == 1


#: Actions of profiles that the station may not have, with a payload that is valid.
OTHER_PROFILES: dict[str, dict[str, Any]] = {
    "SendLocalList": {"listVersion": 1, "updateType": "Full"},
    "GetLocalListVersion": {},
    "ReserveNow": {"connectorId": 1, "expiryDate": "2030-01-01T00:00:00Z", "idTag": "A", "reservationId": 1},
    "CancelReservation": {"reservationId": 1},
    "SetChargingProfile": {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}]},
        },
    },
    "ClearChargingProfile": {},
    "GetCompositeSchedule": {"connectorId": 1, "duration": 60},
    "TriggerMessage": {"requestedMessage": "Heartbeat"},
    "GetDiagnostics": {"location": "ftp://localhost/"},
    "UpdateFirmware": {"location": "ftp://localhost/x", "retrieveDate": "2030-01-01T00:00:00Z"},
}


async def test_profiles_that_the_station_does_not_offer_are_answered_as_the_standard_asks() -> None:
    async with station_world(keys={"SupportedFeatureProfiles": "Core"}) as world:
        await world.ready()
        answers: dict[str, Any] = {}
        for action, payload in OTHER_PROFILES.items():
            try:
                answers[action] = await world.call(action, **payload)
            except Exception as error:
                answers[action] = str(error).partition(":")[0]
        assert answers == {
            "SendLocalList": {"status": "NotSupported"},
            "GetLocalListVersion": {"listVersion": -1},
            "ReserveNow": {"status": "Rejected"},
            "CancelReservation": {"status": "Rejected"},
            **dict.fromkeys(
                (
                    "SetChargingProfile",
                    "ClearChargingProfile",
                    "GetCompositeSchedule",
                    "TriggerMessage",
                    "GetDiagnostics",
                    "UpdateFirmware",
                ),
                "NotSupported",
            ),
        }


async def test_a_station_that_may_not_boot_stays_silent_and_alive() -> None:
    support = {"outgoingCommands": {"Heartbeat": True}}
    async with station_world(template={"commandsSupport": support}) as world:
        await world.sleep(200)
        assert world.calls() == []
        assert world.known().connections == 1


async def test_requests_that_come_at_once_are_decided_one_after_the_other() -> None:
    """A central system that does not wait for answers is answered as if it had."""
    async with station_world(faults=True) as world:  # it has not asked by its own count
        await world.ready()
        answers: list[list[Any]] = []
        recorded = world.central._on_frame

        def listen(station: Any, direction: Any, text: Any) -> None:
            if direction == "in" and (frame := json.loads(text))[0] == 3:
                answers.append(frame)
            if recorded is not None:
                recorded(station, direction, text)

        world.central._on_frame = listen

        async def at_once(*calls: tuple[str, dict[str, Any]]) -> list[Any]:
            answers.clear()
            for number, (action, payload) in enumerate(calls):
                world.known().send_raw(json.dumps([2, f"{action}{number}", action, payload]))
            await world.settle()
            return [answer[2]["status"] for answer in answers]

        place = {"connectorId": 1, "expiryDate": "2026-11-23T00:00:00Z"}
        assert await at_once(
            ("ReserveNow", {**place, "idTag": "A", "reservationId": 1}),
            ("ReserveNow", {**place, "idTag": "B", "reservationId": 2}),
            ("RemoteStartTransaction", {"connectorId": 1, "idTag": "B"}),
            ("CancelReservation", {"reservationId": 1}),
            ("CancelReservation", {"reservationId": 1}),
        ) == ["Accepted", "Occupied", "Rejected", "Accepted", "Rejected"]
        assert world.statuses(1)[-1] == "Available"
        assert await at_once(("Reset", {"type": "Soft"}), ("Reset", {"type": "Hard"})) == ["Accepted", "Rejected"]
        await world.wait_for("BootNotification", 2)
        await world.settle()
        assert await at_once(("Reset", {"type": "Hard"})) == ["Accepted"]
