"""Switches of a template that change what a whole station does."""

from __future__ import annotations

import pytest

from tests.station.harness import station_world


async def test_boot_statuses_are_told_and_hold() -> None:
    connectors = {
        "0": {},
        "1": {"bootStatus": "Faulted"},
        "2": {"bootStatus": "Unavailable"},
        "3": {"bootStatus": "Preparing"},
    }
    async with station_world(template={"numberOfConnectors": 3, "Connectors": connectors, "resetTime": 5}) as world:
        await world.ready()
        expected = [(0, "Available"), (1, "Faulted"), (2, "Unavailable"), (3, "Preparing")]
        assert world.statuses() == expected
        errors = [payload["errorCode"] for payload in world.sent("StatusNotification")]
        assert errors == ["NoError", "OtherError", "NoError", "NoError"]
        for connector, answer in ((1, "Rejected"), (2, "Rejected"), (3, "Accepted")):
            assert await world.status_of("RemoteStartTransaction", connectorId=connector, idTag="A") == answer
        await world.settle()
        await world.stop_charging(world.transactions()[0])
        assert world.statuses(3)[-2:] == ["Finishing", "Available"]
        told = len(world.statuses())
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.sleep(20)
        assert world.statuses()[told:] == expected


@pytest.mark.parametrize("template", [{"useConnectorId0": False}, {"Connectors": {"1": {}, "2": {}}}])
async def test_a_station_without_connector_0(template: dict[str, object]) -> None:
    async with station_world(template=template | {"resetTime": 5}) as world:
        await world.ready()
        assert world.statuses() == [(1, "Available"), (2, "Available")]
        assert await world.status_of("ChangeAvailability", connectorId=0, type="Inoperative") == "Accepted"
        await world.settle()
        assert world.statuses()[2:] == [(1, "Unavailable"), (2, "Unavailable")]
        assert await world.status_of("ChangeAvailability", connectorId=0, type="Operative") == "Accepted"
        assert await world.trigger("StatusNotification", 0) == "Rejected"
        transaction = await world.charge(1)
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.sleep(20)
        assert transaction.reason == "SoftReset"
        await world.fleet.stop()
        assert world.statuses()[-2:] == [(2, "Unavailable"), (1, "Unavailable")]


async def test_a_station_lingers_in_finishing_for_the_post_transaction_delay() -> None:
    async with station_world(template={"postTransactionDelay": 20}) as world:
        await world.ready()
        await world.stop_charging(await world.charge(1))
        ended = world.times("StatusNotification")[-1]
        assert world.statuses(1)[-1] == "Finishing"
        await world.sleep(25)
        assert world.statuses(1)[-1] == "Available"
        assert world.times("StatusNotification")[-1] == pytest.approx(ended + 20)
        # A new session may begin before.
        await world.stop_charging(await world.charge(1))
        await world.sleep(5)
        assert (await world.charge(1)).is_open
        await world.sleep(60)
        assert world.statuses(1)[-3:] == ["Finishing", "Preparing", "Charging"]
        # And its delay is its own.
        await world.stop_charging(world.transactions()[-1])
        await world.sleep(10)
        await world.stop_charging(await world.charge(1))
        await world.sleep(15)
        assert world.statuses(1)[-1] == "Finishing"
        await world.sleep(6)
        assert world.statuses(1)[-1] == "Available"


async def test_basic_authentication_and_the_path_of_the_station() -> None:
    seen: list[tuple[str, str | None]] = []
    template = {"supervisionUser": "fleet", "supervisionPassword": "pässword"}
    async with station_world(template=template, start=False) as world:
        attach = world.central.station_connected

        def connected(station: object) -> None:
            link = world.known().link
            assert link is not None
            headers = {name.lower(): value for name, value in link.connection.headers}
            seen.append((link.connection.path, headers.get("authorization")))
            attach(world.known())

        world.central.station_connected = connected  # type: ignore[method-assign]
        await world.nursery.start(world.fleet.run)
        await world.ready()
        assert seen == [("/ocpp/CS-1", "Basic ZmxlZXQ6cMOkc3N3b3Jk")]
