"""Unsigned firmware updates: when they happen, what they say, and what they do to the station (OCPP 1.6 §5.19)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from simulator.ocpp.v16.enums import Reason
from simulator.station.firmware import INSTALL_TIME
from simulator.timestamps import format_timestamp
from tests.fakes.transfers import FakeTransfers
from tests.station.harness import START, World, station_world

NOW = format_timestamp(START)
FLOW = ["Downloading", "Downloaded", "Installing", "Installed"]


def world_with(transfers: FakeTransfers, **options: Any) -> Any:
    template = {"firmwareVersion": "1.2.9", **options.pop("template", {})}
    return station_world(template=template, services={"transfers": transfers}, **options)


async def update(world: World, location: str = "http://files/fw.bin", **members: Any) -> dict[str, Any]:
    return await world.call("UpdateFirmware", **{"location": location, "retrieveDate": NOW, **members})


def steps(world: World) -> list[str]:
    return [payload["status"] for payload in world.sent("FirmwareStatusNotification")]


async def installed(world: World) -> None:
    await world.wait_for("FirmwareStatusNotification", where=lambda told: told["status"] == "Installed", timeout=600)
    await world.settle()


async def test_an_update_goes_its_way_and_boots_into_the_next_version() -> None:
    transfers = FakeTransfers()
    async with world_with(transfers) as world:
        await world.ready()
        assert await update(world) == {}
        await installed(world)
        assert steps(world) == FLOW
        assert [url for _, url in transfers.attempts] == ["http://files/fw.bin"]
        assert [boot["firmwareVersion"] for boot in world.sent("BootNotification")] == ["1.2.9", "1.2.10"]
        after_boot = world.actions()[world.actions().index("BootNotification", 1) :]
        assert after_boot == ["BootNotification", *["StatusNotification"] * 3, "FirmwareStatusNotification"]
        assert world.statuses(1) == ["Available", "Unavailable", "Available"]
        assert world.statuses(0) == ["Available", "Available"]
        assert world.closings() == [1000]


async def test_nothing_happens_before_the_retrieve_date() -> None:
    transfers = FakeTransfers()
    async with world_with(transfers) as world:
        await world.ready()
        await update(world, retrieveDate=format_timestamp(START + 3600))
        await world.sleep(3500)
        assert steps(world) == []
        await world.wait_for("FirmwareStatusNotification", timeout=200)
        assert world.times("FirmwareStatusNotification")[0] - world.times("BootNotification")[0] == pytest.approx(3600)


async def test_a_failed_download_is_repeated_as_often_as_asked() -> None:
    transfers = FakeTransfers()
    transfers.failing = -1
    async with world_with(transfers) as world:
        await world.ready()
        await update(world, retries=2, retryInterval=40)
        await world.wait_for("FirmwareStatusNotification", 2, timeout=200)
        await world.sleep(300)
        assert steps(world) == ["Downloading", "DownloadFailed"]
        assert transfers.pauses == [40, 40]
        assert len(world.sent("BootNotification")) == 1
        assert world.statuses(1) == ["Available"]


async def test_a_download_that_works_at_last_is_as_good_as_any() -> None:
    transfers = FakeTransfers()
    transfers.failing = 1
    async with world_with(transfers) as world:
        await world.ready()
        await update(world, retries=1, retryInterval=5)
        await installed(world)
        assert steps(world) == FLOW
        assert len(transfers.attempts) == 2


async def test_a_protocol_that_the_station_does_not_have_fails_at_once() -> None:
    transfers = FakeTransfers()
    async with world_with(transfers, keys={"SupportedFileTransferProtocols": "FTP"}) as world:
        await world.ready()
        await update(world, retries=5, retryInterval=100)
        await world.settle()
        assert steps(world) == ["Downloading", "DownloadFailed"]
        assert transfers.attempts == []


async def test_the_installation_waits_for_transactions_and_keeps_new_ones_out() -> None:
    async with world_with(FakeTransfers(takes=1)) as world:
        await world.ready()
        transaction = await world.charge(1)
        await update(world)
        await world.sleep(600)
        assert steps(world) == FLOW[:2]
        assert world.statuses(2) == ["Available", "Unavailable"]
        assert world.statuses(1)[-1] == "Charging"
        assert await world.status_of("RemoteStartTransaction", connectorId=2, idTag="B") == "Rejected"
        await world.stop_charging(transaction)
        assert world.statuses(1)[-2:] == ["Finishing", "Unavailable"]
        await installed(world)
        assert steps(world) == FLOW
        assert world.statuses(1)[-1] == world.statuses(2)[-1] == "Available"
        assert world.transactions()[0].reason == "Remote"
        await world.charge(2)


async def test_connectors_out_of_order_stay_so() -> None:
    async with world_with(FakeTransfers(), template={"firmwareUpgrade": {"reset": False}}) as world:
        await world.ready()
        assert await world.status_of("ChangeAvailability", connectorId=1, type="Inoperative") == "Accepted"
        await update(world)
        await installed(world)
        assert world.statuses(1) == ["Available", "Unavailable"]
        assert world.statuses(2) == ["Available", "Unavailable", "Available"]


async def test_while_it_installs_a_station_refuses_resets_and_other_updates() -> None:
    transfers = FakeTransfers(takes=1)
    async with world_with(transfers) as world:
        await world.ready()
        await update(world)
        await world.wait_for("FirmwareStatusNotification", 3)
        assert await world.status_of("Reset", type="Hard") == "Rejected"
        assert await update(world, location="http://files/other.bin") == {}
        await installed(world)
        assert steps(world) == FLOW
        assert len(transfers.attempts) == 1
        assert await world.status_of("Reset", type="Soft") == "Accepted"


async def test_a_reset_begins_the_download_anew() -> None:
    transfers = FakeTransfers(takes=60)
    async with world_with(transfers) as world:
        await world.ready()
        await update(world)
        await world.sleep(30)
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await installed(world)
        assert steps(world) == ["Downloading", *FLOW]
        assert transfers.cancelled == 1
        assert [boot["firmwareVersion"] for boot in world.sent("BootNotification")] == ["1.2.9", "1.2.9", "1.2.10"]


async def test_a_reset_while_transactions_are_waited_for_does_not_fetch_again() -> None:
    transfers = FakeTransfers(takes=1)
    async with world_with(transfers) as world:
        await world.ready()
        await world.charge(1)
        await update(world)
        await world.wait_for("FirmwareStatusNotification", 2)
        assert await world.status_of("Reset", type="Hard") == "Accepted"
        await installed(world)
        assert len(transfers.attempts) == 1
        assert steps(world) == FLOW


async def test_a_stopped_station_goes_on_with_its_update_when_it_is_started() -> None:
    async with world_with(FakeTransfers(takes=60)) as world:
        await world.ready()
        await update(world)
        await world.sleep(10)
        await world.fleet.stop_station("hash-1")
        await world.sleep(1000)
        assert steps(world) == ["Downloading"]
        world.fleet.start("hash-1")
        await installed(world)
        assert steps(world) == ["Downloading", *FLOW]


async def test_a_newer_update_takes_the_place_of_the_one_under_way() -> None:
    transfers = FakeTransfers(takes=60)
    async with world_with(transfers) as world:
        await world.ready()
        await update(world, location="http://files/old.bin")
        await world.sleep(30)
        await update(world, location="http://files/new.bin")
        await installed(world)
        assert [url for _, url in transfers.attempts] == ["http://files/old.bin", "http://files/new.bin"]
        assert transfers.cancelled == 1
        assert steps(world) == ["Downloading", *FLOW]
        assert len(world.sent("BootNotification")) == 2


async def test_a_newer_update_gives_back_what_the_older_one_held() -> None:
    async with world_with(FakeTransfers(takes=1)) as world:
        await world.ready()
        await world.charge(1)
        await update(world)
        await world.sleep(10)
        assert world.statuses(2)[-1] == "Unavailable"
        await update(world, retrieveDate=format_timestamp(START + 90_000))
        await world.settle()
        assert world.statuses(2)[-1] == "Available"


async def test_a_vehicle_that_stayed_can_charge_after_a_failed_installation() -> None:
    template = {"automaticVehicle": False, "firmwareUpgrade": {"failureStatus": "InstallationFailed"}}
    async with world_with(FakeTransfers(), template=template) as world:
        await world.ready()
        world.station.presence.plug_in(1)
        await update(world)
        await world.wait_for("FirmwareStatusNotification", 4)
        await world.settle()
        assert world.statuses(1) == ["Available", "Preparing", "Available", "Unavailable", "Preparing"]
        await world.charge(1)


class Store:
    """Keeps one station as JSON, as a file would."""

    def __init__(self) -> None:
        self._whole: Callable[[], Mapping[str, Any]] = dict
        self._kept = "{}"

    def recall(self, hash_id: str) -> Mapping[str, Any]:
        kept: dict[str, Any] = json.loads(self._kept)
        return kept

    def join(self, hash_id: str, whole: Callable[[], Mapping[str, Any]]) -> None:
        self._whole = whole

    def leave(self, hash_id: str, *, forget: bool) -> None:
        raise AssertionError("the station stays")

    def changed(self, hash_id: str, within: float) -> None:
        self._kept = json.dumps(self._whole())


async def test_the_version_and_an_update_under_way_outlive_the_process() -> None:
    store, transfers = Store(), FakeTransfers(takes=60)
    services = {"transfers": transfers, "store": store}
    template = {"firmwareVersion": "1.2.9"}
    async with station_world(template=template, services=services) as world:
        await world.ready()
        await update(world)
        await installed(world)
        await update(world, location="http://files/second.bin")
        await world.sleep(30)
    async with station_world(template=template, services=services) as world:
        await installed(world)
        assert [url for _, url in transfers.attempts[1:]] == ["http://files/second.bin"] * 2
        assert [boot["firmwareVersion"] for boot in world.sent("BootNotification")] == ["1.2.10", "1.2.11"]
    async with station_world(template=template, services=services) as world:
        await world.sleep(300)
        assert world.sent("BootNotification")[0]["firmwareVersion"] == "1.2.11"
        assert steps(world) == []


async def test_steps_taken_without_a_connection_are_told_on_the_next_one() -> None:
    async with world_with(FakeTransfers(takes=20)) as world:
        await world.ready()
        await world.charge(1)
        await update(world)
        await world.settle()
        world.go_offline()
        await world.sleep(100)
        await world.come_back()
        assert steps(world) == FLOW[:2]


async def test_a_template_may_let_the_download_fail() -> None:
    transfers = FakeTransfers()
    async with world_with(transfers, template={"firmwareUpgrade": {"failureStatus": "DownloadFailed"}}) as world:
        await world.ready()
        await update(world)
        await world.wait_for("FirmwareStatusNotification", 2)
        assert steps(world) == ["Downloading", "DownloadFailed"]
        assert transfers.attempts == []


async def test_a_template_may_let_the_installation_fail() -> None:
    failing = {"firmwareUpgrade": {"failureStatus": "InstallationFailed"}}
    async with world_with(FakeTransfers(), template=failing) as world:
        await world.ready()
        await update(world)
        await world.wait_for("FirmwareStatusNotification", 4)
        await world.sleep(200)
        assert steps(world) == [*FLOW[:3], "InstallationFailed"]
        assert len(world.sent("BootNotification")) == 1
        assert world.statuses(1) == ["Available", "Unavailable", "Available"]
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.wait_for("BootNotification", 2)
        assert world.sent("BootNotification")[1]["firmwareVersion"] == "1.2.9"


async def test_without_a_reboot_the_new_version_shows_at_the_next_boot() -> None:
    async with world_with(FakeTransfers(), template={"firmwareUpgrade": {"reset": False}}) as world:
        await world.ready()
        await update(world)
        await installed(world)
        await world.sleep(INSTALL_TIME)
        assert len(world.sent("BootNotification")) == 1
        world.station.reset(Reason.REBOOT)
        await world.wait_for("BootNotification", 2)
        assert world.sent("BootNotification")[1]["firmwareVersion"] == "1.2.10"


async def test_a_station_for_signed_firmware_only_knows_no_updatefirmware() -> None:
    async with world_with(FakeTransfers(), template={"signedFirmwareOnly": True}) as world:
        await world.ready()
        answer = await world.refused("UpdateFirmware", location="http://files/fw.bin", retrieveDate=NOW)
        assert answer == "NotSupported"


@pytest.mark.parametrize(
    ("before", "trigger"), [(0, "Idle"), (1, "Downloading"), (2, "Downloaded"), (3, "Installing"), (4, "Idle")]
)
async def test_a_trigger_gets_the_present_step(before: int, trigger: str) -> None:
    async with world_with(FakeTransfers()) as world:
        await world.ready()
        if before:
            transaction = await world.charge(1)
            await update(world)
            await world.wait_for("FirmwareStatusNotification", min(before, 2))
        if before > 2:
            await world.stop_charging(transaction)
            await world.wait_for("FirmwareStatusNotification", before)
        answer = await world.status_of("TriggerMessage", requestedMessage="FirmwareStatusNotification")
        assert answer == "Accepted"
        await world.settle()
        assert steps(world) == [*FLOW[:before], trigger]


async def test_triggers_of_a_profile_that_is_not_there_are_not_implemented() -> None:
    async with world_with(FakeTransfers(), keys={"SupportedFeatureProfiles": "Core,RemoteTrigger"}) as world:
        await world.ready()
        for message in ("FirmwareStatusNotification", "DiagnosticsStatusNotification"):
            assert await world.status_of("TriggerMessage", requestedMessage=message) == "NotImplemented"
        assert await world.refused("UpdateFirmware", location="http://x/y", retrieveDate=NOW) == "NotSupported"
