"""What clients are told of changes, and what it costs the fleet: nothing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio

from simulator.control import feed as feed_module
from simulator.control.feed import INTERVAL
from tests.fakes.script import refuse
from tests.ui.house import PATIENCE, ui_house


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """News every 50 ms instead of every second."""
    monkeypatch.setattr(feed_module, "INTERVAL", 0.05)
    monkeypatch.setattr(feed_module, "PAUSE", 0.01)


async def test_refresh_comes_at_most_once_in_the_interval_and_never_starves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "INTERVAL", 0.2)
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server, server.session() as session, trio.open_nursery() as nursery:

            async def change() -> None:
                while True:
                    house.control.feed.changed(house.hash_ids[0])
                    await trio.sleep(0.001)

            nursery.start_soon(change)
            times = []
            with trio.fail_after(PATIENCE):
                for _ in range(5):
                    assert await session.receive() == ["refresh"]
                    times.append(trio.current_time())
            nursery.cancel_scope.cancel()
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert min(gaps) > 0.15
            assert max(gaps) < 1.0


async def test_a_quiet_fleet_sends_nothing() -> None:
    async with ui_house() as house:
        await house.ready()
        follower = house.control.follower()
        with trio.move_on_after(0.1) as waited:
            await follower.next()
        assert waited.cancelled_caught


@pytest.mark.usefixtures("quick")
async def test_subscribers_get_the_stations_that_changed_and_no_refresh() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server, server.session() as session:
            fields = ["stationInfo.chargingStationId", "connectors"]
            answer = await session.ask("subscribe", {"topics": ["stations"], "fields": fields})
            assert answer == {"status": "success"}
            session.news.clear()
            await house.call("plugIn", {"connectorId": 2, "hashIds": house.hash_ids[1:]})
            name, delta = await session.receive_named("stations")
            assert (name, delta["removed"], delta["total"]) == ("stations", [], 2)
            changed = delta["changed"][0]
            assert changed["stationInfo"] == {
                "hashId": house.hash_ids[1],
                "chargingStationId": "CS-SCHNEIDER-00002",
            }
            assert changed["connectors"][2]["status"] == "Preparing"
            assert "started" not in changed
            assert session.news == []


@pytest.mark.usefixtures("quick")
async def test_subscribers_of_some_stations_hear_of_no_others() -> None:
    async with ui_house() as house:
        await house.ready()
        follower = house.control.follower()
        await house.control.call("subscribe", {"topics": ["stations"], "hashIds": house.hash_ids[:1]}, follower)
        house.control.feed.changed(house.hash_ids[1])
        with trio.move_on_after(0.2) as waited:
            await follower.next()
        assert waited.cancelled_caught
        house.control.feed.changed(house.hash_ids[0])
        with trio.fail_after(PATIENCE):
            (text,) = await follower.next()
        assert house.hash_ids[0] in text
        assert house.hash_ids[1] not in text


@pytest.mark.usefixtures("quick")
async def test_subscribers_get_the_messages_of_the_wire_with_secrets_masked() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server, server.session() as session:
            one = house.hash_ids[:1]
            assert (await session.ask("subscribe", {"topics": ["messages"], "hashIds": one}))["status"] == "success"
            house.central.on("DataTransfer", refuse("SecurityError", "no"))
            await house.call("dataTransfer", {"vendorId": "x", "data": '{"password": "geheim"}'})
            frames: list[dict[str, Any]] = []
            with trio.fail_after(PATIENCE):
                while len(frames) < 2:
                    frames += (await session.receive_named("messages"))[1]["messages"]
            assert {frame["hashId"] for frame in frames} == set(one)
            assert [frame["kind"] for frame in frames[:2]] == ["call", "error"]
            assert frames[0]["action"] == frames[1]["action"] == "DataTransfer"
            assert "geheim" not in str(frames)


async def test_subscribe_needs_somebody_who_can_be_told() -> None:
    async with ui_house() as house, house.serving() as server:
        answer = await server.post("subscribe", {"topics": ["stations"]})
        assert answer.status == 400
        assert "WebSocket" in answer.json()["errorMessage"]


async def test_a_slow_reader_finds_each_changed_station_once() -> None:
    async with ui_house(stations={"keba": 50}, run=False) as house:
        feed = house.control.feed
        start = feed.sequence
        for _ in range(1000):
            for hash_id in house.hash_ids:
                feed.changed(hash_id)
        first = feed.since(start, limit=30)
        assert first.changed == house.hash_ids[:30]
        feed.changed(house.hash_ids[0])
        rest = feed.since(first.upto, limit=30)
        assert rest.changed == [*house.hash_ids[30:], house.hash_ids[0]]
        assert feed.since(rest.upto).changed == []


async def test_a_removed_station_is_told_as_removed() -> None:
    async with ui_house(stations={"keba": 3}, run=False) as house:
        feed = house.control.feed
        start = feed.sequence
        feed.changed(house.hash_ids[0])
        feed.removed(house.hash_ids[0])
        changes = feed.since(start)
        assert (changes.changed, changes.removed) == ([], [house.hash_ids[0]])


async def test_events_of_the_fleet_are_changes() -> None:
    async with ui_house() as house:
        await house.ready()
        feed = house.control.feed
        start = feed.sequence
        await house.call("startTransaction", {"connectorId": 1, "hashIds": house.hash_ids[:1]})
        assert feed.since(start).changed == house.hash_ids[:1]


def test_the_interval_is_what_clients_were_promised() -> None:
    assert INTERVAL >= 1.0
