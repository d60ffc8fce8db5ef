"""Connecting, losing the connection, coming back (OCPP-J 1.6 §5.3)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from simulator.csms import BootPolicy
from simulator.events import Connected, ConnectFailed, Disconnected
from tests.fakes.script import close
from tests.station.harness import World, station_world


async def test_after_a_reconnection_the_station_does_not_boot_and_tells_only_what_changed() -> None:
    async with station_world(keys={"AuthorizeRemoteTxRequests": "false"}) as world:
        await world.ready()
        await world.sleep(30)
        world.go_offline()
        await world.sleep(5)
        await world.come_back()
        assert world.actions() == ["BootNotification", *["StatusNotification"] * 3]
        transaction = await world.charge(2)
        told = len(world.statuses())
        world.go_offline()
        await world.sleep(5)
        world.station.sessions.end(world.station.sessions.running()[0], "Local")  # type: ignore[arg-type]
        await world.sleep(5)
        await world.come_back()
        # Charging, Finishing, Available: only what is true now is told.
        assert world.statuses()[told:] == [(2, "Available")]
        assert world.transactions() == [transaction]
        assert not transaction.is_open
        assert len(world.sent("BootNotification")) == 1


@pytest.mark.parametrize("code", [1000, 1001, 1011])
async def test_whatever_the_central_system_closes_with_the_station_comes_back(code: int) -> None:
    async with station_world(boot=BootPolicy("Accepted", 10)) as world:
        await world.ready()
        world.central.on("Heartbeat", close(code, "bye"), times=1)
        await world.central.connected("CS-1", 2, timeout=60)
        assert [(event.code, event.reason) for event in world.happened(Disconnected)] == [(code, "bye")]


def pauses(world: World) -> list[float]:
    return [event.retry_in for event in world.happened(ConnectFailed) if event.retry_in is not None]


async def test_the_flat_schedule_of_reconnections() -> None:
    async with station_world(change=lambda world: world.central.network.refuse()) as world:
        await world.sleep(300)
        assert 1 <= pauses(world)[0] <= 5
        assert len(pauses(world)) >= 8
        assert all(24 <= pause <= 36 for pause in pauses(world)[1:])
        await world.come_back()
        await world.ready()


async def test_the_exponential_schedule_of_reconnections() -> None:
    template = {"reconnectExponentialDelay": True}
    async with station_world(template=template, change=lambda world: world.central.network.refuse()) as world:
        await world.sleep(2000)
        for n, pause in enumerate(pauses(world)[:11], start=1):
            assert 0.1 * 2**n <= pause <= 0.1 * 2**n * 1.2
        assert all(later > earlier for earlier, later in pairwise(pauses(world)[:11]))
        assert max(pauses(world)) <= 300


@pytest.mark.parametrize(("of_template", "of_fleet", "attempts"), [(0, -1, 1), (2, 7, 3), (None, 2, 3), (None, 0, 1)])
async def test_connection_attempts_end_with_their_retries_and_a_station_can_be_opened_again(
    of_template: int | None, of_fleet: int, attempts: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with station_world(
        template={"autoReconnectMaxRetries": of_template},
        auto_reconnect_max_retries=of_fleet,
        change=lambda world: world.central.network.refuse(),
    ) as world:
        await world.sleep(100_000)
        assert world.central.network.attempts == attempts
        assert [event.retry_in is None for event in world.happened(ConnectFailed)] == [False] * (attempts - 1) + [True]
        assert "autoReconnectMaxRetries" in caplog.text
        world.central.network.restore()
        world.station.line.open()
        await world.ready()


async def test_retries_without_end() -> None:
    async with station_world(
        template={"autoReconnectMaxRetries": -1},
        auto_reconnect_max_retries=0,
        change=lambda world: world.central.network.refuse(),
    ) as world:
        await world.sleep(36_000)
        assert world.central.network.attempts > 900


async def test_retries_count_anew_after_a_good_connection_and_after_a_reset() -> None:
    async with station_world(template={"autoReconnectMaxRetries": 1}) as world:
        for count in range(2, 6):
            await world.sleep(15)
            world.central.line("CS-1").cut()
            await world.central.connected("CS-1", count, timeout=60)
        world.go_offline()
        await world.sleep(200)
        given_up = world.central.network.attempts
        world.central.network.restore()
        await world.sleep(1000)
        assert world.central.network.attempts == given_up
        world.station.reset("Local")  # type: ignore[arg-type]
        await world.central.connected("CS-1", 6, timeout=60)


async def test_a_connection_that_is_closed_by_order_stays_closed_until_it_is_opened() -> None:
    async with station_world() as world:
        await world.ready()
        world.station.line.close(hold=True)
        await world.sleep(1000)
        assert world.closings() == [1000]
        assert len(world.happened(Connected)) == 1
        world.station.line.open()
        await world.settle()
        assert len(world.happened(Connected)) == 2


async def test_the_supervision_url_can_be_changed_by_its_key() -> None:
    template = {"supervisionUrlOcppConfiguration": True, "supervisionUrlOcppKey": "BackOffice", "resetTime": 5}
    async with station_world(template=template) as world:
        await world.ready()
        (key,) = (await world.call("GetConfiguration", key=["backoffice"]))["configurationKey"]
        assert key == {"key": "BackOffice", "readonly": False, "value": "ws://central.test/ocpp/"}
        for wrong in ("nonsense", "http://elsewhere.test/", "ws://", "ws://[1/", "ws://host:port/"):
            assert await world.key("BackOffice", wrong) == "Rejected"
        assert await world.key("BackOffice", "ws://elsewhere.test/a%20b?token=1") == "RebootRequired"
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert [event.url for event in world.happened(Connected)] == [
            "ws://central.test/ocpp/CS-1",
            "ws://elsewhere.test/a%20b/CS-1?token=1",
        ]


async def test_a_silent_network_is_given_up_after_the_handshake_timeout() -> None:
    template = {"wsOptions": {"handshakeTimeout": 4000}}
    async with station_world(template=template, change=lambda world: world.central.network.black_hole()) as world:
        await world.sleep(3.9)
        assert world.happened(ConnectFailed) == []
        await world.sleep(0.2)
        assert len(world.happened(ConnectFailed)) == 1
        await world.come_back()
