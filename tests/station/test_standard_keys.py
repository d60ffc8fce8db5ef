"""The configuration keys of OCPP 1.6 §9 as a central system sees them: which are there, their access, their limits."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.station.presence import EV_SIDE
from tests.station.harness import station_world
from tests.station.test_known_tags import entry, send_list, version
from tests.station.test_presence import BY_HAND, plug, swipe, unplug
from tests.station.test_smart_charging import install, profile

#: Every key that a station has without a word of its template, and whether it can only be read.
ACCESS = {
    "AdditionalRootCertificateCheck": True,
    "AllowOfflineTxForUnknownId": False,
    "AuthorizationCacheEnabled": False,
    "AuthorizeRemoteTxRequests": False,
    "CertificateSignedMaxChainSize": True,
    "CertificateStoreMaxLength": True,
    "ChargeProfileMaxStackLevel": True,
    "ChargingScheduleAllowedChargingRateUnit": True,
    "ChargingScheduleMaxPeriods": True,
    "ClockAlignedDataInterval": False,
    "ConnectionTimeOut": False,
    "ConnectorPhaseRotation": False,
    "ConnectorPhaseRotationMaxLength": True,
    "ConnectorSwitch3to1PhaseSupported": True,
    "CpoName": False,
    "GetConfigurationMaxKeys": True,
    "HeartbeatInterval": False,
    "LocalAuthListEnabled": False,
    "LocalAuthListMaxLength": True,
    "LocalAuthorizeOffline": False,
    "LocalPreAuthorize": False,
    "MaxChargingProfilesInstalled": True,
    "MaxEnergyOnInvalidId": False,
    "MessageTimeout": False,
    "MeterValueSampleInterval": False,
    "MeterValuesAlignedData": False,
    "MeterValuesAlignedDataMaxLength": True,
    "MeterValuesSampledData": False,
    "MeterValuesSampledDataMaxLength": True,
    "MinimumStatusDuration": False,
    "NumberOfConnectors": True,
    "ReserveConnectorZeroSupported": True,
    "ResetRetries": False,
    "SecurityProfile": False,
    "SendLocalListMaxLength": True,
    "StopTransactionMaxMeterValues": True,
    "StopTransactionOnEVSideDisconnect": False,
    "StopTransactionOnInvalidId": False,
    "StopTxnAlignedData": False,
    "StopTxnAlignedDataMaxLength": True,
    "StopTxnSampledData": False,
    "StopTxnSampledDataMaxLength": True,
    "SupportedFeatureProfiles": True,
    "SupportedFileTransferProtocols": True,
    "TransactionMessageAttempts": False,
    "TransactionMessageRetryInterval": False,
    "UnlockConnectorOnEVSideDisconnect": False,
    "WebSocketPingInterval": False,
}


async def test_every_key_is_there_with_its_access() -> None:
    async with station_world() as world:
        await world.ready()
        shown = {key["key"]: key for key in (await world.call("GetConfiguration"))["configurationKey"]}
        assert {name: key["readonly"] for name, key in shown.items()} == ACCESS
        assert all("value" in key for key in shown.values())
        assert shown["ConnectorPhaseRotationMaxLength"]["value"] == "3"
        profiles = "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"
        assert shown["SupportedFeatureProfiles"]["value"] == profiles
        for name, read_only in ACCESS.items():
            if read_only:
                assert await world.key(name, shown[name]["value"]) == "Rejected"
        names = list(ACCESS)[: int(shown["GetConfigurationMaxKeys"]["value"])]
        asked = await world.call("GetConfiguration", key=names)
        assert [key["key"] for key in asked["configurationKey"]] == names
        assert not asked.get("unknownKey")


@pytest.mark.parametrize("name", [name for name, read_only in ACCESS.items() if not read_only])
async def test_what_no_key_of_its_kind_takes_is_rejected_and_changes_nothing(name: str) -> None:
    async with station_world() as world:
        await world.ready()

        async def value() -> str | None:
            [key] = (await world.call("GetConfiguration", key=[name]))["configurationKey"]
            return str(key["value"])

        before = await value()
        if name != "CpoName":  # any text will do
            for wrong in ("-1", "9" * 400, "Nonsense", "true,false", "1.5"):
                assert await world.key(name, wrong) == "Rejected"
        assert await value() == before
        assert world.known().connections == 1


async def test_lists_take_as_many_items_as_their_length_says() -> None:
    keys = {"MeterValuesSampledDataMaxLength": {"value": "2", "readonly": True}}
    async with station_world(keys=keys) as world:
        await world.ready()
        assert await world.key("MeterValuesSampledData", "Voltage,Current.Import") == "Accepted"
        assert await world.key("MeterValuesSampledData", "Voltage,Current.Import,Frequency") == "Rejected"
        assert await world.key("StopTxnSampledData", "Voltage,Current.Import,Frequency") == "Accepted"
        assert await world.key("ConnectorPhaseRotation", "0.RST,1.RTS,2.STR") == "Accepted"
        assert await world.key("ConnectorPhaseRotation", "0.RST,1.RTS,2.STR,2.STR") == "Rejected"
        assert await world.key("ConnectorPhaseRotation", "3.RST") == "Rejected"


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [("LightIntensity", "100", "101"), ("BlinkRepeat", "3", "-1"), ("SupportedFeatureProfilesMaxLength", None, "9")],
)
async def test_keys_that_only_a_template_brings(name: str, right: str | None, wrong: str) -> None:
    async with station_world(keys={name: {"value": "6", "readonly": right is None}}) as world:
        await world.ready()
        assert await world.key(name, wrong) == "Rejected"
        if right is not None:
            assert await world.key(name, right) == "Accepted"
        [key] = (await world.call("GetConfiguration", key=[name]))["configurationKey"]
        assert key == {"key": name, "readonly": right is None, "value": right or "6"}
    async with station_world() as world:
        await world.ready()
        assert await world.key(name, "6") == "NotSupported"


async def test_limits_of_charging_profiles() -> None:
    limits = {
        "ChargeProfileMaxStackLevel": 2,
        "ChargingScheduleAllowedChargingRateUnit": "Power",
        "ChargingScheduleMaxPeriods": 3,
        "MaxChargingProfilesInstalled": 2,
    }
    keys = {name: {"value": str(value), "readonly": True} for name, value in limits.items()}
    three = [(0, 6), (10, 7), (20, 8)]
    async with station_world(keys=keys) as world:
        await world.ready()
        assert await install(world, 1, profile(world, 1, *three, unit="A")) == "Rejected"
        assert await install(world, 1, profile(world, 1, *three, unit="W", level=3)) == "Rejected"
        assert await install(world, 1, profile(world, 1, *three, (30, 9), unit="W")) == "Rejected"
        assert await install(world, 1, profile(world, 1, *three, unit="W", level=2)) == "Accepted"
        assert await install(world, 1, profile(world, 2, *three, unit="W", level=1)) == "Accepted"
        assert await install(world, 1, profile(world, 3, *three, unit="W", level=0)) == "Rejected"
        assert await install(world, 1, profile(world, 3, *three, unit="W", level=1)) == "Accepted"  # in place of 2


async def test_a_list_takes_as_many_tags_as_there_is_room_for() -> None:
    keys = {"LocalAuthListEnabled": "true", "LocalAuthListMaxLength": {"value": "3", "readonly": True}}
    async with station_world(keys=keys) as world:
        await world.ready()
        assert await send_list(world, 1, "Full", [entry(tag) for tag in "ABCD"]) == "Failed"
        assert await send_list(world, 1, "Full", [entry(tag) for tag in "ABC"]) == "Accepted"
        assert await send_list(world, 2, "Differential", [entry("D")]) == "Failed"
        assert await send_list(world, 2, "Differential", [{"idTag": "A"}, entry("D")]) == "Accepted"
        assert await version(world) == 2


async def test_a_new_connection_time_out_holds_for_who_waits_already() -> None:
    async with station_world(template=BY_HAND, keys={"ConnectionTimeOut": 600}) as world:
        await world.ready()
        await swipe(world, "A")
        await world.sleep(5)
        assert await world.key("ConnectionTimeOut", 0) == "Accepted"
        await world.sleep(1000)
        assert world.statuses(1)[-1] == "Preparing"
        assert await world.key("ConnectionTimeOut", 1010) == "Accepted"
        await world.sleep(4)
        assert world.statuses(1)[-1] == "Preparing"
        await world.sleep(2)
        assert world.statuses(1)[-1] == "Available"


async def unplugged(world: Any) -> None:
    """A transaction of A has ended by unplugging the vehicle at its own side."""
    await world.ready()
    await plug(world)
    await swipe(world, "A")
    await unplug(world)
    assert world.sent("StopTransaction")[0]["reason"] == "EVDisconnected"
    finishing = [sent for sent in world.sent("StatusNotification") if sent["status"] == "Finishing"]
    assert [sent["info"] for sent in finishing] == [EV_SIDE]


@pytest.mark.parametrize("way", ["unlock", "tag", "replug"])
async def test_a_cable_that_stays_locked_after_unplugging(way: str) -> None:
    async with station_world(template=BY_HAND, keys={"UnlockConnectorOnEVSideDisconnect": "false"}) as world:
        await unplugged(world)
        assert world.statuses(1)[-1] == "Finishing"
        if way == "unlock":
            assert await world.status_of("UnlockConnector", connectorId=1) == "Unlocked"
            await world.settle()
        elif way == "tag":
            await swipe(world, "a")
        else:
            await plug(world)
            assert world.statuses(1)[-1] == "Preparing"
            await unplug(world)
        assert world.statuses(1)[-1] == "Available"
        assert len(world.sent("StopTransaction")) == 1
        assert len(world.sent("Authorize")) == 1


async def test_a_cable_that_is_unlocked_by_unplugging_is_gone() -> None:
    async with station_world(template=BY_HAND) as world:
        await unplugged(world)
        assert world.statuses(1)[-1] == "Available"


async def test_a_fixed_cable_has_no_lock_to_open() -> None:
    async with station_world(template={**BY_HAND, "fixedCable": True}) as world:
        await unplugged(world)
        [key] = (await world.call("GetConfiguration", key=["UnlockConnectorOnEVSideDisconnect"]))["configurationKey"]
        assert (key["value"], key["readonly"]) == ("false", True)
        assert await world.key("UnlockConnectorOnEVSideDisconnect", "true") == "Rejected"
        assert world.statuses(1)[-1] == "Available"
