"""What templates and options say about starts and stops, and payloads that say more than a procedure knows."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from simulator.config.model import SimulatorConfig
from simulator.control import procedures
from simulator.control.pacing import Pace
from tests.ui.house import PATIENCE, ui_house

NAME = "CS-SCHNEIDER-00001"


async def test_a_station_without_auto_start_waits_to_be_started() -> None:
    async with ui_house(stations={"schneider": 1, "keba": 1}, changes={"auto_start": False}) as house:
        added = await house.call("addChargingStations", {"template": "keba"})
        waiting = house.hash_ids[:2]
        assert added["status"] == "success"
        assert await house.call("startSimulator") == {"status": "success"}
        assert [station.started for station in house.stations] == [False, False, True]
        assert (await house.call("startChargingStation", {"hashIds": waiting}))["status"] == "success"
        await house.ready()
        assert await house.call("stopSimulator") == {"status": "success"}
        assert await house.call("startSimulator") == {"status": "success"}
        assert [station.started for station in house.stations] == [False, False, True]


async def test_whoever_comes_in_at_a_pace_waits_for_its_turn_unless_started_by_hand() -> None:
    async with ui_house(stations={"keba": 1}) as house:
        await house.ready()
        house.fleet.follow(SimulatorConfig(), Pace(station=3600))
        added = await house.call("addChargingStations", {"template": "schneider", "numberOfStations": 3})
        assert added["status"] == "success"
        # The first is not an hour after the one that has just started. The answer does not wait for that.
        assert await house.call("startSimulator") == {"status": "success"}
        assert [station.started for station in house.stations] == [True, False, False, False]
        by_hand = {"hashIds": added["hashIdsSucceeded"][-1:]}
        assert (await house.call("startChargingStation", by_hand))["status"] == "success"
        assert [station.started for station in house.stations] == [True, False, False, True]
        assert await house.call("stopSimulator") == {"status": "success"}
        house.fleet.follow(SimulatorConfig(), Pace())
        assert not any(station.started for station in house.stations)
        assert await house.call("startSimulator") == {"status": "success"}
        assert all(station.started for station in house.stations)


@pytest.mark.parametrize("ends", [True, False])
async def test_a_stop_ends_transactions_unless_the_template_says_no(ends: bool) -> None:
    async with ui_house(stations={"schneider": 1}, changes={"stop_transactions_on_stopped": ends}) as house:
        await house.ready()
        assert (await house.call("startTransaction", {"connectorId": 1}))["status"] == "success"
        assert (await house.call("stopChargingStation"))["status"] == "success"
        stops = house.central.calls_from(NAME, "StopTransaction")
        assert [call.payload.get("reason", "Local") for call in stops] == (["Local"] if ends else [])
        assert (await house.call("startChargingStation"))["status"] == "success"
        await house.central.wait_for(NAME, "BootNotification", 2, timeout=PATIENCE)
        await house.central.wait_for(NAME, "StopTransaction", timeout=PATIENCE)
        reason = house.central.calls_from(NAME, "StopTransaction")[0].payload.get("reason", "Local")
        assert reason == ("Local" if ends else "Reboot")
        connectors = (await house.call("listChargingStations"))["chargingStations"][0]["connectors"]
        assert "transactionId" not in connectors[1]


async def test_a_reset_ends_transactions_whatever_the_template_says() -> None:
    changes = {"stop_transactions_on_stopped": False, "reset_time": 0}
    async with ui_house(stations={"schneider": 1}, changes=changes) as house:
        await house.ready()
        assert (await house.call("startTransaction", {"connectorId": 1}))["status"] == "success"
        house.stations[0].power_cycle()
        await house.central.wait_for(NAME, "StopTransaction", timeout=PATIENCE)
        assert house.central.calls_from(NAME, "StopTransaction")[0].payload["reason"] == "PowerLoss"


async def test_opening_a_connection_waits_for_a_station_that_is_away() -> None:
    async with ui_house(stations={"schneider": 1}, changes={"reset_time": 1}) as house:
        await house.ready()
        assert (await house.call("powerCycle"))["status"] == "success"
        with trio.fail_after(PATIENCE):
            assert (await house.call("openConnection"))["status"] == "success"
        assert house.stations[0].line.state == 1
        assert not house.stations[0].reset_under_way


async def test_a_station_that_is_away_for_long_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedures, "ANSWER_WITHIN", 1.1)
    async with ui_house(stations={"schneider": 1}, changes={"reset_time": 1000}) as house:
        await house.ready()
        assert (await house.call("powerCycle"))["status"] == "success"
        answer = await house.call("openConnection")
        assert [each["errorMessage"] for each in answer["responsesFailed"]] == [
            "the station is away for a reset; it connects once it is back"
        ]


async def test_only_stations_that_keep_statistics_count_on_a_page_of_them() -> None:
    async with ui_house(stations={"keba": 2}, changes={"enable_statistics": False}) as house:
        options = {"enableStatistics": True, "nameSuffix": "-S", "supervisionUrls": house.central.MEMORY_URL}
        added = await house.call("addChargingStations", {"template": "keba", "numberOfStations": 3, "options": options})
        await house.ready()
        first = await house.call("performanceStatistics", {"limit": 2})
        rest = await house.call("performanceStatistics", {"offset": 2, "limit": 2})
        found = [record["id"] for record in (*first["performanceStatistics"], *rest["performanceStatistics"])]
        assert [len(first["performanceStatistics"]), len(rest["performanceStatistics"])] == [2, 1]
        assert sorted(found) == sorted(added["hashIdsSucceeded"])


@pytest.mark.parametrize(
    ("procedure", "payload", "warnings"),
    [
        ("heartbeat", {}, None),
        ("heartbeat", {"evseId": 1, "ocppVersion": "1.6"}, None),
        ("startTransaction", {"connectorId": 1, "idtag": "A"}, ["knows no member idtag; did you mean idTag?"]),
        ("listChargingStations", {"limt": 1, "": 0}, ["knows no member limt; did you mean limit?", "knows no member "]),
        ("simulatorState", {"why": 1}, ["knows no member why"]),
        (
            "addChargingStations",
            {"template": "keba", "options": {"autostart": False}},
            ["knows no member options.autostart; did you mean autoStart?"],
        ),
    ],
)
async def test_members_that_mean_nothing_are_named(
    procedure: str, payload: dict[str, Any], warnings: list[str] | None
) -> None:
    async with ui_house(stations={"schneider": 1}) as house:
        await house.ready()
        answer = await house.call(procedure, payload)
        assert answer["status"] == "success"
        assert answer.get("warnings") == (warnings and [f"{procedure} {text}" for text in warnings])
