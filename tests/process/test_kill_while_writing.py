"""SIGKILL in the middle of a fleet that writes its files: nothing that was promised is lost, nothing goes back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from simulator.csms import CallUnanswered, StationNotConnected
from tests.process.program import Central, central_system, program, write_fleet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")

#: Stations whose transactions end with the power, and those that go on with them. By hand a thousand are killed.
ENDING = int(os.environ.get("KILLED_STATIONS", "60"))
RESUMING = ENDING // 2
ALL = ENDING + RESUMING
#: Wall seconds for a whole fleet to do something on a busy machine.
PATIENCE = 60.0 + ALL / 10

TEMPLATE: Mapping[str, Any] = {
    "AutomaticTransactionGenerator": None,
    "meteringPerTransaction": False,
    "chargeBoxSerialNumberPrefix": "SN",
    "Connectors": {"0": {}, "1": {}},
    "Configuration": {
        "configurationKey": [
            {"key": "MeterValueSampleInterval", "value": "60"},
            {"key": "AuthorizeRemoteTxRequests", "value": "false"},
            {"key": "LocalAuthListEnabled", "value": "true"},
            {"key": "Mine", "value": "0"},
        ]
    },
}
PROFILE = {
    "chargingProfileId": 7,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "startSchedule": "2020-01-01T00:00:00Z",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11.0}],
    },
}


async def every(central: Central, action: str, **payload: Any) -> dict[str, dict[str, Any]]:
    """Ask all stations at once; returns the answers of those that gave one."""
    answers: dict[str, dict[str, Any]] = {}

    async def ask(name: str) -> None:
        with contextlib.suppress(StationNotConnected, CallUnanswered):
            answers[name] = await central.station(name).call(action, payload)

    async with trio.open_nursery() as nursery:
        for name in list(central.stations):
            nursery.start_soon(ask, name)
    return answers


def statuses(answers: Mapping[str, Mapping[str, Any]]) -> set[Any]:
    return {answer["status"] for answer in answers.values()}


def shown(central: Central) -> dict[str, list[int]]:
    """Every register that each station has shown, in order; a message that came twice counts once."""
    found: dict[str, list[int]] = defaultdict(list)
    for name in central.stations:
        known: set[str] = set()
        for call in central.calls_from(name):
            text = json.dumps(call.payload, sort_keys=True)
            if text in known:
                continue
            known.add(text)
            if call.action == "MeterValues":
                found[name].append(int(call.payload["meterValue"][0]["sampledValue"][0]["value"]))
            elif call.action in {"StartTransaction", "StopTransaction"}:
                found[name] += [call.payload[key] for key in ("meterStart", "meterStop") if key in call.payload]
    return found


def check_files(folder: Path) -> dict[str, dict[str, Any]]:
    """The content of all files by station; each is whole, and has the hash that it says."""
    found = {}
    for path in (folder / "configurations").glob("*.json"):
        content = json.loads(path.read_bytes())
        digest = content.pop("configurationHash")
        assert digest == hashlib.sha384(msgspec.json.encode(content)).hexdigest()
        found[content["stationInfo"]["chargingStationId"]] = content
    return found


def key_of(content: Mapping[str, Any], name: str) -> Any:
    return next((entry.get("value") for entry in content["configurationKey"] if entry["key"] == name), None)


def mine(folder: Path) -> set[Any]:
    """The values that the files have of the key that is changed."""
    return {key_of(content, "Mine") for content in check_files(folder).values()}


async def look_until(met: Callable[[], bool]) -> None:
    """Look at files until it is so: nobody tells when they have been written."""
    with trio.fail_after(PATIENCE):
        while not met():  # noqa: ASYNC110
            await trio.sleep(0.02)


@pytest.mark.timeout(300 + ALL)
async def test_a_fleet_that_is_killed_while_it_writes_goes_on_where_it_was(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=ENDING, **TEMPLATE)
    resuming = {**json.loads((tmp_path / "ours.station-template.json").read_text()), "resumeTransactions": True}
    (tmp_path / "resuming.station-template.json").write_text(json.dumps({**resuming, "baseName": "ON"}))
    document = json.loads(config.read_text())
    document["stationTemplateUrls"].append({"file": "resuming", "numberOfStations": RESUMING})
    config.write_text(json.dumps(document))
    data = tmp_path / "data"
    async with central_system() as (central, url):
        arguments = ("run", config, "--csms", url, "--speed", "60", "--no-ui", "--no-watch", "--data-dir", data)

        async with program(*arguments) as run:
            await central.until(
                lambda: sum(1 in station.connectors for station in central.stations.values()) == ALL,
                "all have booted",
                timeout=PATIENCE,
            )
            assert statuses(await every(central, "RemoteStartTransaction", connectorId=1, idTag="T")) == {"Accepted"}
            await central.until(lambda: central.open_transactions() == ALL, "all charge", timeout=PATIENCE)
            profile = await every(central, "SetChargingProfile", connectorId=0, csChargingProfiles=PROFILE)
            assert statuses(profile) == {"Accepted"}
            entries = [{"idTag": "LISTED", "idTagInfo": {"status": "Accepted"}}]
            sent = await every(
                central, "SendLocalList", listVersion=4, updateType="Full", localAuthorizationList=entries
            )
            assert statuses(sent) == {"Accepted"}
            assert statuses(await every(central, "ChangeConfiguration", key="Mine", value="1")) == {"Accepted"}
            await look_until(lambda: mine(data) == {"1"} and len(check_files(data)) == ALL)
            await central.until(
                lambda: all(each.meter_values > 2 for each in central.ledger), "all are sampled", timeout=PATIENCE
            )
            numbers = {name: each["stationInfo"]["chargeBoxSerialNumber"] for name, each in check_files(data).items()}

            # From here on everybody writes, all the time, and dies of it.
            async with trio.open_nursery() as nursery:

                async def keep_writing() -> None:
                    for value in range(2, 1000):
                        if not await every(central, "ChangeConfiguration", key="Mine", value=str(value)):
                            return

                async def kill() -> None:
                    files = (data / "configurations").glob("*.json")
                    written = {path: path.stat().st_mtime_ns for path in files}
                    await look_until(
                        lambda: sum(path.stat().st_mtime_ns != time for path, time in written.items()) > ALL // 3
                    )
                    run.signal(signal.SIGKILL)
                    await run.process.wait()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(keep_writing)
                nursery.start_soon(kill)

        files = check_files(data)
        assert len(files) == ALL
        at_death = {name: int(key_of(content, "Mine")) for name, content in files.items()}
        assert min(at_death.values()) >= 1
        assert max(at_death.values()) > 1
        running = {each.transaction_id: each.station_id for each in central.ledger}
        before = shown(central)
        boots = {name: station.boots for name, station in central.stations.items()}
        central.violations.clear()

        async with program(*arguments) as run:
            await central.until(
                lambda: all(station.boots > boots[name] for name, station in central.stations.items()),
                "all are back",
                timeout=PATIENCE,
            )
            await central.until(
                lambda: sum(each.reason is not None for each in central.ledger) == ENDING, "stops", timeout=PATIENCE
            )
            seen = {each.transaction_id: each.meter_values for each in central.ledger}
            await central.until(
                lambda: all(
                    each.meter_values > seen[each.transaction_id] for each in central.ledger if each.reason is None
                ),
                "the others are sampled",
                timeout=PATIENCE,
            )
            for transaction in central.ledger:
                assert transaction.transaction_id in running  # none is new, none came twice
                if transaction.station_id.startswith("CS"):
                    assert transaction.reason == "PowerLoss"
                    assert transaction.meter_stop is not None
                    assert transaction.meter_stop >= max(before[transaction.station_id])
                else:
                    assert transaction.reason is None
            after = shown(central)
            assert all(registers == sorted(registers) for registers in after.values())
            keys = await every(central, "GetConfiguration", key=["Mine"])
            values = {name: int(answer["configurationKey"][0]["value"]) for name, answer in keys.items()}
            assert values == at_death
            versions = await every(central, "GetLocalListVersion")
            assert {answer["listVersion"] for answer in versions.values()} == {4}
            schedules = await every(central, "GetCompositeSchedule", connectorId=1, duration=60, chargingRateUnit="A")
            limits = {answer["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] for answer in schedules.values()}
            assert (len(schedules), limits) == (ALL, {11.0})
            run.signal(signal.SIGTERM)
            assert await run.ended(within=PATIENCE) == 0
        assert central.violations == []
        assert central.open_transactions() == 0
        kept = {name: each["stationInfo"]["chargeBoxSerialNumber"] for name, each in check_files(data).items()}
        assert kept == numbers
