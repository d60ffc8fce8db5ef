"""Diagnostics and logs on their way to the central system (OCPP 1.6 §5.9; security extension N01)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from simulator.timestamps import format_timestamp
from simulator.transport.transfer import Fault
from tests.fakes.transfers import FakeTransfers, unpacked
from tests.station.harness import START, World, station_world

URL = "http://files/logs"


class FakeDiagnostics:
    """A process that has one log file of each station, and remembers the windows it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[float | None, float | None]] = []

    async def files(
        self, hash_id: str, station_id: str, since: float | None, until: float | None
    ) -> Mapping[str, bytes]:
        self.asked.append((since, until))
        return {"station.log": f"the log of {station_id}, {hash_id}\n".encode()}


def world_with(transfers: FakeTransfers, **options: Any) -> Any:
    services = {"transfers": transfers, "diagnostics": options.pop("diagnostics", None)}
    return station_world(services=services, **options)


def diagnostics(world: World) -> list[str]:
    return [payload["status"] for payload in world.sent("DiagnosticsStatusNotification")]


def logs(world: World) -> list[tuple[str, int | None]]:
    return [(payload["status"], payload.get("requestId")) for payload in world.sent("LogStatusNotification")]


async def get_log(world: World, request_id: int = 7, **members: Any) -> dict[str, Any]:
    log = {"remoteLocation": URL, **members.pop("log", {})}
    return await world.call("GetLog", **{"log": log, "logType": "DiagnosticsLog", "requestId": request_id, **members})


async def test_the_name_comes_at_once_and_the_archive_after_it() -> None:
    transfers, process = FakeTransfers(takes=20), FakeDiagnostics()
    keys = {"AuthorizationKey": "ab12cd34ab12cd34"}
    async with world_with(transfers, diagnostics=process, keys=keys) as world:
        await world.ready()
        since, until = START - 100, START - 10
        answer = await world.call(
            "GetDiagnostics", location=URL, startTime=format_timestamp(since), stopTime=format_timestamp(until)
        )
        assert answer == {"fileName": "CS-1_20261122T100000.000Z.tar.gz"}
        assert transfers.uploaded == []
        await world.wait_for("DiagnosticsStatusNotification", 2)
        assert diagnostics(world) == ["Uploading", "Uploaded"]
        [(url, name, archive)] = transfers.uploaded
        assert (url, name) == (URL, answer["fileName"])
        files = unpacked(archive)
        assert files["station.log"] == "the log of CS-1, hash-1\n"
        assert process.asked == [(since, until)]
        state = json.loads(files["station.json"])
        assert (state["stationId"], state["registration"]) == ("CS-1", "Accepted")
        assert {entry["key"]: entry["value"] for entry in state["configuration"]}["NumberOfConnectors"] == "2"
        assert keys["AuthorizationKey"] not in files["station.json"]


async def test_a_window_that_holds_nothing_gets_no_file() -> None:
    transfers = FakeTransfers()
    async with world_with(transfers) as world:
        await world.ready()
        for window in (
            {"startTime": format_timestamp(START + 60)},
            {"startTime": format_timestamp(START - 60), "stopTime": format_timestamp(START - 120)},
        ):
            assert await world.call("GetDiagnostics", location=URL, **window) == {}
        await world.sleep(60)
        assert diagnostics(world) == []
        assert transfers.attempts == []


async def test_a_failed_upload_is_repeated_as_often_as_asked() -> None:
    transfers = FakeTransfers()
    transfers.failing = -1
    async with world_with(transfers) as world:
        await world.ready()
        await world.call("GetDiagnostics", location=URL, retries=3, retryInterval=15)
        await world.wait_for("DiagnosticsStatusNotification", 2, timeout=200)
        assert diagnostics(world) == ["Uploading", "UploadFailed"]
        assert transfers.pauses == [15, 15, 15]


async def test_a_second_request_takes_the_place_of_the_first() -> None:
    transfers = FakeTransfers(takes=30)
    async with world_with(transfers) as world:
        await world.ready()
        await world.call("GetDiagnostics", location="http://files/old")
        await world.sleep(10)
        await world.call("GetDiagnostics", location="http://files/new")
        await world.sleep(100)
        assert diagnostics(world) == ["Uploading", "Uploading", "Uploaded"]
        assert [url for url, _, _ in transfers.uploaded] == ["http://files/new"]
        assert transfers.cancelled == 1


async def test_an_upload_begins_again_after_a_reset() -> None:
    transfers = FakeTransfers(takes=30)
    async with world_with(transfers) as world:
        await world.ready()
        await world.call("GetDiagnostics", location=URL)
        await world.sleep(10)
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.wait_for("BootNotification", 2)
        await world.sleep(100)
        assert diagnostics(world) == ["Uploading", "Uploading", "Uploaded"]
        assert len(transfers.uploaded) == 1


