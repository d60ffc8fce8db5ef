"""Security events: the log, and notifications that are not lost (security white paper, A04)."""

from __future__ import annotations

from itertools import pairwise

import trio

from simulator.csms import BootPolicy
from simulator.station.security_events import LOG_LENGTH, Kind
from simulator.timestamps import parse_timestamp
from tests.fakes.script import refuse, withhold
from tests.station.harness import START, World, station_world

ON = {"securityEvents": True}


def told(world: World) -> list[str]:
    return [payload["type"] for payload in world.sent("SecurityEventNotification")]


def logged(world: World) -> list[str]:
    return [event.kind for event in world.station.security.events.log]


async def test_a_central_system_that_may_not_know_them_gets_none() -> None:
    async with station_world() as world:
        await world.ready()
        await world.refused("ChangeConfiguration", key="HeartbeatInterval")
        await world.status_of("Reset", type="Soft")
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert told(world) == []
        assert logged(world)[:2] == ["StartupOfTheDevice", "InvalidMessages"]


async def test_whoever_uses_the_extension_gets_what_happens_from_then_on() -> None:
    async with station_world() as world:
        await world.ready()
        await world.call("GetInstalledCertificateIds", certificateType="ManufacturerRootCertificate")
        await world.status_of("Reset", type="Soft")
        await world.central.connected("CS-1", 2)
        await world.wait_for("SecurityEventNotification", 2)
        assert told(world) == ["ResetOrReboot", "StartupOfTheDevice"]


async def test_the_template_can_switch_them_off() -> None:
    async with station_world(template={"securityEvents": False}, keys={"SecurityProfile": 0}) as world:
        await world.ready()
        await world.status_of("Reset", type="Soft")
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert told(world) == []


async def test_a_security_profile_in_the_template_switches_them_on() -> None:
    async with station_world(keys={"SecurityProfile": 0}) as world:
        await world.ready()
        assert told(world) == ["StartupOfTheDevice"]
        assert world.actions()[0] == "BootNotification"


async def test_events_of_a_time_without_connection_arrive_in_order_with_their_time() -> None:
    async with station_world(template=ON) as world:
        await world.ready()
        world.go_offline()
        await world.sleep(10)
        world.station.security.event("TamperDetectionActivated", "door")
        await world.sleep(20)
        world.station.security.event("MemoryExhaustion")
        await world.come_back()
        (tamper, memory) = world.sent("SecurityEventNotification", after=1)
        assert (tamper["type"], tamper["techInfo"]) == ("TamperDetectionActivated", "door")
        assert "techInfo" not in memory
        assert parse_timestamp(tamper["timestamp"])[0] == START + 10
        assert parse_timestamp(memory["timestamp"])[0] == START + 30


async def test_events_survive_a_reset_and_wait_for_acceptance() -> None:
    async with station_world(template=ON) as world:
        await world.ready()
        held = withhold()
        world.central.on("SecurityEventNotification", held)
        world.station.security.event("TamperDetectionActivated")
        await world.settle()
        world.central.boot = BootPolicy(status="Pending", interval=20)
        await world.status_of("Reset", type="Hard")
        await world.central.connected("CS-1", 2)
        await world.sleep(10)
        world.central.off("SecurityEventNotification")
        assert told(world) == ["StartupOfTheDevice", "TamperDetectionActivated"]
        world.central.boot = BootPolicy(status="Accepted", interval=300)
        await world.sleep(60)
        assert told(world)[2:] == ["TamperDetectionActivated", "ResetOrReboot", "StartupOfTheDevice"]


async def test_an_event_is_sent_until_it_is_answered() -> None:
    async with station_world(template=ON) as world:
        world.central.on("SecurityEventNotification", refuse("InternalError"), times=3)
        await world.ready()
        await world.sleep(600)
        assert told(world) == ["StartupOfTheDevice"] * 4
        times = world.times("SecurityEventNotification")
        assert [later - earlier for earlier, later in pairwise(times)] == [60, 120, 180]


async def test_a_central_system_that_does_not_know_them_is_told_no_more_until_the_next_boot() -> None:
    async with station_world(template=ON) as world:
        world.central.on("SecurityEventNotification", refuse("NotImplemented"), times=1)
        await world.ready()
        world.station.security.event("TamperDetectionActivated")
        await world.sleep(600)
        assert told(world) == ["StartupOfTheDevice"]
        await world.status_of("Reset", type="Soft")
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert told(world) == ["StartupOfTheDevice", "StartupOfTheDevice"]
        assert "TamperDetectionActivated" in logged(world)


async def test_a_clock_that_is_set_is_an_event() -> None:
    async with station_world(template=ON, now=lambda: START + 3600) as world:
        await world.ready()
        (event,) = [e for e in world.sent("SecurityEventNotification") if e["type"] == "SettingSystemTime"]
        assert event["techInfo"] == "by +3600.000 s"


async def test_what_is_not_critical_stays_in_the_log() -> None:
    async with station_world(template=ON) as world:
        await world.ready()
        await world.refused("ChangeConfiguration", key="HeartbeatInterval")
        assert await world.key("AuthorizationKey", "00112233445566778899aabbccddeeff") == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert told(world) == ["StartupOfTheDevice"]
        text = world.station.security.log_text()
        assert "InvalidMessages ChangeConfiguration: " in text
        assert "ReconfigurationOfSecurityParameters AuthorizationKey\n" in text
        assert "0011223344" not in text


async def test_the_log_between_two_instants() -> None:
    async with station_world() as world:
        await world.ready()
        for second in range(1, 4):
            await trio.sleep(1)
            world.station.security.event(Kind.TAMPER_DETECTION_ACTIVATED, f"number {second}\nof 3")
        text = world.station.security.log_text(START + 1.5, START + 2.5)
        assert text == "2026-11-22T10:00:02.000Z TamperDetectionActivated number 2 of 3\n"
        for _ in range(LOG_LENGTH):
            world.station.security.event(Kind.MEMORY_EXHAUSTION, "x" * 300)
        assert set(logged(world)) == {"MemoryExhaustion"}
        assert len(world.station.security.log_lines()) == LOG_LENGTH
        assert len(world.station.security.events.log[-1].tech_info) == 255
