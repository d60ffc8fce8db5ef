"""Lists of many stations: paged, picked, and never in anybody's way."""

from __future__ import annotations

import msgspec
import pytest
import trio

from simulator.control.control import Control
from simulator.control.registry import listing
from tests.ui.house import PATIENCE, ui_house
from ui_protocol.frames import encode_response
from ui_protocol.stations import ChargingStationData

#: Wall seconds in which a page must be there; it takes a tenth of that on an idle machine.
PAGE_WITHIN = 0.1


NUMBERS = {"connectorId", "evseId", "connectorStatus"}


async def best_of(control: Control, payload: dict[str, object], attempts: int = 5) -> float:
    """The shortest time of some attempts: others use the machine too."""
    times = []
    for _ in range(attempts):
        begun = trio.current_time()
        encode_response("x", await control.call("listChargingStations", payload))
        times.append(trio.current_time() - begun)
    return min(times)


async def test_a_page_of_a_large_fleet_comes_at_once() -> None:
    async with ui_house(stations={"keba": 1500}, run=False) as house:
        assert await best_of(house.control, {"limit": 50}) < PAGE_WITHIN
        assert await best_of(house.control, {"limit": 50, "offset": 1450}) < PAGE_WITHIN
        answer = await house.call("listChargingStations", {"limit": 50, "offset": 1480})
        assert answer["total"] == 1500
        assert len(answer["chargingStations"]) == 20


async def test_a_list_of_everything_lets_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "TURN", 0.0)  # as if all of it took long
    async with ui_house(stations={"keba": 400}, run=False) as house, trio.open_nursery() as nursery:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        nursery.start_soon(others)
        with trio.fail_after(PATIENCE):
            await house.control.call("listChargingStations", {})
        assert turns >= 400 // listing.BATCH // 2  # which of two tasks goes first in a turn is drawn
        nursery.cancel_scope.cancel()


async def test_stations_are_picked_and_searched() -> None:
    async with ui_house(stations={"keba": 12}, run=False) as house:
        answer = await house.call("listChargingStations", {"search": "keba-0001", "fields": ["started"]})
        assert answer["total"] == 3
        assert [set(station) for station in answer["chargingStations"]] == [{"stationInfo", "started"}] * 3
        fields = ["stationInfo.chargingStationId", "stationInfo.chargePointModel"]
        picked = await house.call("listChargingStations", {"hashIds": house.hash_ids[2:3], "fields": fields})
        assert picked["chargingStations"] == [
            {
                "stationInfo": {
                    "hashId": house.hash_ids[2],
                    "chargingStationId": "CS-KEBA-00003",
                    "chargePointModel": "KC-P30-ESS400C2-E0R",
                }
            }
        ]


async def test_of_connectors_only_the_members_asked_for_are_told() -> None:
    async with ui_house(stations={"schneider": 1}) as house:
        await house.ready()
        await house.call("startTransaction", {"connectorId": 2, "idTag": "TAG"})
        fields = ["connectors.status", "connectors.transactionIdTag", "connectors.nonsense"]
        answer = await house.call("listChargingStations", {"fields": fields})
        assert answer["chargingStations"][0]["connectors"] == [
            {"connectorId": 0, "status": "Available"},
            {"connectorId": 1, "status": "Available"},
            {"connectorId": 2, "status": "Charging", "transactionIdTag": "TAG"},
        ]
        everything = (await house.call("listChargingStations", {"fields": ["connectors", "connectors.status"]}))[
            "chargingStations"
        ][0]["connectors"][2]
        assert {"availability", "connectorStatus", "MeterValues"} <= everything.keys()


async def test_the_availability_of_station_and_connectors_is_told_apart() -> None:
    async with ui_house(stations={"schneider": 1}) as house:
        await house.ready()
        station_id = house.stations[0].info.station_id
        for connector_id in 2, 0:
            asked = {"connectorId": connector_id, "type": "Inoperative"}
            answer = await house.central.station(station_id).call("ChangeAvailability", asked)
            assert answer == {"status": "Accepted"}
        fields = ["connectors.availability"]
        answer = await house.call("listChargingStations", {"fields": fields})
        assert [connector["availability"] for connector in answer["chargingStations"][0]["connectors"]] == [
            "Inoperative",
            "Operative",  # and Unavailable as long as the station is
            "Inoperative",
        ]


async def test_both_generations_of_clients_find_what_they_read() -> None:
    async with ui_house(stations={"keba": 1}) as house:
        await house.ready()
        (station,) = (await house.call("listChargingStations"))["chargingStations"]
        assert station["started"] is True
        assert station["wsState"] == 1
        assert station["bootNotificationResponse"]["status"] == "Accepted"
        assert station["supervisionUrl"].endswith("/CS-KEBA-00001")
        for number, connector in enumerate(station["connectors"]):
            own = {name: member for name, member in connector.items() if name not in NUMBERS}
            assert connector["connectorStatus"] == own
            assert connector["connectorId"] == number
        assert station["connectors"][1]["status"] == "Available"
        assert station["connectors"][1]["transactionStarted"] is False
        assert set(station) <= {field.encode_name for field in msgspec.structs.fields(ChargingStationData)}
