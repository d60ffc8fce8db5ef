"""What the procedures do at stations, and what they answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from simulator.control import fanout
from tests.fakes.script import refuse, withhold
from tests.ui.house import PATIENCE, House, ui_house
from ui_protocol.procedures import PROCEDURES
from ui_protocol.samples import SAMPLES


def reasons(answer: dict[str, Any]) -> list[str | None]:
    return [failed.get("errorMessage") for failed in answer["responsesFailed"]]


# -- which stations ----------------------------------------------------------------------------------------------------


async def test_without_hash_ids_all_stations_are_meant() -> None:
    async with ui_house() as house:
        await house.ready()
        assert await house.call("heartbeat") == {"status": "success", "hashIdsSucceeded": house.hash_ids}
        assert await house.call("heartbeat", {"hashIds": None}) == {
            "status": "success",
            "hashIdsSucceeded": house.hash_ids,
        }


async def test_an_empty_list_of_stations_stops_nobody() -> None:
    async with ui_house() as house:
        await house.ready()
        answer = await house.call("stopChargingStation", {"hashIds": []})
        assert answer["status"] == "failure"
        assert "empty list" in answer["errorMessage"]
        assert all(station.started for station in house.stations)


@pytest.mark.parametrize("member", ["hashId", "hashids", "HashIds", "hash_ids"])
async def test_a_misspelt_hash_ids_stops_nobody(member: str) -> None:
    async with ui_house() as house:
        await house.ready()
        answer = await house.call("stopChargingStation", {member: house.hash_ids[:1]})
        assert answer["status"] == "failure"
        assert "hashIds" in answer["errorMessage"]
        assert all(station.started for station in house.stations)


async def test_unknown_stations_fail_and_the_known_ones_act_once() -> None:
    async with ui_house() as house:
        await house.ready()
        known, other = house.hash_ids
        before = len(house.central.calls_from("CS-SCHNEIDER-00001", "Heartbeat"))
        answer = await house.call("heartbeat", {"hashIds": [known, "f" * 96, known]})
        assert answer["status"] == "failure"
        assert answer["hashIdsSucceeded"] == [known]
        assert answer["hashIdsFailed"] == ["f" * 96]
        assert reasons(answer) == ["no station has this hashId"]
        assert len(house.central.calls_from("CS-SCHNEIDER-00001", "Heartbeat")) == before + 1
        assert not house.central.calls_from("CS-SCHNEIDER-00002", "Heartbeat"), other


async def test_a_list_that_is_none_and_a_payload_that_is_no_object_are_failures() -> None:
    async with ui_house() as house:
        await house.ready()
        answer = await house.call("heartbeat", {"hashIds": house.hash_ids[0]})
        assert answer["status"] == "failure"
        assert "hashIds" in answer["errorMessage"]
        payloads: list[Any] = [[], "x", 7, True]
        for payload in payloads:
            answer = await house.call("heartbeat", payload)
            assert answer["status"] == "failure"
            assert "not an object" in answer["errorMessage"]


async def test_a_fleet_of_no_stations_answers() -> None:
    async with ui_house() as house:
        await house.ready()
        house.fleet._members.clear()
        answer = await house.call("heartbeat")
        assert answer["status"] == "failure"
        assert answer["errorMessage"] == "there is no station"
        assert (await house.call("listChargingStations"))["chargingStations"] == []


async def test_an_unknown_procedure_is_answered_with_a_guess() -> None:
    async with ui_house() as house:
        answer = await house.call("startChargingStations", {"supervisionPassword": "geheim"})
        assert answer["status"] == "failure"
        assert "did you mean startChargingStation?" in answer["errorMessage"]
        assert answer["requestPayload"] == {}


async def test_capitalised_names_are_accepted() -> None:
    async with ui_house() as house:
        await house.ready()
        assert (await house.call("Heartbeat"))["status"] == "success"
        answer = await house.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Faulted"})
        assert answer["status"] == "success"


async def test_a_missing_or_wrong_member_is_named() -> None:
    async with ui_house() as house:
        await house.ready()
        assert "connectorId" in (await house.call("startTransaction", {}))["errorMessage"]
        assert "connectorId" in (await house.call("startTransaction", {"connectorId": "1"}))["errorMessage"]
        answer = await house.call("statusNotification", {"connectorId": 1, "status": "Sleeping"})
        assert "Sleeping" in answer["errorMessage"]


async def test_every_procedure_has_a_handler_and_answers_its_sample() -> None:
    async with ui_house() as house:
        await house.ready()
        for name in PROCEDURES:
            payload = SAMPLES[name]
            answer = await house.call(
                name, {**payload, **({"hashIds": house.hash_ids} if "hashIds" in payload else {})}
            )
            assert answer["status"] in {"success", "failure"}, name
            assert "internal error" not in str(answer), name


# -- verdicts ----------------------------------------------------------------------------------------------------------


async def test_the_verdict_is_the_central_systems() -> None:
    async with ui_house() as house:
        await house.ready()
        house.central.on("Authorize", {"idTagInfo": {"status": "Blocked"}}, station="CS-SCHNEIDER-00002")
        good, bad = house.hash_ids
        answer = await house.call("authorize", {"idTag": "CARD"})
        assert answer["status"] == "failure"
        assert answer["hashIdsSucceeded"] == [good]
        assert answer["hashIdsFailed"] == [bad]
        assert answer["responsesFailed"] == [
            {
                "hashId": bad,
                "status": "failure",
                "command": "authorize",
                "requestPayload": {"idTag": "CARD"},
                "commandResponse": {"idTagInfo": {"status": "Blocked"}},
            }
        ]


async def test_no_answer_and_a_refusal_are_failures_with_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ui_house() as house:
        await house.ready()
        house.central.on("Heartbeat", refuse("InternalError", "on fire"), station="CS-SCHNEIDER-00001")
        house.central.on("Heartbeat", withhold(), station="CS-SCHNEIDER-00002")
        house.stations[1].keys.set("MessageTimeout", "1")
        answer = await house.call("heartbeat")
        assert answer["hashIdsSucceeded"] == []
        assert reasons(answer) == ["InternalError: on fire", "no response from the central system within 1 s"]


async def test_a_station_that_never_finishes_is_a_failure_in_time() -> None:
    async with ui_house() as house:
        await house.ready()

        async def hang(_: object) -> None:
            await trio.sleep_forever()

        results = await fanout.ask_stations(house.stations, hang, within=0.05)
        assert [str(failure) for failure in results.values()] == ["no answer within 0.05 s"] * 2


async def test_a_station_without_connection_fails_at_once() -> None:
    async with ui_house() as house:
        await house.ready()
        assert (await house.call("closeConnection"))["status"] == "success"
        for name in ("heartbeat", "authorize", "bootNotification", "dataTransfer", "startTransaction"):
            payload = {"connectorId": 1, "vendorId": "x"}
            with trio.fail_after(1):
                answer = await house.call(name, payload)
            assert reasons(answer) == ["not connected to the central system"] * 2, name
        await house.call("stopChargingStation")
        assert reasons(await house.call("heartbeat")) == ["the station is not started"] * 2


async def test_ocpp_2_procedures_say_that_nobody_speaks_it() -> None:
    async with ui_house() as house:
        for name, procedure in PROCEDURES.items():
            if procedure.group == "OCPP 2.x":
                answer = await house.call(name)
                assert answer["errorMessage"] == "no station speaks OCPP 2.x"


# -- life --------------------------------------------------------------------------------------------------------------


async def test_start_and_stop_answer_after_the_fact() -> None:
    async with ui_house() as house:
        await house.ready()
        assert (await house.call("stopChargingStation"))["status"] == "success"
        assert not any(station.started for station in house.stations)
        assert not any(house.central.station(f"CS-SCHNEIDER-0000{n}").connected for n in (1, 2))
        assert (await house.call("stopChargingStation"))["status"] == "success"
        assert (await house.call("startChargingStation"))["status"] == "success"
        assert all(station.started for station in house.stations)
        assert (await house.call("startChargingStation"))["status"] == "success"


async def test_the_simulator_stops_in_order_and_starts_again() -> None:
    async with ui_house() as house:
        await house.ready()
        await house.call("startTransaction", {"connectorId": 1, "hashIds": house.hash_ids[:1]})
        assert await house.call("stopSimulator") == {"status": "success"}
        stop = house.central.calls_from("CS-SCHNEIDER-00001", "StopTransaction")
        assert [call.payload["transactionId"] for call in stop] == [1]
        assert not any(station.started for station in house.stations)
        assert (await house.call("simulatorState"))["state"]["started"] is False
        listed = (await house.call("listChargingStations"))["chargingStations"]
        assert [station["started"] for station in listed] == [False, False]
        assert await house.call("startSimulator") == {"status": "success"}
        await house.central.wait_for("CS-SCHNEIDER-00001", "BootNotification", 2, timeout=PATIENCE)
        assert (await house.call("simulatorState"))["state"]["started"] is True


async def test_opening_waits_for_the_connection_or_says_why_there_is_none() -> None:
    async with ui_house() as house:
        await house.ready()
        assert (await house.call("closeConnection"))["status"] == "success"
        assert [station.line.state for station in house.stations] == [3, 3]
        assert (await house.call("closeConnection"))["status"] == "success"
        house.central.network.refuse()
        answer = await house.call("openConnection")
        assert answer["status"] == "failure"
        assert all(reason is not None and reason.startswith("cannot connect: ") for reason in reasons(answer))
        await house.call("closeConnection")
        house.central.network.restore()
        assert (await house.call("openConnection"))["status"] == "success"
        assert [station.line.state for station in house.stations] == [1, 1]
        assert (await house.call("openConnection"))["status"] == "success"


# -- transactions ------------------------------------------------------------------------------------------------------


async def test_a_transaction_starts_and_stops() -> None:
    async with ui_house() as house:
        await house.ready()
        one = house.hash_ids[:1]
        answer = await house.call("startTransaction", {"hashIds": one, "connectorId": 1, "idTag": "CARD"})
        assert answer == {"status": "success", "hashIdsSucceeded": one}
        connector = (await house.call("listChargingStations", {"hashIds": one}))["chargingStations"][0]["connectors"][1]
        assert connector["transactionId"] == 1
        assert connector["connectorStatus"]["transactionIdTag"] == "CARD"
        busy = await house.call("startTransaction", {"hashIds": one, "connectorId": 1})
        assert reasons(busy) == ["connector 1 has a transaction"]
        ghost = await house.call("startTransaction", {"hashIds": one, "connectorId": 9})
        assert reasons(ghost) == ["connector 9 does not exist; there are 1, 2"]
        assert len(house.central.calls_from("CS-SCHNEIDER-00001", "StartTransaction")) == 1
        # Without hashIds the station that runs it is meant, not all the others too.
        assert await house.call("stopTransaction", {"transactionId": 1}) == {
            "status": "success",
            "hashIdsSucceeded": one,
        }
        gone = await house.call("stopTransaction", {"transactionId": 1})
        assert gone["errorMessage"] == "no station runs transaction 1"
        wrong = await house.call("stopTransaction", {"transactionId": 1, "hashIds": one})
        assert reasons(wrong) == ["the station does not run transaction 1"]


async def test_a_refused_transaction_is_a_failure() -> None:
    async with ui_house() as house:
        await house.ready()
        house.central.on("StartTransaction", {"transactionId": 7, "idTagInfo": {"status": "Blocked"}})
        answer = await house.call("startTransaction", {"connectorId": 1, "hashIds": house.hash_ids[:1]})
        assert "did not accept the tag" in (reasons(answer)[0] or "")


async def test_the_generator_starts_and_stops_on_the_connectors_named() -> None:
    async with ui_house() as house:
        await house.ready()
        one = house.hash_ids[:1]
        start = {"hashIds": one, "connectorIds": [2]}
        assert (await house.call("startAutomaticTransactionGenerator", start))["status"] == "success"
        await wait_all_tasks_blocked(0.01)
        shown = (await house.call("listChargingStations", {"hashIds": one}))["chargingStations"][0]
        statuses = shown["automaticTransactionGenerator"]["automaticTransactionGeneratorStatuses"]
        assert [(each["connectorId"], each["start"], each["status"]["start"]) for each in statuses] == [
            (1, False, False),
            (2, True, True),
        ]
        wrong = await house.call("startAutomaticTransactionGenerator", {"hashIds": one, "connectorIds": [5]})
        assert reasons(wrong) == ["Connector 5 does not exist"]
        assert (await house.call("stopAutomaticTransactionGenerator", {"connectorIds": []}))["status"] == "success"
        assert not house.stations[0].generator.running


# -- the other messages ------------------------------------------------------------------------------------------------


async def test_messages_reach_the_central_system_as_they_were_asked_for() -> None:
    async with ui_house() as house:
        await house.ready()
        one = {"hashIds": house.hash_ids[:1]}
        asked: dict[str, dict[str, Any]] = {
            "dataTransfer": {"vendorId": "com.example", "messageId": "hello", "data": "world"},
            "diagnosticsStatusNotification": {"status": "Uploading"},
            "firmwareStatusNotification": {"status": "Downloading"},
        }
        house.central.on("DataTransfer", {"status": "Accepted"})
        for name, payload in asked.items():
            assert (await house.call(name, {**one, **payload}))["status"] == "success", name
            action = name[0].upper() + name[1:]
            assert house.central.calls_from("CS-SCHNEIDER-00001", action)[-1].payload == payload
        assert (await house.call("meterValues", {**one, "connectorId": 1}))["status"] == "success"
        sent = house.central.calls_from("CS-SCHNEIDER-00001", "MeterValues")[-1].payload
        assert sent["connectorId"] == 1
        assert sent["meterValue"][0]["sampledValue"]
        assert (await house.call("bootNotification", {**one, "firmwareVersion": "9.9"}))["status"] == "success"
        boot = house.central.calls_from("CS-SCHNEIDER-00001", "BootNotification")[-1].payload
        assert boot["firmwareVersion"] == "9.9"
        assert boot["chargePointModel"] == "MONOBLOCK"


async def test_configuration_keys_change_by_the_rules_of_ocpp() -> None:
    async with ui_house() as house:
        await house.ready()
        one = {"hashIds": house.hash_ids[:1]}
        change = {**one, "key": "MeterValueSampleInterval", "value": "7"}
        assert (await house.call("changeConfiguration", change))["status"] == "success"
        assert house.stations[0].keys.text("MeterValueSampleInterval") == "7"
        for key, value, status in (
            ("NumberOfConnectors", "9", "Rejected"),
            ("MeterValueSampleInterval", "often", "Rejected"),
            ("NoSuchKey", "1", "NotSupported"),
        ):
            answer = await house.call("changeConfiguration", {**one, "key": key, "value": value})
            assert answer["responsesFailed"][0]["commandResponse"] == {"status": status}


# -- hands on ----------------------------------------------------------------------------------------------------------


async def status_of(house: House, connector_id: int) -> str:
    shown = (await house.call("listChargingStations", {"limit": 1}))["chargingStations"][0]["connectors"]
    status: str = shown[connector_id]["status"]
    return status


async def test_a_driver_charges_by_hand() -> None:
    async with ui_house() as house:
        await house.ready()
        plug = {"hashIds": house.hash_ids[:1], "connectorId": 1}
        refused = await house.call("plugIn", {**plug, "vehicle": "lorry"})
        assert "there is no vehicle lorry" in refused["responsesFailed"][0]["errorMessage"]
        assert "<= 100.0: `socPercent`" in (await house.call("plugIn", {**plug, "socPercent": 101}))["errorMessage"]
        wishes = {"vehicle": "suv-77", "socPercent": 20, "targetSocPercent": 70, "departsAfterSeconds": 9000}
        assert (await house.call("plugIn", {**plug, **wishes}))["status"] == "success"
        assert await status_of(house, 1) == "Preparing"
        assert (await house.call("plugIn", plug))["status"] == "failure"
        assert (await house.call("presentIdTag", {**plug, "idTag": "CARD"}))["status"] == "success"
        await house.central.wait_for("CS-SCHNEIDER-00001", "StartTransaction", timeout=PATIENCE)
        assert (await house.call("unplug", plug))["status"] == "success"
        stop = await house.central.wait_for("CS-SCHNEIDER-00001", "StopTransaction", timeout=PATIENCE)
        assert stop.payload["reason"] == "EVDisconnected"
        assert await status_of(house, 1) == "Available"


async def test_a_fault_comes_and_goes() -> None:
    async with ui_house() as house:
        await house.ready()
        plug = {"hashIds": house.hash_ids[:1], "connectorId": 2}
        assert (await house.call("clearError", plug))["status"] == "failure"
        assert (await house.call("raiseError", {**plug, "errorCode": "GroundFailure"}))["status"] == "success"
        told = await house.central.wait_for(
            "CS-SCHNEIDER-00001",
            "StatusNotification",
            where=lambda payload: payload["status"] == "Faulted",
            timeout=PATIENCE,
        )
        assert told.payload["errorCode"] == "GroundFailure"
        assert (await house.call("raiseError", {**plug, "errorCode": "Fire"}))["status"] == "failure"
        assert (await house.call("clearError", plug))["status"] == "success"
        assert await status_of(house, 2) == "Available"


# -- fleet -------------------------------------------------------------------------------------------------------------


async def test_stations_are_added_with_free_numbers_and_start() -> None:
    async with ui_house() as house:
        await house.ready()
        answer = await house.call("addChargingStations", {"template": "schneider", "numberOfStations": 3})
        assert answer["status"] == "success"
        assert len(answer["hashIdsSucceeded"]) == 3
        names = [station.info.station_id for station in house.stations]
        assert names == [f"CS-SCHNEIDER-0000{n}" for n in range(1, 6)]
        await house.central.wait_for("CS-SCHNEIDER-00005", "BootNotification", timeout=PATIENCE)
        counts = (await house.call("simulatorState"))["state"]["templateStatistics"]["schneider"]
        assert counts == {"configured": 2, "provisioned": 0, "added": 5, "started": 5, "indexes": [1, 2, 3, 4, 5]}


async def test_options_of_added_stations_hold() -> None:
    async with ui_house() as house:
        await house.ready()
        options = {
            "autoStart": False,
            "baseName": "NEW",
            "nameSuffix": "-X",
            "supervisionUrls": "ws://elsewhere.test/",
            "supervisionUser": "me",
            "supervisionPassword": "geheim",
        }
        answer = await house.call("addChargingStations", {"template": "keba.station-template", "options": options})
        shown = (await house.call("listChargingStations", {"hashIds": answer["hashIdsSucceeded"]}))["chargingStations"]
        assert [station["stationInfo"]["chargingStationId"] for station in shown] == ["NEW-00001-X"]
        assert shown[0]["supervisionUrl"] == "ws://elsewhere.test/NEW-00001-X"
        assert shown[0]["started"] is False
        assert "geheim" not in str(shown)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"template": "../../../etc/passwd"}, "no template"),
        ({"template": "nowhere"}, "no template"),
        ({"template": "siemens", "numberOfStations": 2}, "fixedName"),
        ({"template": "keba", "numberOfStations": 0}, "numberOfStations"),
        ({"template": "keba", "options": {"supervisionUrls": "http://x"}}, "no WebSocket URL"),
    ],
)
async def test_stations_that_cannot_be_are_not_added(payload: dict[str, Any], reason: str) -> None:
    async with ui_house() as house:
        answer = await house.call("addChargingStations", payload)
        assert answer["status"] == "failure"
        assert reason in answer["errorMessage"]
        assert len(house.stations) == 2


async def test_templates_are_listed() -> None:
    async with ui_house() as house:
        assert {"keba", "schneider", "abb"} <= set((await house.call("listTemplates"))["templates"])


async def test_messages_of_the_wire_are_listed() -> None:
    async with ui_house() as house:
        await house.ready()
        answer = await house.call("listMessages", {"hashIds": house.hash_ids[:1], "action": "BootNotification"})
        assert [(frame["kind"], frame["direction"]) for frame in answer["messages"]] == [
            ("call", "sent"),
            ("result", "received"),
        ]
        received = await house.call("listMessages", {"action": "BootNotification", "direction": "received"})
        assert [frame["kind"] for frame in received["messages"]] == ["result"] * len(house.hash_ids)
        both = await house.call("listMessages", {"hashIds": house.hash_ids, "limit": 6})
        sequences = [frame["sequence"] for frame in both["messages"]]
        assert sequences == sorted(sequences)
        assert len(sequences) == 6


async def test_profiles_and_reservations_of_the_central_system_are_shown() -> None:
    profile = {
        "chargingProfileId": 4,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "startSchedule": "2026-01-01T00:00:00.000Z",
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0, "numberPhases": 3}],
        },
    }
    async with ui_house() as house:
        await house.ready()
        station = house.central.station("CS-SCHNEIDER-00001")
        with trio.fail_after(PATIENCE):
            await station.call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile})
        shown = (await house.call("listChargingStations", {"limit": 1}))["chargingStations"][0]["connectors"]
        assert shown[1]["chargingProfiles"] == [profile]
        assert shown[2]["chargingProfiles"] == []


# -- secrets -----------------------------------------------------------------------------------------------------------


async def test_no_answer_holds_a_secret() -> None:
    secrets = ("s3cret-one", "s3cret-two", "s3cret-three", "s3cret-four")
    async with ui_house(changes={"supervision_user": "me", "supervision_password": secrets[0]}) as house:
        station = house.stations[0]
        station.keys.set("AuthorizationKey", secrets[1])
        station.info.raw["supervisionPassword"] = secrets[0]
        station.info.raw["wsOptions"] = {
            "auth": f"me:{secrets[2]}",
            "passphrase": secrets[2],
            "headers": {"X": secrets[2]},
        }
        texts = [await house.call("listChargingStations"), await house.call("simulatorState")]
        texts.append(
            await house.call("setSupervisionUrl", {"url": f"ws://me:{secrets[3]}@x", "supervisionPassword": secrets[3]})
        )
        texts.append(await house.call("changeConfiguration", {"key": "AuthorizationKey", "value": secrets[3], "x": 1}))
        texts.append(await house.call("nothing", {"password": secrets[3], "url": f"ws://a:{secrets[3]}@x"}))
        for text in texts:
            for secret in secrets:
                assert secret not in str(text)
        keys = texts[0]["chargingStations"][0]["ocppConfiguration"]["configurationKey"]
        assert {"key": "AuthorizationKey", "readonly": False} in keys


def test_the_messages_are_the_types_that_are_published() -> None:
    for procedure in PROCEDURES.values():
        assert msgspec.convert(SAMPLES[procedure.name], procedure.request)
