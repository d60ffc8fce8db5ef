"""The automatic transaction generator."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from simulator.csms.policy import TagEntry, TagTable
from simulator.ocpp.errors import ErrorCode
from simulator.timestamps import parse_timestamp
from tests.fakes.script import delay, refuse
from tests.station.harness import START, World, station_world

ONE = {"numberOfConnectors": 1, "Connectors": {"0": {}, "1": {}}}


def generator(**settings: Any) -> dict[str, Any]:
    values = {
        "enable": True,
        "minDuration": 20,
        "maxDuration": 30,
        "minDelayBetweenTwoTransactions": 5,
        "maxDelayBetweenTwoTransactions": 10,
        "probabilityOfStart": 1,
        "stopAfterHours": 1,
        "requireAuthorize": False,
    }
    return {"AutomaticTransactionGenerator": {**values, **settings}}


def spans(world: World, **where: Any) -> list[tuple[float, float]]:
    return [
        (parse_timestamp(t.started_at)[0] - START, parse_timestamp(str(t.stopped_at))[0] - START)
        for t in world.transactions()
        if not t.is_open and all(getattr(t, name) == value for name, value in where.items())
    ]


async def test_durations_and_pauses_are_those_of_the_template() -> None:
    async with station_world(template=ONE | generator()) as world:
        await world.sleep(3700)
        sessions = spans(world)
        assert len(sessions) > 60
        durations = {round(end - begin, 2) for begin, end in sessions}
        pauses = {round(later[0] - earlier[1], 2) for earlier, later in pairwise(sessions)}
        # Whole seconds, and every one of them occurs.
        assert durations == {float(n) for n in range(20, 31)}
        assert pauses == {float(n) for n in range(5, 11)}
        assert {t.reason for t in world.transactions()} == {"Local"}
        assert {t.id_tag for t in world.transactions()} == {"00000000"}
        counters = world.counters()
        assert counters.start_transaction_requests == counters.accepted_start_transaction_requests == len(sessions)
        assert counters.stop_transaction_requests == counters.accepted_stop_transaction_requests == len(sessions)
        assert counters.authorize_requests == counters.skipped_transactions == 0
        # The hour is over.
        assert not counters.start
        assert counters.stopped_date is not None
        assert 0 <= counters.stopped_date - START - 3600 <= 31


async def test_a_generator_that_is_not_enabled_waits_to_be_started() -> None:
    async with station_world(template=generator(enable=False)) as world:
        await world.ready()
        await world.sleep(500)
        assert world.transactions() == []
        with pytest.raises(ValueError, match="Connector 9 does not exist"):
            world.station.generator.start([9])
        world.station.generator.start([2])
        await world.sleep(100)
        assert {t.connector_id for t in world.transactions()} == {2}


async def test_a_template_without_the_section_can_be_started_with_its_defaults() -> None:
    async with station_world() as world:
        await world.ready()
        world.station.generator.start()
        await world.sleep(200)
        assert {t.connector_id for t in world.transactions()} == {1, 2}


async def test_the_probability_of_a_start() -> None:
    async with station_world(template=ONE | generator(probabilityOfStart=0.25, stopAfterHours=3)) as world:
        await world.sleep(10_900)
        counters = world.counters()
        rounds = counters.start_transaction_requests + counters.skipped_transactions
        assert rounds > 500
        assert 0.19 < counters.start_transaction_requests / rounds < 0.31
    async with station_world(template=ONE | generator(probabilityOfStart=0)) as world:
        await world.sleep(3700)
        assert world.transactions() == []
        assert world.counters().skipped_consecutive_transactions == world.counters().skipped_transactions > 400


@pytest.mark.parametrize("hours", [0, 0.1])
async def test_the_hours_of_the_generator(hours: float) -> None:
    async with station_world(template=ONE | generator(stopAfterHours=hours)) as world:
        await world.sleep(hours * 3600 + 60)
        count = len(world.transactions())
        assert (count > 0) == (hours > 0)
        await world.sleep(3600)
        assert len(world.transactions()) == count
        world.station.generator.start()  # renews them
        await world.sleep(3600)
        assert (len(world.transactions()) > count) == (hours > 0)


@pytest.mark.parametrize("absolute", [True, False])
async def test_hours_that_count_pauses_and_hours_that_do_not(absolute: bool) -> None:
    settings = generator(stopAfterHours=0.5, stopAbsoluteDuration=absolute, stopOnConnectionFailure=True)
    async with station_world(template=ONE | settings) as world:
        await world.sleep(600)
        world.go_offline()
        await world.sleep(900)
        await world.come_back()
        await world.sleep(3000)
        (last, _) = spans(world)[-1]
        assert last < 1801 if absolute else 2600 < last < 2800


@pytest.mark.parametrize(
    ("distribution", "seen"),
    [
        ("round-robin", [["A", "B", "C", "A", "B", "C"]]),
        ("connector-affinity", [["A"] * 6]),
        ("random", None),
        (None, [["A", "B", "C", "A", "B", "C"]]),
    ],
)
async def test_the_distribution_of_tags(distribution: str | None, seen: list[list[str]] | None) -> None:
    settings = generator(**({} if distribution is None else {"idTagDistribution": distribution}))
    async with station_world(template=ONE | settings, tags=["A", "B", "C"]) as world:
        await world.sleep(2400)
        used = [transaction.id_tag for transaction in world.transactions()]
        if seen is not None:
            assert used[:6] == seen[0]
        else:
            assert used[:6] != ["A", "B", "C", "A", "B", "C"]
            assert min(Counter(used).values()) > 8
            assert set(used) == {"A", "B", "C"}


async def test_affinity_goes_by_station_and_connector() -> None:
    settings = generator(idTagDistribution="connector-affinity")
    async with station_world(template=settings, tags=["A", "B", "C"], stations=3) as world:
        await world.sleep(300)
        tags = {(t.station_id, t.connector_id, t.id_tag) for t in world.central.ledger}
        assert tags == {
            ("CS-1", 1, "A"), ("CS-1", 2, "B"), ("CS-2", 1, "B"), ("CS-2", 2, "C"), ("CS-3", 1, "C"), ("CS-3", 2, "A"),
        }  # fmt: skip


async def test_authorisation_first_and_none_for_refused_tags() -> None:
    tags = TagTable({"BAD": TagEntry("Blocked")})
    async with station_world(
        template=ONE | generator(requireAuthorize=True), tags=["GOOD", "BAD"], central_tags=tags
    ) as world:
        await world.sleep(1000)
        counters = world.counters()
        assert {t.id_tag for t in world.transactions()} == {"GOOD"}
        assert counters.authorize_requests == len(world.sent("Authorize"))
        assert (
            counters.rejected_authorize_requests
            == len([p for p in world.sent("Authorize") if p["idTag"] == "BAD"])
            > 10
        )
        assert counters.accepted_authorize_requests == counters.start_transaction_requests
        assert world.statuses(1)[1:7] == ["Preparing", "Charging", "Finishing", "Available", "Preparing", "Available"]


async def test_without_tags_there_is_nothing_to_authorise() -> None:
    async with station_world(template=ONE | generator(requireAuthorize=True)) as world:
        await world.sleep(200)
        assert world.sent("Authorize") == []
        assert len(world.transactions()) > 2


async def test_refused_starts_and_stops_are_counted() -> None:
    keys = {"TransactionMessageAttempts": 1}
    async with station_world(template=ONE | generator(), keys=keys, faults=True) as world:
        world.central.on("StartTransaction", {"transactionId": 1, "idTagInfo": {"status": "Blocked"}}, times=2)
        world.central.on("StopTransaction", refuse(ErrorCode.INTERNAL_ERROR), times=3)
        await world.sleep(400)
        counters = world.counters()
        assert counters.rejected_start_transaction_requests == 2
        # The station ended the refused two by itself; of the generator's own stops one was refused.
        assert counters.rejected_stop_transaction_requests == 1
        assert counters.accepted_stop_transaction_requests > 3


async def test_stopping_ends_the_transactions_of_the_generator_and_no_others() -> None:
    async with station_world(template=generator(enable=False, minDuration=500, maxDuration=600)) as world:
        await world.ready()
        mine = await world.charge(1)
        world.station.generator.start([2])
        await world.sleep(60)
        assert len(world.transactions()) == 2
        await world.station.generator.stop()
        await world.settle()
        assert mine.is_open
        assert world.transactions()[1].reason == "Local"
        assert not world.station.generator.running
        await world.sleep(2000)
        assert len(world.transactions()) == 2


async def test_a_connector_never_has_two_loops() -> None:
    async with station_world(template=ONE | generator()) as world:
        await world.ready()
        for _ in range(5):
            world.station.generator.start()
            await world.sleep(7)
            world.station.generator.ask_to_stop()
            world.station.generator.start()
            world.station.generator.start()
        await world.sleep(600)
        sessions = spans(world)
        assert all(later[0] >= earlier[1] + 5 for earlier, later in pairwise(sessions))


async def test_the_generator_goes_on_offline_and_everything_is_told_later() -> None:
    async with station_world(template=ONE | generator()) as world:
        await world.sleep(100)
        before = len(world.transactions())
        world.go_offline()
        await world.sleep(600)
        await world.come_back()
        await world.sleep(60)
        sessions = spans(world)
        assert len(sessions) > before + 14
        assert all(5 <= round(later[0] - earlier[1], 2) <= 10 for earlier, later in pairwise(sessions))


async def test_a_lost_connection_can_pause_the_generator() -> None:
    async with station_world(template=ONE | generator(stopOnConnectionFailure=True)) as world:
        await world.sleep(40)
        world.go_offline()
        await world.sleep(600)
        assert not world.station.generator.running
        await world.come_back()
        await world.sleep(100)
        sessions = spans(world)
        assert all(t.reason == "Local" for t in world.transactions() if not t.is_open)
        assert [pair for pair in pairwise(sessions) if pair[1][0] - pair[0][1] > 100]
        assert len(world.transactions()) > len(sessions)
        # One that was stopped meanwhile stays so.
        await world.station.generator.stop()
        count = len(world.transactions())
        world.go_offline()
        await world.sleep(10)
        await world.come_back()
        await world.sleep(200)
        assert len(world.transactions()) == count


async def test_a_reset_ends_its_transactions_and_the_generator_begins_anew() -> None:
    async with station_world(template=generator(minDuration=300, maxDuration=400) | {"resetTime": 10}) as world:
        await world.sleep(60)
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.sleep(2)
        assert [t.reason for t in world.transactions()] == ["SoftReset"] * 2
        await world.sleep(100)
        assert len(world.transactions()) == 4


async def test_inoperative_connectors_are_left_alone() -> None:
    async with station_world(template=ONE | generator()) as world:
        await world.sleep(50)
        assert await world.status_of("ChangeAvailability", connectorId=1, type="Inoperative") in {
            "Scheduled",
            "Accepted",
        }
        await world.sleep(60)
        count = len(world.transactions())
        await world.sleep(600)
        assert len(world.transactions()) == count
        assert await world.status_of("ChangeAvailability", connectorId=1, type="Operative") == "Accepted"
        await world.sleep(100)
        assert len(world.transactions()) > count


async def test_a_session_of_somebody_else_is_let_alone_and_a_remote_stop_ends_a_round() -> None:
    async with station_world(template=ONE | generator(minDuration=1000, maxDuration=1000)) as world:
        await world.sleep(60)
        (transaction,) = world.transactions()
        await world.stop_charging(transaction)
        await world.sleep(30)
        assert len(world.transactions()) == 2
        assert world.counters().stop_transaction_requests == 0


async def test_a_slow_central_system_slows_nothing_down_but_the_start() -> None:
    async with station_world(template=ONE | generator(requireAuthorize=True), tags=["A"]) as world:
        world.central.on("Authorize", delay(8))
        await world.sleep(600)
        sessions = spans(world)
        assert len(sessions) > 10
        assert all(13 <= round(later[0] - earlier[1], 2) <= 18 for earlier, later in pairwise(sessions))


async def test_delays_of_zero_do_not_spin() -> None:
    settings = generator(
        minDuration=0, maxDuration=0, minDelayBetweenTwoTransactions=0, maxDelayBetweenTwoTransactions=0,
        probabilityOfStart=0.5, stopAfterHours=0.02,
    )  # fmt: skip
    async with station_world(template=ONE | settings) as world:
        await world.sleep(100)
        assert 20 < len(world.transactions()) < 144


@pytest.mark.parametrize(
    ("keys", "tag", "starts"),
    [
        ({"LocalAuthListEnabled": "true"}, "KNOWN", True),
        ({"LocalAuthListEnabled": "true", "LocalAuthorizeOffline": "false"}, "KNOWN", False),
        ({"LocalAuthListEnabled": "false"}, "KNOWN", False),
        ({"LocalAuthListEnabled": "false", "AllowOfflineTxForUnknownId": "true"}, "KNOWN", True),
    ],
)
async def test_who_may_start_without_a_connection(keys: dict[str, str], tag: str, starts: bool) -> None:
    async with station_world(template=ONE | generator(requireAuthorize=True), keys=keys, tags=[tag]) as world:
        await world.ready()
        world.go_offline()
        await world.sleep(600)
        counters = world.counters()
        assert counters.rejected_authorize_requests == (0 if starts else counters.authorize_requests)
        assert counters.authorize_requests > 5
        await world.come_back()
        await world.sleep(2)
        assert world.sent("Authorize") == []
        assert (len(world.transactions()) > 5) == starts


async def test_a_known_tag_starts_at_once_where_the_keys_allow_it() -> None:
    keys = {"LocalAuthListEnabled": "true", "LocalPreAuthorize": "true"}
    async with station_world(template=ONE | generator(requireAuthorize=True), keys=keys, tags=["A"]) as world:
        await world.sleep(200)
        assert world.sent("Authorize") == []
        assert len(world.transactions()) > 3
        assert await world.key("LocalPreAuthorize", "false") == "Accepted"
        await world.sleep(100)
        assert len(world.sent("Authorize")) > 1


# -- by vehicle --------------------------------------------------------------------------------------------------------


async def test_vehicles_come_stay_and_take_what_their_drivers_want() -> None:
    by_vehicle = {
        "arrival": {"distribution": "fixed", "meanSeconds": 600},
        "stay": {"distribution": "fixed", "meanSeconds": 3600},
        "energyWanted": {"distribution": "fixed", "meanWh": 500},
        "stopAfterHours": 10,
    }
    one = {"numberOfConnectors": 1, "Connectors": {"0": {}, "1": {}}}
    async with station_world(template={**generator(**by_vehicle), **one}) as world:
        await world.ready()
        await world.sleep(9 * 3600)
        done = [transaction for transaction in world.transactions() if not transaction.is_open]
        assert len(done) == 7
        assert [transaction.energy for transaction in done] == [500] * 7
        begins, ends = world.times("StartTransaction"), world.times("StopTransaction")
        assert [round(end - begin) for begin, end in zip(begins, ends, strict=False)][:7] == [3600] * 7
        assert [round(begin - end) for end, begin in zip(ends, begins[1:], strict=False)][:6] == [600] * 6
        assert world.statuses(1)[2:6] == ["Charging", "SuspendedEV", "Finishing", "Available"]


async def test_who_does_not_stay_leaves_with_what_he_wanted() -> None:
    wants = {"distribution": "uniform", "meanWh": 3000, "minWh": 1000}
    async with station_world(template=generator(energyWanted=wants, stopAfterHours=24)) as world:
        await world.ready()
        await world.sleep(20 * 3600)
        energies = [transaction.energy for transaction in world.transactions() if not transaction.is_open]
        assert len(energies) > 10
        assert len(set(energies)) > 10
        assert 1000 <= min(energies) <= max(energies) <= 5000


async def test_a_day_has_its_morning() -> None:
    rates = [0.0] * 12 + [20.0] + [0.0] * 11  # the world begins at 10 on a Sunday
    settings = {"arrival": {"meanSeconds": 3600}, "weekdayRates": rates, "maxDuration": 1, "minDuration": 1}
    async with station_world(template=generator(stopAfterHours=100, **settings)) as world:
        await world.ready()
        await world.sleep(4 * 24 * 3600)
        hours = [(START + at) % 86_400 // 3600 for at in world.times("StartTransaction")]
        assert set(hours) == {12}
        assert 100 < len(hours) < 220  # two connectors, four days
