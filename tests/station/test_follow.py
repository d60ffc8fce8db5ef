"""A running station follows a changed template: what need not end does not end, and what was changed stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulator.control.making import keep_connectors
from simulator.station.follow import IN_PLACE, OF_CONNECTION, Way, follow, way_of, way_of_template
from simulator.station.memory_parts import station_info
from simulator.station.station import station_random
from simulator.templates.info import StationInfo, resolve_station
from simulator.templates.load import build_template
from simulator.templates.model import StationTemplate
from tests.station.harness import World, document, station_world

SERIAL = {"chargePointSerialNumberPrefix": "AC"}


def changed(
    world: World,
    template: Mapping[str, Any] | None = None,
    keys: Mapping[str, Any] | None = None,
    *,
    tags: Sequence[str] | None = None,
    hash_id: str | None = None,
) -> StationInfo:
    """CS-1 by another template."""
    before = world.station.info
    info = resolve_station(
        build_template(document(template, keys), Path("test.station-template.json")),
        before.template_index,
        station_id=before.station_id,
        hash_id=hash_id or before.hash_id,
        rng=station_random(7, "info"),
        id_tags=before.id_tags if tags is None else tags,
        vehicles=before.vehicles,
        fallback_supervision_urls=before.supervision_urls,
        kept=station_info(before),
    )
    return keep_connectors(before, info)


def apply(world: World, info: StationInfo, *, way: Way = Way.IN_PLACE) -> None:
    station = world.station
    assert way_of(station.info, info) is way
    follow(station, info, station.configured_url)


# -- which way ---------------------------------------------------------------------------------------------------------


def test_every_member_that_changes_in_place_is_a_member_of_a_template() -> None:
    members = set(StationTemplate.__struct_fields__)
    assert members >= IN_PLACE
    assert members >= OF_CONNECTION
    assert not IN_PLACE & OF_CONNECTION


@pytest.mark.parametrize(
    ("template", "keys", "way"),
    [
        ({}, {}, Way.NOTHING),
        ({"resetTime": 7}, {}, Way.IN_PLACE),
        ({"power": 11}, {}, Way.IN_PLACE),
        ({"AutomaticTransactionGenerator": {"enable": True}}, {}, Way.IN_PLACE),
        ({}, {"HeartbeatInterval": 77}, Way.IN_PLACE),
        ({"supervisionUser": "me", "supervisionPassword": "x"}, {}, Way.RECONNECT),
        ({"wsOptions": {"handshakeTimeout": 5000}}, {}, Way.RECONNECT),
        ({"wsOptions": {"handshakeTimeout": 5000}, "voltageOut": 110}, {}, Way.RESTART),
        ({"currentOutType": "DC"}, {}, Way.RESTART),
        ({"chargePointModel": "Two"}, {}, Way.RESTART),
        ({}, {"SecurityProfile": 1}, Way.RESTART),
    ],
)
def test_what_a_change_takes(template: dict[str, Any], keys: dict[str, Any], way: Way) -> None:
    before, after = (
        build_template(document(*changes), Path("a.json")).template for changes in (({}, {}), (template, keys))
    )
    assert way_of_template(before, after) is way
    assert way_of_template(after, before) is way


# -- in place ----------------------------------------------------------------------------------------------------------


async def test_a_transaction_goes_on_under_changed_keys_power_and_meter_values() -> None:
    keys = {"MeterValueSampleInterval": 60}
    async with station_world(keys=keys) as world:
        await world.ready()
        transaction = await world.charge()
        await world.sleep(130)
        assert len(world.sent("MeterValues")) == 2
        power = world.station.connectors[1].watts
        new = changed(
            world,
            {
                "power": 4,
                "Connectors": {"0": {}, "1": {"MeterValues": [{"unit": "kWh"}]}, "2": {}},
            },
            {**keys, "MeterValueSampleInterval": 10, "Mine": "x"},
        )
        apply(world, new)
        assert world.station.connectors[1].watts < power
        await world.sleep(35)
        later = world.sent("MeterValues", after=2)
        assert len(later) >= 3
        assert later[-1]["meterValue"][0]["sampledValue"][0]["unit"] == "kWh"
        assert world.station.keys.text("Mine") == "x"
        assert world.actions().count("BootNotification") == 1
        assert world.sent("StopTransaction") == []
        await world.stop_charging(transaction)
        assert world.sent("StopTransaction")[0]["meterStop"] > 0


async def test_what_somebody_has_changed_stays_and_all_else_follows() -> None:
    keys = {"Mine": "1", "Gone": "1", "Kept": "1", "HeartbeatInterval": 100}
    async with station_world(keys=keys) as world:
        await world.ready()
        assert await world.key("Mine", "2") == "Accepted"
        assert await world.key("Kept", "2") == "Accepted"
        apply(world, changed(world, keys={"Mine": "3", "New": "1", "ConnectionTimeOut": 44}))
        text = world.station.keys.text
        assert [text(name) for name in ("Mine", "New", "Kept", "ConnectionTimeOut")] == ["2", "1", "2", "44"]
        assert world.station.keys.get("Gone") is None
        apply(world, changed(world, keys={"Mine": "2", "Kept": "9"}))  # the template says now what was changed to
        apply(world, changed(world, keys={"Mine": "5", "Kept": "2"}))
        assert (text("Mine"), text("Kept")) == ("5", "2")


async def test_new_tags_are_good_at_once_unless_the_central_system_has_sent_a_list() -> None:
    keys = {"LocalAuthListEnabled": "true", "LocalPreAuthorize": "true"}
    async with station_world(keys=keys, tags=["A"]) as world:
        await world.ready()
        apply(world, changed(world, keys=keys, tags=["A", "B"]))
        authorization = world.station.authorization
        assert authorization.known("B") is not None
        apply(world, changed(world, keys=keys, tags=["B"]))
        assert authorization.known("A") is None
        answer = await world.status_of(
            "SendLocalList",
            listVersion=1,
            updateType="Full",
            localAuthorizationList=[{"idTag": "C", "idTagInfo": {"status": "Accepted"}}],
        )
        assert answer == "Accepted"
        apply(world, changed(world, keys=keys, tags=["D"]))
        assert authorization.known("D") is None
        assert authorization.known("C") is not None


async def test_the_register_of_a_running_transaction_counts_on_as_it_began() -> None:
    keys = {"MeterValueSampleInterval": 60}
    async with station_world(keys=keys) as world:
        await world.ready()
        earlier = await world.charge()
        await world.sleep(600)
        await world.stop_charging(earlier)  # the register of its life is above 0 now
        await world.sleep(5)
        first = await world.charge()
        await world.sleep(600)
        apply(world, changed(world, {"meteringPerTransaction": False}, keys))
        await world.sleep(60)
        await world.stop_charging(first)
        await world.sleep(5)
        await world.charge()
        starts = [payload["meterStart"] for payload in world.sent("StartTransaction")]
        stops = [payload["meterStop"] for payload in world.sent("StopTransaction")]
        assert starts[:2] == [0, 0]
        assert starts[2] >= stops[1] > 0  # from here on it is the register of the connector's life


# -- the generator -----------------------------------------------------------------------------------------------------

BUSY = {
    "enable": True,
    "minDuration": 300,
    "maxDuration": 300,
    "minDelayBetweenTwoTransactions": 10,
    "maxDelayBetweenTwoTransactions": 10,
    "stopAfterHours": 100,
}


async def test_a_generator_follows_its_section_from_the_next_pause_on() -> None:
    async with station_world(template={"AutomaticTransactionGenerator": BUSY}) as world:
        await world.ready()
        await world.sleep(20)
        assert len(world.station.sessions.running()) == 2
        section = {**BUSY, "minDelayBetweenTwoTransactions": 3000, "maxDelayBetweenTwoTransactions": 3000}
        apply(world, changed(world, {"AutomaticTransactionGenerator": section}))
        await world.sleep(100)
        assert len(world.station.sessions.running()) == 2  # they last as long as they were to
        await world.sleep(1000)
        assert world.station.sessions.running() == []
        assert len(world.sent("StartTransaction")) == 2
        apply(world, changed(world, {"AutomaticTransactionGenerator": BUSY}))  # the long pause does not count any more
        await world.sleep(20)
        assert len(world.sent("StartTransaction")) == 4


async def test_a_generator_is_switched_off_after_its_transactions_and_on_at_once() -> None:
    async with station_world(template={"AutomaticTransactionGenerator": BUSY}) as world:
        await world.ready()
        await world.sleep(20)
        apply(world, changed(world, {"AutomaticTransactionGenerator": {**BUSY, "enable": False}}))
        await world.sleep(200)
        assert len(world.station.sessions.running()) == 2
        await world.sleep(1000)
        assert not world.station.generator.running
        assert [payload["reason"] for payload in world.sent("StopTransaction")] == ["Local", "Local"]
        apply(world, changed(world, {"AutomaticTransactionGenerator": BUSY}))
        await world.sleep(20)
        assert len(world.sent("StartTransaction")) == 4


async def test_the_hours_of_a_generator_are_those_of_the_present_section() -> None:
    async with station_world(template={"AutomaticTransactionGenerator": {**BUSY, "stopAfterHours": 1}}) as world:
        await world.ready()
        await world.sleep(1000)
        apply(world, changed(world, {"AutomaticTransactionGenerator": {**BUSY, "stopAfterHours": 2}}))
        await world.sleep(4000)
        assert world.station.generator.running
        apply(world, changed(world, {"AutomaticTransactionGenerator": {**BUSY, "stopAfterHours": 1.5}}))
        await world.sleep(1000)
        assert not world.station.generator.running


# -- another connection, another life ----------------------------------------------------------------------------------


async def test_other_credentials_are_shown_to_the_central_system_in_a_new_connection() -> None:
    async with station_world() as world:
        await world.ready()
        await world.charge()
        new = changed(world, {"supervisionUser": "me", "supervisionPassword": "secret"})
        apply(world, new, way=Way.RECONNECT)
        await world.central.connected("CS-1", 2, timeout=60)
        await world.sleep(5)
        assert world.closings() == [1000]
        assert world.sent("StopTransaction") == []
        assert len(world.station.sessions.running()) == 1


async def restart(world: World, info: StationInfo) -> None:
    await world.fleet.restart_as(world.station.info.hash_id, info, world.station.configured_url)


@pytest.mark.parametrize("hash_id", ["hash-1", "hash-other"])
async def test_a_restart_takes_along_what_the_station_knows(hash_id: str) -> None:
    keys = {"MeterValueSampleInterval": 60, "LocalAuthListEnabled": "true"}
    off = {"ocppPersistentConfiguration": False, "stationInfoPersistentConfiguration": False}
    async with station_world(template={**SERIAL, **off, "meteringPerTransaction": False}, keys=keys) as world:
        await world.ready()
        serial = world.station.info.charge_point_serial_number
        assert await world.key("ConnectionTimeOut", 99) == "Accepted"
        assert await world.status_of("ChangeAvailability", connectorId=2, type="Inoperative") == "Accepted"
        await world.charge()
        await world.sleep(600)
        register = world.station.connectors[1].meter
        assert register is not None
        definitions: dict[str, Any] = {str(number): {} for number in range(4)}
        new = changed(
            world,
            {**SERIAL, **off, "meteringPerTransaction": False, "numberOfConnectors": 3, "Connectors": definitions},
            keys,
            hash_id=hash_id,
        )
        assert way_of(world.station.info, new) is Way.RESTART
        before = len(world.calls())
        await restart(world, new)
        await world.wait_for("BootNotification", 2)
        await world.sleep(5)
        stop = world.sent("StopTransaction")[0]
        assert stop["reason"] == "Reboot"
        assert world.statuses()[-4:] == [(0, "Available"), (1, "Available"), (2, "Unavailable"), (3, "Available")]
        assert [call.payload["status"] for call in world.calls("StatusNotification")[3:-4]].count("Unavailable") == 1
        assert world.closings() == [1000]
        assert world.sent("BootNotification")[1]["chargePointSerialNumber"] == serial
        assert world.station.keys.number("ConnectionTimeOut") == 99
        assert world.station.info.hash_id == hash_id
        assert len(world.calls()) > before
        again = await world.charge()
        assert again.meter_start >= stop["meterStop"] > 0
        assert len(world.fleet) == 1


async def test_a_station_that_is_stopped_is_changed_and_stays_stopped() -> None:
    async with station_world() as world:
        await world.ready()
        await world.fleet.stop_station("hash-1")
        await restart(world, changed(world, {"voltageOut": 110}))
        await world.sleep(100)
        assert not world.station.started
        assert len(world.sent("BootNotification")) == 1
        world.fleet.start("hash-1")
        await world.wait_for("BootNotification", 2)
        assert world.station.info.voltage_out == 110


async def test_a_taken_identity_is_refused_before_anything_ends() -> None:
    async with station_world(stations=2) as world:
        await world.ready()
        with pytest.raises(ValueError, match="there already"):
            await restart(world, changed(world, hash_id="hash-2"))
        assert world.station.started


async def test_what_was_dealt_to_a_station_stays_with_it() -> None:
    cards = {
        "randomConnectors": True,
        "numberOfConnectors": [2, 3, 4],
        "power": [11, 22, 44],
        "Connectors": {str(number): {"maximumPower": 1000.0 * number} for number in range(1, 6)},
    }
    async with station_world(template=cards) as world:
        before = world.station.info
        for _ in range(5):
            after = changed(world, {**cards, "resetTime": 3})
            assert after.connectors == before.connectors
            assert after.maximum_power == before.maximum_power
            assert way_of(before, after) is Way.IN_PLACE
        assert way_of(before, msgspec.structs.replace(before, number_of_connectors=9)) is Way.RESTART
