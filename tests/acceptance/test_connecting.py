"""Scenarios 1 to 7: connecting, booting, being registered."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from simulator.csms import BootPolicy, CallUnanswered
from simulator.transport.server import HandshakeRequest
from tests.acceptance.bench import bench
from tests.station.harness import World


def watched(world: World) -> list[tuple[float, HandshakeRequest]]:
    """When there are upgrade requests, from now on, and what they are."""
    seen: list[tuple[float, HandshakeRequest]] = []

    def look(request: HandshakeRequest) -> None:
        seen.append((world.clock.wall(), request))

    world.central.authorize = look
    return seen


async def test_e01_the_identity_is_the_last_segment_of_the_path() -> None:
    """An identity with a blank is percent-encoded behind exactly one slash, and ocpp1.6 is offered."""
    async with bench(first_id="RDAM 123", start=False) as world:
        requests = watched(world)
        world.nursery.start_soon(world.fleet.run)
        await world.central.connected("RDAM 123")
        await world.settle()
        [(_, request)] = requests
        assert request.path == "/ocpp/RDAM%20123"
        assert "ocpp1.6" in request.subprotocols


async def test_e02_the_password_goes_with_the_identity() -> None:
    """Security profile 1: the upgrade carries Basic authentication of identity and the bytes of AuthorizationKey."""
    key = "4F43415F4F4354545F61646D696E5F74657374"
    async with bench(keys={"SecurityProfile": 1, "AuthorizationKey": key}) as world:
        await world.ready()
        expected = base64.b64encode(b"CS-1:" + bytes.fromhex(key)).decode()
        assert [upgrade.authorization for upgrade in world.central.upgrades] == [f"Basic {expected}"]


async def test_e03_without_a_subprotocol_nothing_is_said() -> None:
    """A server that agrees to no subprotocol gets no OCPP frame; the socket is closed and tried again, ever later."""

    def prepare(world: World) -> None:
        world.central.options = msgspec.structs.replace(world.central.options, subprotocols=())

    template = {"reconnectExponentialDelay": True}
    async with bench(change=prepare, start=False, faults=True, template=template) as world:
        seen = watched(world)
        world.nursery.start_soon(world.fleet.run)
        await world.sleep(200)
        assert len(seen) >= 4
        assert world.central.frames == []
        assert not world.known().connected
        pauses = [later - earlier for earlier, later in pairwise(time for time, _ in seen)]
        assert all(later > earlier for earlier, later in pairwise(pauses))


async def test_e04_a_rejected_station_is_silent_for_the_interval() -> None:
    """BootNotification answered Rejected: no answer and no CALL until the interval is over, then it boots again."""
    async with bench(boot=BootPolicy("Rejected", 5)) as world:
        await world.wait_for("BootNotification")
        with pytest.raises(CallUnanswered):
            await world.known().call("GetConfiguration", {}, timeout=4.9)
        assert world.actions() == ["BootNotification"]
        world.central.boot = BootPolicy("Accepted", 60)
        await world.wait_for("BootNotification", 2)
        first, second = world.times("BootNotification")
        assert 5 <= second - first < 6
        await world.ready()


async def test_e05_a_pending_station_answers_and_waits() -> None:
    """Pending: requests are answered, remote starts rejected, only what is triggered is sent, then it boots again."""
    async with bench(boot=BootPolicy("Pending", 10)) as world:
        await world.wait_for("BootNotification")
        await world.settle()
        assert (await world.call("GetConfiguration", key=["ConnectionTimeOut"]))["configurationKey"]
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Rejected"
        assert await world.trigger("StatusNotification") == "Accepted"
        await world.sleep(9)
        assert world.actions() == ["BootNotification", *["StatusNotification"] * 3]
        await world.wait_for("BootNotification", 2)
        first, second = world.times("BootNotification")
        assert second - first >= 10


async def test_e06_an_accepted_station_reports_itself_and_then_beats() -> None:
    """Accepted: one StatusNotification for 0, 1 and 2, then a Heartbeat at every interval."""
    async with bench(boot=BootPolicy("Accepted", 10)) as world:
        await world.ready()
        await world.sleep(41)
        assert world.statuses() == [(0, "Available"), (1, "Available"), (2, "Available")]
        assert world.actions()[4:] == ["Heartbeat"] * 4
        beats = [world.times("BootNotification")[0], *world.times("Heartbeat")]
        assert all(later - earlier == pytest.approx(10, abs=1) for earlier, later in pairwise(beats))


async def test_e07_an_accepted_station_does_not_boot_by_trigger() -> None:
    """TriggerMessage(BootNotification) after acceptance is rejected."""
    async with bench() as world:
        await world.ready()
        assert await world.trigger("BootNotification") == "Rejected"
        await world.sleep(10)
        assert len(world.sent("BootNotification")) == 1


async def test_a_cold_boot_that_is_first_rejected() -> None:
    """Rejected first: boots again after the interval, reports every connector, beats (a certification case)."""

    def prepare(world: World) -> None:
        rejected: dict[str, Any] = {"status": "Rejected", "interval": 15, "currentTime": "2026-11-22T10:00:00Z"}
        world.central.on("BootNotification", rejected, times=1)

    async with bench(boot=BootPolicy("Accepted", 20), change=prepare, faults=True) as world:
        await world.ready()
        await world.sleep(41)
        first, second = world.times("BootNotification")
        assert 15 <= second - first < 16
        assert world.actions()[2:] == [*["StatusNotification"] * 3, "Heartbeat", "Heartbeat"]
