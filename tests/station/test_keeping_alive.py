"""Heartbeats, pings, and the clock that the central system sets."""

from __future__ import annotations

from itertools import pairwise

import pytest

from simulator.csms import BootPolicy
from simulator.events import Disconnected
from simulator.timestamps import format_timestamp, parse_timestamp
from tests.fakes.script import delay, withhold
from tests.station.harness import START, World, station_world


def gaps(world: World, action: str = "Heartbeat") -> list[float]:
    return [round(later - earlier, 3) for earlier, later in pairwise(world.times(action))]


async def test_heartbeats_come_at_their_interval_however_long_the_answers_take() -> None:
    async with station_world(boot=BootPolicy("Accepted", 10)) as world:
        await world.ready()
        world.central.on("Heartbeat", delay(7))
        await world.sleep(101)
        assert world.times("Heartbeat")[0] == pytest.approx(world.times("BootNotification")[0] + 10)
        assert gaps(world) == [10] * 9


async def test_a_heartbeat_is_not_sent_while_the_last_one_has_no_answer() -> None:
    async with station_world(boot=BootPolicy("Accepted", 10), keys={"MessageTimeout": 25}) as world:
        await world.ready()
        world.central.on("Heartbeat", withhold(), times=1)
        await world.sleep(61)
        assert gaps(world) == [30, 10, 10]


async def test_a_new_interval_counts_from_the_change_on() -> None:
    async with station_world(boot=BootPolicy("Accepted", 1000)) as world:
        await world.ready()
        await world.sleep(100)
        assert await world.key("HeartbeatInterval", 7) == "Accepted"
        changed = world.calls()[-1].time + 100
        await world.sleep(29)
        assert world.times("Heartbeat") == pytest.approx([changed + 7 * n for n in (1, 2, 3, 4)])
        assert await world.key("HeartbeatInterval", 0) == "Accepted"
        await world.sleep(3 * 86_400 + 5)
        assert gaps(world)[4:] == [86_400] * 2


async def test_an_interval_of_zero_in_the_boot_answer_leaves_the_key_alone() -> None:
    async with station_world(boot=BootPolicy("Accepted", 0), keys={"HeartbeatInterval": 33}) as world:
        await world.ready()
        await world.sleep(100)
        assert gaps(world) == [33, 33]


async def test_heartbeats_go_on_after_a_reconnection_and_a_reset() -> None:
    async with station_world(boot=BootPolicy("Accepted", 60), template={"resetTime": 5}) as world:
        await world.ready()
        world.central.line("CS-1").cut()
        await world.central.connected("CS-1", 2)
        await world.sleep(121)
        assert len(world.sent("Heartbeat")) == 2
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.central.connected("CS-1", 3)
        await world.sleep(121)
        assert len(world.sent("Heartbeat")) == 4


async def test_the_clock_of_the_station_follows_the_central_system() -> None:
    def prepare(world: World) -> None:
        now = world.central.now
        world.central.now = lambda: now() + 3600

    async with station_world(change=prepare, boot=BootPolicy("Accepted", 60)) as world:
        await world.ready()
        told = [parse_timestamp(status["timestamp"])[0] for status in world.sent("StatusNotification")]
        assert told == [pytest.approx(START + 3600, abs=1)] * 3
        now = world.central.now
        world.central.now = lambda: now() - 7200
        await world.sleep(60)
        transaction = await world.charge()
        assert parse_timestamp(transaction.started_at)[0] == pytest.approx(world.central.now(), abs=1)
        # What its clock says moves no deadline.
        await world.sleep(60)
        assert gaps(world) == [60]


async def test_a_currenttime_that_is_no_instant_is_passed_over() -> None:
    async with station_world(template={"payloadSchemaValidation": False}, faults=True) as world:
        await world.ready()
        world.central.on("Heartbeat", {"currentTime": "yesterday"})
        assert await world.trigger("Heartbeat") == "Accepted"
        await world.sleep(1)
        transaction = await world.charge()
        assert transaction.started_at.startswith("2026-11-22T10:00")


async def test_at_another_speed_the_central_system_sets_no_clock() -> None:
    def prepare(world: World) -> None:
        world.central.now = lambda: START + 1_000_000

    async with station_world(speed=60, change=prepare, boot=BootPolicy("Accepted", 60)) as world:
        await world.ready()
        await world.sleep(10)
        assert gaps(world) == [1] * 9
        transaction = await world.charge()
        assert transaction.started_at == format_timestamp(START + 600)


async def test_without_a_pong_the_station_connects_again() -> None:
    async with station_world(keys={"WebSocketPingInterval": 20}) as world:
        await world.ready()
        await world.sleep(100)
        assert world.known().connections == 1
        world.central.network.lines[-1].black_hole()
        # The next ping leaves within 20 s and waits 10 s for its pong; then comes the first pause.
        await world.central.connected("CS-1", 2, timeout=36)
        assert [event.code for event in world.happened(Disconnected)] == [1006]
        assert "pong" in world.happened(Disconnected)[0].reason


async def test_pings_follow_their_key_and_zero_ends_them() -> None:
    async with station_world(keys={"WebSocketPingInterval": 0}) as world:
        await world.ready()
        world.central.network.lines[-1].black_hole()
        await world.sleep(200)
        assert world.happened(Disconnected) == []
        world.central.network.restore()
        assert await world.key("WebSocketPingInterval", -1) == "Rejected"
        assert await world.key("WebSocketPingInterval", 5) == "Accepted"
        await world.sleep(30)
        world.central.network.lines[-1].black_hole()
        await world.sleep(16)
        assert len(world.happened(Disconnected)) == 1


async def test_heartbeats_do_not_wait_for_a_pong() -> None:
    async with station_world(keys={"WebSocketPingInterval": 19}, boot=BootPolicy("Accepted", 20)) as world:
        await world.ready()
        line = world.central.network.lines[-1]
        await world.sleep(18.5)
        line.black_hole()
        await world.sleep(3)
        line.restore()
        await world.sleep(40)
        assert world.known().connections == 1
        assert gaps(world)[1:] == [20]
