"""What the central system may ask of the Core profile: the decision tables row by row (OCPP 1.6 §5)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.csms.policy import TagEntry, TagTable
from tests.fakes.script import withhold
from tests.station.harness import World, station_world

# -- RemoteStartTransaction --------------------------------------------------------------------------------------------


async def start_status(world: World, connector: int | None = None, tag: str = "A") -> str:
    where: dict[str, Any] = {} if connector is None else {"connectorId": connector}
    return await world.status_of("RemoteStartTransaction", idTag=tag, **where)


async def test_remote_starts_that_cannot_be_are_rejected_and_disturb_nothing() -> None:
    template = {"Connectors": {"0": {}, "1": {}, "2": {"bootStatus": "Faulted"}}}
    async with station_world(template=template) as world:
        await world.ready()
        transaction = await world.charge(1)
        spoken = len(world.calls())
        for connector in (0, 1, 2, 3, 99, None):
            assert await start_status(world, connector) == "Rejected"
        await world.sleep(5)
        assert len(world.calls()) == spoken
        assert transaction.is_open


async def test_a_promised_connector_is_not_promised_again() -> None:
    async with station_world(keys={"AuthorizeRemoteTxRequests": "true"}) as world:
        await world.ready()
        held = withhold()
        world.central.on("Authorize", held)
        assert await start_status(world, 1, "A") == "Accepted"
        assert await start_status(world, 1, "B") == "Rejected"
        assert await start_status(world) == "Accepted"  # the other one
        assert await start_status(world) == "Rejected"
        held.release()
        world.central.off("Authorize")
        await world.sleep(1)
        assert sorted((t.connector_id, t.id_tag) for t in world.transactions()) == [(1, "A"), (2, "A")]


async def test_a_connector_that_waits_for_somebodys_vehicle_is_not_promised_again() -> None:
    async with station_world(template={"automaticVehicle": False}) as world:
        await world.ready()
        assert await start_status(world, 1, "A") == "Accepted"
        await world.settle()
        assert await start_status(world, 1, "B") == "Rejected"
        world.station.presence.plug_in(1)
        await world.wait_for("StartTransaction")
        assert [start["idTag"] for start in world.sent("StartTransaction")] == ["A"]


async def test_a_remote_start_without_a_connector_takes_the_one_with_a_vehicle() -> None:
    template = {"Connectors": {"0": {}, "1": {}, "2": {"bootStatus": "Preparing"}}}
    async with station_world(template=template) as world:
        await world.ready()
        assert await start_status(world) == "Accepted"
        await world.settle()
        assert await start_status(world) == "Accepted"
        await world.settle()
        assert [transaction.connector_id for transaction in world.transactions()] == [2, 1]


async def test_the_answer_comes_before_what_it_sets_off() -> None:
    async with station_world() as world:
        await world.ready()
        transaction = await world.charge()
        await world.stop_charging(transaction)
        frames = [
            (f.direction, getattr(f.frame, "action", "answer")) for f in world.central.frames if f.station_id == "CS-1"
        ]
        for asked, first in (
            ("RemoteStartTransaction", "StatusNotification"),
            ("RemoteStopTransaction", "StopTransaction"),
        ):
            at = frames.index(("out", asked))
            assert frames[at + 1 : at + 3] == [("in", "answer"), ("in", first)]


@pytest.mark.parametrize(
    ("keys", "must", "asks"),
    [
        ({"AuthorizeRemoteTxRequests": "false"}, True, False),
        ({"AuthorizeRemoteTxRequests": "True"}, True, True),
        ({"AuthorizeRemoteTxRequests": "true"}, False, False),
        ({"AuthorizeRemoteTxRequests": "true", "LocalAuthListEnabled": "true"}, True, True),
        (
            {"AuthorizeRemoteTxRequests": "true", "LocalAuthListEnabled": "true", "LocalPreAuthorize": "true"},
            True,
            False,
        ),
    ],
)
async def test_whether_a_remote_start_asks_for_authorisation(keys: dict[str, str], must: bool, asks: bool) -> None:
    async with station_world(keys=keys, template={"mustAuthorizeAtRemoteStart": must}, tags=["KNOWN"]) as world:
        await world.ready()
        assert await start_status(world, 1, "known") == "Accepted"
        await world.settle()
        assert world.actions()[4:] == [
            "StatusNotification",
            *(["Authorize"] if asks else []),
            "StartTransaction",
            "StatusNotification",
        ]


async def test_a_remote_start_that_is_not_authorised_leaves_no_trace() -> None:
    tags = TagTable({"B": TagEntry("Blocked")})
    async with station_world(keys={"AuthorizeRemoteTxRequests": "true"}, central_tags=tags) as world:
        await world.ready()
        assert await start_status(world, 1, "B") == "Accepted"
        await world.settle()
        assert world.statuses(1) == ["Available", "Preparing", "Available"]
        assert world.sent("StartTransaction") == []
        assert await start_status(world, 1, "A") == "Accepted"


# -- RemoteStopTransaction, UnlockConnector ----------------------------------------------------------------------------


async def test_remote_stops_of_unknown_transactions_are_rejected() -> None:
    async with station_world() as world:
        await world.ready()
        assert await world.status_of("RemoteStopTransaction", transactionId=1) == "Rejected"
        transaction = await world.charge()
        assert await world.status_of("RemoteStopTransaction", transactionId=99) == "Rejected"
        await world.stop_charging(transaction)
        assert await world.status_of("RemoteStopTransaction", transactionId=1) == "Rejected"
        assert len(world.sent("StopTransaction")) == 1


async def test_unlocking() -> None:
    async with station_world() as world:
        await world.ready()
        assert await world.status_of("UnlockConnector", connectorId=0) == "NotSupported"
        assert await world.status_of("UnlockConnector", connectorId=3) == "NotSupported"
        assert await world.status_of("UnlockConnector", connectorId=2) == "Unlocked"
        transaction = await world.charge(1)
        assert await world.status_of("UnlockConnector", connectorId=2) == "Unlocked"
        await world.settle()
        assert transaction.is_open
        assert await world.status_of("UnlockConnector", connectorId=1) == "Unlocked"
        await world.settle()
        assert transaction.reason == "UnlockCommand"
        assert world.statuses(1)[-2:] == ["Finishing", "Available"]
        assert world.statuses(2) == ["Available"]


async def test_unlocking_an_inoperative_connector_does_not_make_it_available() -> None:
    async with station_world() as world:
        await world.ready()
        assert await availability(world, 1, "Inoperative") == "Accepted"
        assert await world.status_of("UnlockConnector", connectorId=1) == "Unlocked"
        await world.settle()
        assert world.statuses(1) == ["Available", "Unavailable"]


# -- ChangeAvailability ------------------------------------------------------------------------------------------------


async def availability(world: World, connector: int, kind: str) -> str:
    return await world.status_of("ChangeAvailability", connectorId=connector, type=kind)


async def test_the_availability_of_an_idle_station() -> None:
    async with station_world() as world:
        await world.ready()
        assert await availability(world, 1, "Operative") == "Accepted"
        assert await availability(world, 9, "Inoperative") == "Rejected"
        assert await availability(world, -1, "Inoperative") == "Rejected"
        await world.settle()
        assert len(world.statuses()) == 3
        assert await availability(world, 0, "Inoperative") == "Accepted"
        await world.settle()
        assert world.statuses()[3:] == [(0, "Unavailable"), (1, "Unavailable"), (2, "Unavailable")]
        assert await availability(world, 0, "Inoperative") == "Accepted"
        assert await start_status(world, 1) == "Rejected"
        assert await availability(world, 0, "Operative") == "Accepted"
        await world.settle()
        assert world.statuses()[6:] == [(0, "Available"), (1, "Available"), (2, "Available")]
        assert await start_status(world, 1) == "Accepted"


async def test_the_station_and_its_connectors_are_made_inoperative_apart() -> None:
    async with station_world() as world:
        await world.ready()
        assert await availability(world, 2, "Inoperative") == "Accepted"
        assert await availability(world, 0, "Inoperative") == "Accepted"
        await world.settle()
        assert world.statuses()[3:] == [(2, "Unavailable"), (0, "Unavailable"), (1, "Unavailable")]
        assert await availability(world, 0, "Operative") == "Accepted"
        await world.settle()
        assert world.statuses()[6:] == [(0, "Available"), (1, "Available")]  # 2 stays as it was told
        assert await start_status(world, 2) == "Rejected"
        assert await availability(world, 2, "Operative") == "Accepted"
        await world.settle()
        assert world.statuses()[8:] == [(2, "Available")]
        assert await start_status(world, 2) == "Accepted"


async def test_a_connector_of_an_inoperative_station_is_made_operative_for_later() -> None:
    async with station_world() as world:
        await world.ready()
        assert await availability(world, 2, "Inoperative") == "Accepted"
        assert await availability(world, 0, "Inoperative") == "Accepted"
        assert await availability(world, 2, "Operative") == "Accepted"
        assert await availability(world, 1, "Inoperative") == "Accepted"
        await world.settle()
        assert world.statuses()[3:] == [(2, "Unavailable"), (0, "Unavailable"), (1, "Unavailable")]
        assert await start_status(world, 2) == "Rejected"
        assert await world.status_of("Reset", type="Hard") == "Accepted"
        await world.wait_for("StatusNotification", 9)
        await world.settle()
        assert world.statuses()[6:] == [(0, "Unavailable"), (1, "Unavailable"), (2, "Unavailable")]
        assert await availability(world, 0, "Operative") == "Accepted"
        await world.settle()
        assert world.statuses()[9:] == [(0, "Available"), (2, "Available")]


async def test_a_vehicle_that_came_meanwhile_is_seen_when_the_connector_is_operative_again() -> None:
    async with station_world(template={"automaticVehicle": False}, keys={"ConnectionTimeOut": 20}) as world:
        await world.ready()
        assert await availability(world, 1, "Inoperative") == "Accepted"
        world.station.presence.plug_in(1)
        assert await availability(world, 1, "Operative") == "Accepted"
        await world.settle()
        assert world.statuses(1) == ["Available", "Unavailable", "Preparing"]
        await world.sleep(25)  # nobody presents a tag
        assert world.statuses(1)[-1] == "Finishing"


async def test_a_busy_connector_follows_when_it_is_free() -> None:
    async with station_world() as world:
        await world.ready()
        transaction = await world.charge(1)
        assert await availability(world, 1, "Inoperative") == "Scheduled"
        await world.sleep(30)
        assert world.statuses(1)[-1] == "Charging"
        await world.stop_charging(transaction)
        assert world.statuses(1)[-2:] == ["Finishing", "Unavailable"]
        assert await start_status(world, 1) == "Rejected"
        assert await availability(world, 1, "Operative") == "Accepted"
        await world.settle()
        assert world.statuses(1)[-1] == "Available"


async def test_operative_cancels_what_was_scheduled() -> None:
    async with station_world() as world:
        await world.ready()
        transaction = await world.charge(1)
        assert await availability(world, 1, "Inoperative") == "Scheduled"
        assert await availability(world, 1, "Operative") == "Accepted"
        await world.stop_charging(transaction)
        assert world.statuses(1)[-2:] == ["Finishing", "Available"]


async def test_the_whole_station_with_a_busy_connector() -> None:
    async with station_world() as world:
        await world.ready()
        transaction = await world.charge(1)
        told = len(world.statuses())
        assert await availability(world, 0, "Inoperative") == "Scheduled"
        await world.settle()
        assert world.statuses()[told:] == [(0, "Unavailable"), (2, "Unavailable")]
        await world.stop_charging(transaction)
        assert world.statuses()[told + 2 :] == [(1, "Finishing"), (1, "Unavailable")]


async def test_a_connector_that_is_about_to_be_used_can_be_made_inoperative() -> None:
    async with station_world(keys={"AuthorizeRemoteTxRequests": "true"}) as world:
        await world.ready()
        held = withhold()
        world.central.on("Authorize", held, times=1)
        assert await start_status(world, 1) == "Accepted"
        await world.wait_for("Authorize")
        assert await availability(world, 1, "Inoperative") == "Accepted"
        held.release()
        await world.settle()
        assert world.statuses(1) == ["Available", "Preparing", "Available", "Unavailable"]
        assert world.transactions() == []


async def test_availability_survives_a_reset() -> None:
    async with station_world() as world:
        await world.ready()
        assert await availability(world, 2, "Inoperative") == "Accepted"
        assert await world.status_of("Reset", type="Hard") == "Accepted"
        await world.wait_for("StatusNotification", 7)
        await world.settle()
        assert world.statuses()[4:] == [(0, "Available"), (1, "Available"), (2, "Unavailable")]
        assert await availability(world, 2, "Operative") == "Accepted"
        await world.settle()
        assert world.statuses()[-1] == (2, "Available")


# -- configuration -----------------------------------------------------------------------------------------------------


async def test_changing_the_configuration() -> None:
    keys = {
        "Vendor": {"value": "x", "reboot": True},
        "Fixed": {"value": "1", "readonly": True},
        "Hidden": {"value": "1", "visible": False},
        "MeterValuesSampledData": "Voltage",
    }
    async with station_world(keys=keys) as world:
        await world.ready()
        assert await world.key("Testing", "true") == "NotSupported"
        assert await world.key("NumberOfConnectors", 3) == "Rejected"
        assert await world.key("Fixed", 2) == "Rejected"
        assert await world.key("MeterValueSampleInterval", -1) == "Rejected"
        assert await world.key("MeterValueSampleInterval", "soon") == "Rejected"
        assert await world.key("MeterValuesSampledData", "Voltage,Nonsense") == "Rejected"
        assert await world.key("LocalPreAuthorize", "perhaps") == "Rejected"
        assert await world.key("vendor", "y") == "RebootRequired"
        assert await world.key("LOCALPREAUTHORIZE", "TRUE") == "Accepted"
        assert await world.key("metervaluesampleinterval", "7") == "Accepted"
        answer = await world.call(
            "GetConfiguration",
            key=["Vendor", "localpreauthorize", "MeterValueSampleInterval", "MeterValuesSampledData", "Foo", "hidden"],
        )
        assert [(key["key"], key["value"], key["readonly"]) for key in answer["configurationKey"]] == [
            ("Vendor", "y", False),
            ("LocalPreAuthorize", "true", False),
            ("MeterValueSampleInterval", "7", False),
            ("MeterValuesSampledData", "Voltage", False),
        ]
        assert answer["unknownKey"] == ["Foo", "hidden"]


@pytest.mark.parametrize("asked", [{}, {"key": []}])
async def test_all_readable_keys_come_without_asking_for_names(asked: dict[str, Any]) -> None:
    async with station_world(keys={"Hidden": {"value": "1", "visible": False}}) as world:
        await world.ready()
        answer = await world.call("GetConfiguration", **asked)
        keys = {key["key"]: key for key in answer["configurationKey"]}
        assert not answer.get("unknownKey")
        assert "Hidden" not in keys
        assert all(key["readonly"] in (True, False) for key in keys.values())
        required = {
            "AuthorizeRemoteTxRequests", "ClockAlignedDataInterval", "ConnectionTimeOut", "ConnectorPhaseRotation",
            "GetConfigurationMaxKeys", "HeartbeatInterval", "LocalAuthorizeOffline", "LocalPreAuthorize",
            "MeterValuesAlignedData", "MeterValuesSampledData", "MeterValueSampleInterval", "NumberOfConnectors",
            "ResetRetries", "StopTransactionOnInvalidId", "StopTxnAlignedData", "StopTxnSampledData",
            "SupportedFeatureProfiles", "TransactionMessageAttempts", "TransactionMessageRetryInterval",
            "UnlockConnectorOnEVSideDisconnect",
        }  # fmt: skip
        assert required <= set(keys)
        read_only = {"GetConfigurationMaxKeys", "NumberOfConnectors", "SupportedFeatureProfiles"}
        assert {name for name in required if keys[name]["readonly"]} == read_only


async def test_more_keys_than_the_station_answers_are_refused() -> None:
    async with station_world(keys={"GetConfigurationMaxKeys": {"value": "2", "readonly": True}}) as world:
        await world.ready()
        assert await world.refused("GetConfiguration", key=["A", "B", "C"]) == "OccurenceConstraintViolation"
        assert (await world.call("GetConfiguration", key=["A", "B"]))["unknownKey"] == ["A", "B"]


async def test_triggers() -> None:
    async with station_world() as world:
        await world.ready()
        assert await world.trigger("StatusNotification") == "Accepted"
        await world.settle()
        assert world.statuses()[3:] == [(0, "Available"), (1, "Available"), (2, "Available")]
        assert await world.trigger("StatusNotification", 0) == "Accepted"
        assert await world.trigger("StatusNotification", 3) == "Rejected"
        assert await world.trigger("MeterValues", 3) == "Rejected"
        transaction = await world.charge(2)
        assert await world.trigger("MeterValues") == "Accepted"
        await world.settle()
        values = world.sent("MeterValues")
        assert [(value["connectorId"], value.get("transactionId")) for value in values] == [
            (1, None),
            (2, transaction.transaction_id),
        ]
        contexts = {sample["context"] for value in values for sample in value["meterValue"][0]["sampledValue"]}
        assert contexts == {"Trigger"}
        assert await world.trigger("MeterValues", 0) == "Accepted"
        await world.settle()
        (main,) = world.sent("MeterValues")[2:]
        assert (main["connectorId"], main.get("transactionId")) == (0, None)
        assert {sample["location"] for sample in main["meterValue"][0]["sampledValue"]} == {"Inlet"}
