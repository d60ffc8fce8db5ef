"""Charging profiles: what is accepted, replaced and cleared, and what composite schedules say."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.energy.charging_profiles import (
    ChargingProfile,
    InstalledProfile,
    Kind,
    ProfileCapabilities,
    ProfileStore,
    Purpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
    reason_to_refuse,
)
from simulator.energy.charging_schedule import (
    CompositeSchedule,
    Situation,
    composite_schedule,
    limit_at,
    limit_segments,
    next_change,
    station_schedule,
)
from simulator.energy.electrical import Circuit

T0 = 1_700_000_000.0
AC3 = Circuit(230, 3)
AC1 = Circuit(230, 1)
DC = Circuit(400, 0)
LOCAL_W = 22_080.0


def profile(purpose: Purpose, *periods: tuple[Any, ...], **members: Any) -> ChargingProfile:
    defaults: dict[str, Any] = {
        "profile_id": 1,
        "stack_level": 0,
        "kind": Kind.ABSOLUTE,
        "unit": RateUnit.AMPERE,
        "start": T0,
    }
    return ChargingProfile(
        purpose=purpose, periods=tuple(SchedulePeriod(*period) for period in periods), **(defaults | members)
    )


def store_of(*installed: tuple[int, ChargingProfile]) -> ProfileStore:
    store = ProfileStore()
    for connector_id, one in installed:
        store = store.with_profile(connector_id, one)
    return store


def composite(store: ProfileStore, duration: int, **members: Any) -> list[tuple[int, float]]:
    situation = members.pop("situation", None) or Situation(AC3, charging_since=members.pop("charging_since", None))
    arguments: dict[str, Any] = {"now": T0, "unit": RateUnit.AMPERE, "local_limit": LOCAL_W} | members
    schedule = composite_schedule(store, 1, duration=duration, situation=situation, **arguments)
    assert schedule.duration == duration
    return [(period.start, period.limit) for period in schedule.periods]


# -- the worked cases of the certification tool --------------------------------------------------------------------

TC_066 = store_of(
    (0, profile(Purpose.CHARGE_POINT_MAX, (0, 10), profile_id=1, duration=86_400)),
    (0, profile(Purpose.TX_DEFAULT, (0, 6), (60, 10), (120, 8), (180, 15), (260, 8), profile_id=2, duration=300)),
    (1, profile(Purpose.TX, (0, 8), (50, 11), (140, 16), (200, 6), (240, 12), profile_id=3, duration=260)),
)
TC_072 = store_of(
    (1, profile(Purpose.TX_DEFAULT, (0, 6), (100, 8), (200, 10), profile_id=1, duration=400)),
    (1, profile(Purpose.TX_DEFAULT, (0, 7), (100, 9), profile_id=2, stack_level=1, duration=150)),
)
TC_067 = store_of(
    (1, profile(Purpose.TX_DEFAULT, (0, 6), (60, 8), (200, 10), profile_id=1, stack_level=1, duration=400)),
    (1, profile(Purpose.TX_DEFAULT, (0, 7), (100, 9), profile_id=2, duration=400)),
    (0, profile(Purpose.CHARGE_POINT_MAX, (0, 11), (200, 12), profile_id=3)),
)


@pytest.mark.parametrize("x", [0, 7])
def test_composite_of_all_purposes(x: int) -> None:
    expected = [(0, 8), (50 - x, 10), (200 - x, 6), (240 - x, 10), (260 - x, 8), (300 - x, 10)]
    assert composite(TC_066, 400, now=T0 + x, charging_since=T0 - 5) == expected


def test_composite_without_fall_back_to_the_default_profile() -> None:
    situation = Situation(AC3, charging_since=T0, fall_back=False)
    assert composite(TC_066, 400, situation=situation) == [(0, 8), (50, 10), (200, 6), (240, 10)]


def test_transaction_profile_needs_a_transaction() -> None:
    assert composite(TC_066, 100) == [(0, 6), (60, 10)]


@pytest.mark.parametrize("x", [0, 3])
def test_composite_of_stacked_profiles_while_they_are_cleared(x: int) -> None:
    def query(store: ProfileStore) -> list[tuple[int, float]]:
        return composite(store, 350, now=T0 + x)

    assert query(TC_072) == [(0, 7), (100 - x, 9), (150 - x, 8), (200 - x, 10)]
    store, removed = TC_072.cleared(profile_id=2, connector_id=9, stack_level=9)
    assert [entry.profile.profile_id for entry in removed] == [2]
    assert query(store) == [(0, 6), (100 - x, 8), (200 - x, 10)]
    store, _ = store.cleared()
    assert query(store) == [(0, 32)]
    assert store.cleared() == (store, ())


def test_composite_while_profiles_are_cleared_by_id_and_by_filter() -> None:
    store, _ = TC_067.cleared(profile_id=1)
    assert composite(store, 350) == [(0, 7), (100, 9)]
    store, removed = store.cleared(purpose=Purpose.TX_DEFAULT, stack_level=0)
    assert len(removed) == 1
    assert composite(store, 350) == [(0, 11), (200, 12)]
    store, _ = store.cleared()
    assert composite(store, 350, unit=RateUnit.WATT) == [(0, LOCAL_W)]


# -- kinds, validity, precedence -----------------------------------------------------------------------------------


def test_recurring_schedule_is_cut_at_its_recurrence_and_starts_again() -> None:
    daily = profile(
        Purpose.TX_DEFAULT,
        (0, 6),
        (3600, 10),
        kind=Kind.RECURRING,
        recurrency=Recurrency.DAILY,
        duration=100_000,
        start=T0,
    )
    store = store_of((0, daily))
    # 600 s before the fourth day starts
    assert composite(store, 7200, now=T0 + 3 * 86_400 - 600) == [(0, 10), (600, 6), (4200, 10)]
    assert composite(store, 1200, now=T0 - 600) == [(0, 32), (600, 6)]


def test_weekly_schedule_is_absent_between_its_runs() -> None:
    weekly = profile(Purpose.TX_DEFAULT, (0, 6), kind=Kind.RECURRING, recurrency=Recurrency.WEEKLY, duration=60)
    week = 604_800
    assert composite(store_of((1, weekly)), week + 100, now=T0) == [(0, 6), (60, 32), (week, 6), (week + 60, 32)]


def test_relative_schedule_counts_from_the_start_of_charging() -> None:
    store = store_of((0, profile(Purpose.TX_DEFAULT, (0, 6), (100, 10), kind=Kind.RELATIVE, start=None)))
    assert composite(store, 200, charging_since=T0 - 40) == [(0, 6), (60, 10)]
    assert composite(store, 200) == [(0, 6), (100, 10)]


def test_validity_opens_and_closes_a_profile() -> None:
    store = store_of(
        (0, profile(Purpose.TX_DEFAULT, (0, 16))),
        (1, profile(Purpose.TX_DEFAULT, (0, 6), profile_id=2, stack_level=3, valid_from=T0 + 10, valid_to=T0 + 20)),
    )
    assert composite(store, 60) == [(0, 16), (10, 6), (20, 16)]


def test_connector_profile_goes_before_one_of_the_station_on_the_same_level() -> None:
    store = store_of(
        (1, profile(Purpose.TX_DEFAULT, (0, 6), profile_id=1)),
        (0, profile(Purpose.TX_DEFAULT, (0, 16), profile_id=2)),
    )
    assert composite(store, 60) == [(0, 6)]
    assert limit_at(store, 2, T0, Situation(AC3)) == pytest.approx(16 * 230 * 3)


def test_unlimited_last_period_hides_lower_levels() -> None:
    store = store_of(
        (1, profile(Purpose.TX_DEFAULT, (0, 6), stack_level=0, duration=50)),
        (1, profile(Purpose.TX_DEFAULT, (0, 9), (10, 8), profile_id=2, stack_level=1)),
    )
    assert composite(store, 1000) == [(0, 9), (10, 8)]


# -- units and phases ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("circuit", "period", "watts"),
    [
        (AC3, (0, 16), 11_040),
        (AC3, (0, 16, 1), 3680),
        (AC1, (0, 16), 3680),
        (AC1, (0, 16, 3), 3680),
        (DC, (0, 16), 6400),
    ],
)
def test_amperes_are_per_phase_in_use(circuit: Circuit, period: Any, watts: float) -> None:
    store = store_of((1, profile(Purpose.TX_DEFAULT, period)))
    assert limit_at(store, 1, T0, Situation(circuit)) == pytest.approx(watts)


def test_watts_are_shown_in_amperes_per_phase_with_one_decimal() -> None:
    store = store_of((1, profile(Purpose.TX_DEFAULT, (0, 11_000), unit=RateUnit.WATT)))
    assert composite(store, 60) == [(0, 15.9)]
    assert composite(store, 60, unit=RateUnit.WATT) == [(0, 11_000)]


def test_phases_are_named_where_a_profile_names_them() -> None:
    store = store_of((1, profile(Purpose.TX_DEFAULT, (0, 16, 1), (60, 16), (120, 16, 3))))
    schedule = composite_schedule(
        store, 1, now=T0, duration=200, unit=RateUnit.AMPERE, local_limit=LOCAL_W, situation=Situation(AC3)
    )
    assert schedule.periods == (SchedulePeriod(0, 16, 1), SchedulePeriod(60, 16))


def test_station_cap_is_shared_by_busy_connectors() -> None:
    store = store_of((0, profile(Purpose.CHARGE_POINT_MAX, (0, 32))))
    assert limit_at(store, 1, T0, Situation(AC3, charging_since=T0, share=2)) == pytest.approx(16 * 690)


def test_station_schedule_adds_connectors_and_caps_them() -> None:
    store = store_of(
        (1, profile(Purpose.TX_DEFAULT, (0, 6), (60, 16), profile_id=1)),
        (0, profile(Purpose.CHARGE_POINT_MAX, (0, 40), profile_id=2)),
    )
    schedule = station_schedule(
        store,
        now=T0,
        duration=300,
        unit=RateUnit.AMPERE,
        station_limit=2 * LOCAL_W,
        local_limits={1: LOCAL_W, 2: LOCAL_W},
        situations={1: Situation(AC3, charging_since=T0)},
        circuit=AC3,
    )
    assert schedule == CompositeSchedule(T0, 300, RateUnit.AMPERE, (SchedulePeriod(0, 38), SchedulePeriod(60, 40)))


def test_schedule_that_would_never_end_is_cut_and_says_so() -> None:
    daily = profile(Purpose.TX_DEFAULT, (0, 6), (60, 8), kind=Kind.RECURRING, recurrency=Recurrency.DAILY)
    schedule = composite_schedule(
        store_of((1, daily)),
        1,
        now=T0,
        duration=2**31 - 1,
        unit=RateUnit.AMPERE,
        local_limit=LOCAL_W,
        situation=Situation(AC3),
    )
    assert len(schedule.periods) == 1000
    assert schedule.duration == 500 * 86_400


# -- decisions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connector_id", "changes", "members", "reason"),
    [
        (3, {}, {}, "no connector 3"),
        (-1, {}, {}, "no connector -1"),
        (1, {"purpose": Purpose.CHARGE_POINT_MAX}, {}, "connector 0 only"),
        (0, {"purpose": Purpose.CHARGE_POINT_MAX, "kind": Kind.RELATIVE}, {}, "relative"),
        (0, {"purpose": Purpose.TX}, {}, "other than 0"),
        (1, {"purpose": Purpose.TX}, {}, "running transaction"),
        (1, {"purpose": Purpose.TX, "transaction_id": 8}, {"in_transaction": True, "transaction_id": 7}, "not running"),
        (1, {"purpose": Purpose.TX, "transaction_id": 8}, {"in_transaction": True}, "not running"),
        (1, {"transaction_id": 7}, {"in_transaction": True, "transaction_id": 7}, "only a TxProfile"),
        (1, {}, {"remote_start": True}, "takes a TxProfile"),
        (1, {"unit": RateUnit.WATT}, {}, "limits in W"),
        (1, {"periods": ()}, {}, "no period"),
        (1, {"periods": tuple(SchedulePeriod(second, 6) for second in range(4))}, {}, "at most 3"),
        (1, {"periods": (SchedulePeriod(1, 6),)}, {}, "must start at 0"),
        (1, {"periods": (SchedulePeriod(0, 6), SchedulePeriod(0, 8))}, {}, "ascending"),
        (1, {"periods": (SchedulePeriod(0, -1),)}, {}, "negative"),
        (1, {"periods": (SchedulePeriod(0, 1, 4),)}, {}, "numberPhases"),
        (1, {"stack_level": 6}, {}, "stackLevel 6"),
        (1, {"stack_level": -1}, {}, "stackLevel -1"),
        (1, {"kind": Kind.RECURRING}, {}, "recurrencyKind"),
        (1, {"kind": Kind.RECURRING, "recurrency": Recurrency.DAILY, "start": None}, {}, "startSchedule"),
        (1, {"recurrency": Recurrency.DAILY}, {}, "recurrencyKind is for"),
        (1, {"valid_from": T0, "valid_to": T0}, {}, "validTo"),
        (1, {"profile_id": 9, "stack_level": 5}, {}, "are installed"),
        (1, {"profile_id": 9}, {}, None),  # takes the place of one of the same level
        (0, {"profile_id": 1}, {}, None),  # takes the place of one of the same id
        (1, {"purpose": Purpose.TX, "stack_level": 0, "profile_id": 1}, {"in_transaction": True}, None),
        (1, {"purpose": Purpose.TX, "profile_id": 1, "transaction_id": 5}, {"remote_start": True}, None),
    ],
)
def test_what_a_station_refuses(
    connector_id: int, changes: dict[str, Any], members: dict[str, Any], reason: str | None
) -> None:
    store = store_of(
        (1, profile(Purpose.TX_DEFAULT, (0, 6), profile_id=1)),
        (0, profile(Purpose.TX_DEFAULT, (0, 6), profile_id=2)),
    )
    capabilities = ProfileCapabilities(
        maximum_stack_level=5, units=frozenset({RateUnit.AMPERE}), maximum_periods=3, maximum_installed=2
    )
    asked = msgspec.structs.replace(profile(Purpose.TX_DEFAULT, (0, 6)), **changes)
    answer = reason_to_refuse(asked, connector_id, store, connectors=2, capabilities=capabilities, **members)
    if reason is None:
        assert answer is None
    else:
        assert answer is not None
        assert reason in answer


def test_end_of_a_transaction_takes_its_profiles() -> None:
    store = store_of((2, profile(Purpose.TX, (0, 9), profile_id=7))).installed + TC_066.installed
    left = ProfileStore(store).without_transaction(1)
    assert [(entry.connector_id, entry.profile.profile_id) for entry in left.installed] == [(2, 7), (0, 1), (0, 2)]


def test_filters_of_clear_must_all_match() -> None:
    assert TC_067.cleared(connector_id=0, purpose=Purpose.TX_DEFAULT) == (TC_067, ())
    left, removed = TC_067.cleared(connector_id=1)
    assert [entry.profile.profile_id for entry in removed] == [1, 2]
    assert [entry.profile.profile_id for entry in left.installed] == [3]


def test_store_survives_a_restart() -> None:
    text = msgspec.json.encode(TC_066)
    assert msgspec.json.decode(text, type=ProfileStore) == TC_066
    assert msgspec.convert(msgspec.to_builtins(TC_066), ProfileStore) == TC_066


# -- against a model that looks at every second --------------------------------------------------------------------


@st.composite
def profiles(draw: st.DrawFn, number: int) -> InstalledProfile:
    purpose = draw(st.sampled_from(list(Purpose)))
    kind = draw(st.sampled_from(list(Kind)))
    if purpose is Purpose.CHARGE_POINT_MAX and kind is Kind.RELATIVE:
        kind = Kind.ABSOLUTE
    recurrency = draw(st.sampled_from(list(Recurrency))) if kind is Kind.RECURRING else None
    start: float | None = T0 + draw(st.integers(-200, 200))
    if recurrency is not None and start is not None:
        # near an edge of the recurrence, so that it falls into the window
        start -= draw(st.integers(-1, 3)) * recurrency.seconds
    elif kind is Kind.RELATIVE or draw(st.booleans()):
        start = None
    phases = st.sampled_from([None, 1, 3])
    starts = sorted({0, *draw(st.lists(st.integers(1, 300), max_size=4))})
    return InstalledProfile(
        {Purpose.CHARGE_POINT_MAX: 0, Purpose.TX: 1}.get(purpose, draw(st.sampled_from([0, 1]))),
        ChargingProfile(
            profile_id=number,
            stack_level=draw(st.integers(0, 2)),
            purpose=purpose,
            kind=kind,
            unit=draw(st.sampled_from(list(RateUnit))),
            recurrency=recurrency,
            start=start,
            duration=draw(st.none() | st.integers(0, 300)),
            valid_from=draw(st.none() | st.integers(-100, 300).map(lambda second: T0 + second)),
            valid_to=draw(st.none() | st.integers(-100, 300).map(lambda second: T0 + second)),
            periods=tuple(
                SchedulePeriod(second, draw(st.sampled_from([0.0, 6.0, 6.4, 16.0, 4000.0])), draw(phases))
                for second in starts
            ),
        ),
    )


@st.composite
def stores(draw: st.DrawFn) -> ProfileStore:
    store = ProfileStore()
    for number in range(draw(st.integers(0, 6))):
        entry = draw(profiles(number))
        store = store.with_profile(entry.connector_id, entry.profile)
    return store


def naive_period(one: ChargingProfile, at: float, since: float) -> SchedulePeriod | None:
    if not (one.valid_from or -math.inf) <= at < (one.valid_to or math.inf):
        return None
    origin = since if one.kind is Kind.RELATIVE or one.start is None else one.start
    if one.recurrency is not None:
        while origin + one.recurrency.seconds <= at:
            origin += one.recurrency.seconds
    elapsed = at - origin
    longest = math.inf if one.duration is None else one.duration
    if not 0 <= elapsed < longest:
        return None
    found = None
    for period in one.periods:
        if period.start <= elapsed:
            found = period
    return found


def naive_limit(
    store: ProfileStore, at: float, since: float, situation: Situation, unit: RateUnit, local: float
) -> tuple[float, int]:
    def lead(candidates: list[tuple[int, ChargingProfile]]) -> tuple[ChargingProfile, SchedulePeriod] | None:
        best = None
        for connector_id, one in candidates:
            period = naive_period(one, at, since)
            if period is None:
                continue
            if best is None or (one.stack_level, connector_id) > best[0]:
                best = (one.stack_level, connector_id), one, period
        return None if best is None else best[1:]

    by_purpose: dict[Purpose, list[tuple[int, ChargingProfile]]] = {purpose: [] for purpose in Purpose}
    for entry in store.installed:
        by_purpose[entry.profile.purpose].append((entry.connector_id, entry.profile))
    in_transaction = situation.charging_since is not None
    leading = lead(by_purpose[Purpose.TX]) if in_transaction else None
    displaced = in_transaction and by_purpose[Purpose.TX] and not situation.fall_back
    if leading is None and not displaced:
        leading = lead(by_purpose[Purpose.TX_DEFAULT])
    found = [one for one in (leading, lead(by_purpose[Purpose.CHARGE_POINT_MAX])) if one is not None]
    phases = min([3, *(period.phases or 3 for _, period in found)])
    limits = [local / 690 if unit is RateUnit.AMPERE else local / 3 * phases]
    for one, period in found:
        in_watts = period.limit if one.unit is RateUnit.WATT else period.limit * 230 * phases
        limits.append(in_watts if unit is RateUnit.WATT else in_watts / 230 / phases)
    return min(limits), phases


@settings(max_examples=150, deadline=None)
@given(
    store=stores(),
    since=st.none() | st.integers(-100, 0).map(lambda second: T0 + second),
    unit=st.sampled_from(list(RateUnit)),
    fall_back=st.booleans(),
)
def test_composite_equals_a_look_at_every_second(
    store: ProfileStore, since: float | None, unit: RateUnit, fall_back: bool
) -> None:
    situation = Situation(AC3, charging_since=since, fall_back=fall_back)
    schedule = composite_schedule(store, 1, now=T0, duration=360, unit=unit, local_limit=LOCAL_W, situation=situation)
    expected: list[tuple[int, float, int]] = []
    for second in range(360):
        value, phases = naive_limit(store, T0 + second, since or T0, situation, unit, LOCAL_W)
        rounded = math.floor(value * 10 + 0.5) / 10
        if not expected or expected[-1][1:] != (rounded, phases):
            expected.append((second, rounded, phases))
    assert [(period.start, period.limit) for period in schedule.periods] == [one[:2] for one in expected]
    assert all(period.phases in (None, one[2]) for period, one in zip(schedule.periods, expected, strict=True))


@settings(max_examples=100, deadline=None)
@given(store=stores(), since=st.integers(-100, 0).map(lambda second: T0 + second))
def test_limit_holds_until_the_next_change(store: ProfileStore, since: float) -> None:
    situation = Situation(AC3, charging_since=since)
    segments = limit_segments(store, 1, T0, T0 + 360, situation)
    assert sum(seconds for seconds, _ in segments) == pytest.approx(360)
    at = T0
    for seconds, limit in segments:
        for probe in (at, at + seconds / 2, at + seconds - 0.001):
            assert limit_at(store, 1, probe, situation) == limit
        at += seconds
    change = next_change(store, 1, T0, situation)
    assert change is None or change > T0


def test_a_clock_that_wakes_a_hair_early_sees_the_new_limit() -> None:
    # A virtual clock adds fractions; the sum of two floats may fall short of the edge it was set to.
    start = T0 + 0.3
    store = store_of((1, profile(Purpose.TX_DEFAULT, (0, 6), (50, 10), kind=Kind.RELATIVE, start=None)))
    situation = Situation(AC3, charging_since=start)
    edge = next_change(store, 1, start, situation)
    assert edge == pytest.approx(start + 50)
    assert limit_at(store, 1, math.nextafter(start + 50, 0), situation) == pytest.approx(6900)
    assert next_change(store, 1, math.nextafter(start + 50, 0), situation) is None
    assert composite(store, 100, now=start, charging_since=start) == [(0, 6), (50, 10)]
