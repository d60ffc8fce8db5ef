"""AuthorizationKey and SecurityProfile: what is taken, what is shown, and how the station connects afterwards."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from simulator.csms.central import passwords
from simulator.events import Connected
from tests.fakes.script import withhold
from tests.station.harness import World, station_world

#: Hexadecimal digits of "OCA_OCTT_admin_test", as the certification tool sends them.
KEY = "4F43415F4F4354545F61646D696E5F74657374"
PASSWORD = b"OCA_OCTT_admin_test"
OTHER = "00112233445566778899aabbccddeeff00112233"
PROFILE_1: Mapping[str, Any] = {"SecurityProfile": 1, "AuthorizationKey": OTHER}


def basic(user: str, password: bytes) -> str:
    return "Basic " + base64.b64encode(user.encode() + b":" + password).decode()


def shown(world: World) -> list[str | None]:
    """The Authorization headers of all connections so far."""
    return [upgrade.authorization for upgrade in world.central.upgrades]


async def test_a_new_authorization_key_is_used_at_once_and_nothing_is_lost() -> None:
    async with station_world(keys={**PROFILE_1, "MeterValueSampleInterval": 0}) as world:
        await world.ready()
        transaction = await world.charge()
        assert await world.key("AuthorizationKey", KEY) == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert shown(world) == [basic("CS-1", bytes.fromhex(OTHER)), basic("CS-1", PASSWORD)]
        assert world.closings() == [1000]
        await world.stop_charging(transaction)
        assert len(world.sent("BootNotification")) == 1
        assert len(world.sent("StartTransaction")) == 1


async def test_a_call_under_way_is_answered_before_the_connection_is_left() -> None:
    async with station_world(keys=PROFILE_1) as world:
        await world.ready()
        held = withhold(process=True)
        world.central.on("StartTransaction", held, times=1)
        await world.status_of("RemoteStartTransaction", connectorId=1, idTag="TAG")
        await world.wait_for("StartTransaction")
        assert await world.key("AuthorizationKey", KEY) == "Accepted"
        await world.sleep(1)
        assert world.known().connections == 1
        held.release()
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert len(world.sent("StartTransaction")) == 1


async def test_the_same_key_again_makes_the_station_reconnect_too() -> None:
    async with station_world(keys={"AuthorizationKey": KEY}) as world:
        await world.ready()
        assert await world.key("AuthorizationKey", KEY) == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert shown(world) == [basic("CS-1", PASSWORD)] * 2


@pytest.mark.parametrize(
    "value", ["", "4F43", KEY[:31], KEY[:30], KEY + KEY[:4], "G" * 40, "secret password1", f" {KEY}"]
)
async def test_what_is_no_key_is_refused(value: str) -> None:
    async with station_world(keys=PROFILE_1) as world:
        await world.ready()
        assert await world.key("AuthorizationKey", value) == "Rejected"
        await world.sleep(5)
        assert world.known().connections == 1


async def test_the_key_is_known_and_never_shown() -> None:
    async with station_world(keys=PROFILE_1) as world:
        await world.ready()
        everything = await world.call("GetConfiguration")
        assert "AuthorizationKey" not in [key["key"] for key in everything["configurationKey"]]
        named = await world.call("GetConfiguration", key=["authorizationkey", "SecurityProfile"])
        assert named["configurationKey"] == [
            {"key": "AuthorizationKey", "readonly": False},
            {"key": "SecurityProfile", "readonly": False, "value": "1"},
        ]
        assert OTHER not in str(everything) + str(named)


async def test_a_key_that_the_central_system_then_refuses_is_taken_back() -> None:
    def prepare(world: World) -> None:
        world.central.authorize = passwords({"CS-1": bytes.fromhex(OTHER)})

    async with station_world(keys=PROFILE_1, change=prepare) as world:
        await world.ready()
        assert await world.key("AuthorizationKey", KEY) == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert shown(world) == [basic("CS-1", bytes.fromhex(OTHER))] * 2
        assert "FailedToAuthenticateAtCentralSystem" in world.station.security.log_text()


async def test_a_network_that_is_away_says_nothing_of_the_key() -> None:
    async with station_world(keys=PROFILE_1) as world:
        await world.ready()
        world.central.network.refuse()
        assert await world.key("AuthorizationKey", KEY) == "Accepted"
        await world.sleep(600)
        await world.come_back()
        assert shown(world)[-1] == basic("CS-1", PASSWORD)


async def test_the_digits_themselves_can_be_the_password() -> None:
    async with station_world(template={"authorizationKeyAsText": True}, keys={"AuthorizationKey": KEY}) as world:
        await world.ready()
        assert shown(world) == [basic("CS-1", KEY.encode())]


async def test_credentials_of_the_template_hold_until_the_central_system_sets_a_key() -> None:
    template = {"supervisionUser": "someone", "supervisionPassword": "something"}
    async with station_world(template=template, keys={"AuthorizationKey": OTHER}) as world:
        await world.ready()
        assert await world.key("AuthorizationKey", KEY) == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert shown(world) == [basic("someone", b"something"), basic("CS-1", PASSWORD)]


async def test_raising_the_profile_reconnects_and_lowering_it_is_refused() -> None:
    async with station_world(keys={"AuthorizationKey": KEY}) as world:
        await world.ready()
        assert await world.key("SecurityProfile", 1) == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        for value in ("1", "0", "-1", "4", "", "two", "1.5"):
            assert await world.key("SecurityProfile", value) == "Rejected"
        assert world.station.security.profile == 1
        assert world.known().connections == 2


async def test_a_profile_that_takes_a_reboot_waits_for_it() -> None:
    keys = {"AuthorizationKey": KEY, "SecurityProfile": {"value": "0", "reboot": True}}
    async with station_world(keys=keys) as world:
        await world.ready()
        assert await world.key("SecurityProfile", 1) == "RebootRequired"
        await world.sleep(60)
        assert len(world.happened(Connected)) == 1
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.central.connected("CS-1", 2)


async def test_a_key_of_the_central_system_replaces_what_people_have_set() -> None:
    async with station_world() as world:
        await world.ready()
        world.station.supervise(world.central.MEMORY_URL, "someone", "something")
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert await world.key("AuthorizationKey", KEY) == "Accepted"
        await world.central.connected("CS-1", 3)
        await world.settle()
        assert shown(world) == [None, basic("someone", b"something"), basic("CS-1", PASSWORD)]