async def test_a_trigger_gets_uploading_or_idle() -> None:
    async with world_with(FakeTransfers(takes=30)) as world:
        await world.ready()
        trigger = {"requestedMessage": "DiagnosticsStatusNotification"}
        assert await world.status_of("TriggerMessage", **trigger) == "Accepted"
        await world.settle()
        await get_log(world)
        assert await world.status_of("TriggerMessage", **trigger) == "Accepted"
        await world.settle()
        assert diagnostics(world) == ["Idle", "Idle"]
        await world.call("GetDiagnostics", location=URL)
        await world.settle()
        assert await world.status_of("TriggerMessage", **trigger) == "Accepted"
        await world.settle()
        assert diagnostics(world) == ["Idle", "Idle", "Uploading", "Uploading"]


# -- GetLog ------------------------------------------------------------------------------------------------------------


async def test_getlog_sends_the_log_and_names_its_request() -> None:
    transfers = FakeTransfers()
    async with world_with(transfers) as world:
        await world.ready()
        assert await get_log(world, 7) == {"status": "Accepted", "filename": "CS-1_20261122T100000.000Z.tar.gz"}
        await world.wait_for("LogStatusNotification", 2)
        assert logs(world) == [("Uploading", 7), ("Uploaded", 7)]
        assert "station.json" in unpacked(transfers.uploaded[0][2])


async def test_the_security_log_holds_the_events_of_the_window() -> None:
    transfers = FakeTransfers()
    async with world_with(transfers) as world:
        await world.ready()
        await world.sleep(600)
        bad = {"certificateType": "CentralSystemRootCertificate", "certificate": "none"}
        assert await world.status_of("InstallCertificate", **bad) == "Rejected"
        window = {"oldestTimestamp": format_timestamp(START + 300)}
        assert (await get_log(world, logType="SecurityLog", log=window))["status"] == "Accepted"
        await world.wait_for("LogStatusNotification", 2)
        [(name, text)] = unpacked(transfers.uploaded[0][2]).items()
        assert name == "security.log"
        assert "InvalidCentralSystemCertificate" in text
        assert "StartupOfTheDevice" not in text
        await get_log(world, 8, logType="SecurityLog")
        await world.wait_for("LogStatusNotification", 4)
        assert "StartupOfTheDevice" in unpacked(transfers.uploaded[1][2])["security.log"]


async def test_a_trigger_gets_the_state_of_getlog() -> None:
    async with world_with(FakeTransfers(takes=30)) as world:
        await world.ready()
        trigger = {"requestedMessage": "LogStatusNotification"}
        assert await world.status_of("ExtendedTriggerMessage", **trigger) == "Accepted"
        await world.settle()
        await get_log(world, 4)
        await world.settle()
        assert await world.status_of("ExtendedTriggerMessage", **trigger) == "Accepted"
        await world.settle()
        assert logs(world) == [("Idle", None), ("Uploading", 4), ("Uploading", 4)]


async def test_a_newer_getlog_cancels_what_is_under_way() -> None:
    transfers = FakeTransfers(takes=30)
    async with world_with(transfers) as world:
        await world.ready()
        await get_log(world, 1)
        await world.sleep(5)
        assert (await get_log(world, 2))["status"] == "AcceptedCanceled"
        await world.sleep(100)
        assert logs(world) == [("Uploading", 1), ("Uploading", 2), ("Uploaded", 2)]
        assert (await get_log(world, 3))["status"] == "Accepted"


async def test_a_window_in_the_future_is_rejected() -> None:
    async with world_with(FakeTransfers()) as world:
        await world.ready()
        assert await get_log(world, log={"oldestTimestamp": format_timestamp(START + 60)}) == {"status": "Rejected"}


@pytest.mark.parametrize(
    ("fault", "status", "attempts"),
    [
        (Fault.FAILED, "UploadFailure", 3),
        (Fault.DENIED, "PermissionDenied", 3),
        (Fault.UNSUPPORTED, "NotSupportedOperation", 1),
        (Fault.BAD_URL, "BadMessage", 1),
    ],
)
async def test_each_kind_of_failure_has_its_status(fault: Fault, status: str, attempts: int) -> None:
    transfers = FakeTransfers()
    transfers.failing, transfers.fault = -1, fault
    async with world_with(transfers) as world:
        await world.ready()
        await get_log(world, 9, retries=2, retryInterval=1)
        await world.wait_for("LogStatusNotification", 2)
        assert logs(world) == [("Uploading", 9), (status, 9)]
        assert len(transfers.attempts) == attempts


async def test_two_archives_of_one_second_have_names_of_their_own() -> None:
    async with world_with(FakeTransfers()) as world:
        await world.ready()
        first = (await world.call("GetDiagnostics", location=URL))["fileName"]
        await world.sleep(0.1)
        assert (await get_log(world))["filename"] != first
