"""What charging profiles allow: the limit at an instant, the next change, and composite schedules (OCPP 1.6 §3.13).

Of the profiles of one purpose the one with the highest stack level that has a limit at the instant leads; on the same
level a profile of the connector goes before one of the whole station. TxProfiles lead over TxDefaultProfiles, and
ChargePointMaxProfiles cap the result. Pure functions of time in POSIX seconds.

A limit in amperes is per phase, one in watts is the total. They are converted at the nominal voltage with as many
phases as the period allows (``numberPhases``, 3 by default) and the station has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from simulator.energy.charging_profiles import ChargingProfile, Kind, ProfileStore, Purpose, RateUnit, SchedulePeriod
from simulator.energy.electrical import Circuit

MAXIMUM_PERIODS = 1000
"""A composite schedule that would have more periods is cut short, and says so by its duration."""

# A look at the schedule that finds the same limit costs time too; this bounds a request that spans decades.
_MAXIMUM_LOOKS = 4000
# POSIX seconds in a float are good to a quarter of a microsecond: an edge that is this near has been reached.
_REACHED = 1e-6
_DEFAULT_PHASES = 3


class Situation(msgspec.Struct, frozen=True):
    """What the limit of a connector depends on besides the profiles.

    :param charging_since: when its transaction started; None: none is running. TxProfiles act in a transaction only,
        and without one relative schedules count from the instant that is asked about.
    :param share: among how many connectors a ChargePointMaxProfile is divided evenly; less than 1 counts as 1.
    :param fall_back: whether TxDefaultProfiles act again where no TxProfile of the transaction has a limit (as
        OCPP 2.0.1 K02.FR.08 has it); False: a TxProfile displaces them until it is cleared.
    """

    circuit: Circuit
    charging_since: float | None = None
    share: int = 1
    fall_back: bool = True


class CompositeSchedule(msgspec.Struct, frozen=True):
    """The limits of the ``duration`` seconds from ``start``; the periods start at whole seconds after it."""

    start: float
    duration: int
    unit: RateUnit
    periods: tuple[SchedulePeriod, ...]


class _Limit(NamedTuple):
    value: float
    phases: int
    phases_named: bool


def limit_at(store: ProfileStore, connector_id: int, at: float, situation: Situation) -> float | None:
    """W that the profiles allow a connector at an instant; None if they do not limit it. 0 suspends the charging."""
    since = at if situation.charging_since is None else situation.charging_since
    limit = _Stack(store, connector_id, situation).limit(at, since, RateUnit.WATT, None)
    return None if limit is None else limit.value


class Rate(NamedTuple):
    """What profiles allow a connector: watts in total, and on how many phases (1 on direct current)."""

    watts: float
    phases: int


def rate_at(store: ProfileStore, connector_id: int, at: float, situation: Situation) -> Rate | None:
    """As :func:`limit_at`, with the phases on which the limit is: a vehicle gets the amperes that it makes on those."""
    since = at if situation.charging_since is None else situation.charging_since
    limit = _Stack(store, connector_id, situation).limit(at, since, RateUnit.WATT, None)
    return None if limit is None else Rate(limit.value, limit.phases)


def next_change(store: ProfileStore, connector_id: int, after: float, situation: Situation) -> float | None:
    """The first instant after ``after`` at which the limit of a connector may change by itself; None: never.

    Until then, or until the store or the situation changes, :func:`limit_at` keeps its result.
    """
    since = after if situation.charging_since is None else situation.charging_since
    return _Stack(store, connector_id, situation).next_edge(after, since)


def limit_segments(
    store: ProfileStore, connector_id: int, start: float, end: float, situation: Situation
) -> list[tuple[float, float | None]]:
    """The stretches of constant limit between two instants: seconds and W (None: unlimited), in order."""
    since = start if situation.charging_since is None else situation.charging_since
    stack = _Stack(store, connector_id, situation)
    segments = []
    while start < end:
        limit = stack.limit(start, since, RateUnit.WATT, None)
        edge = stack.next_edge(start, since)
        stop = end if edge is None else min(edge, end)
        segments.append((stop - start, None if limit is None else limit.value))
        start = stop
    return segments


def composite_schedule(
    store: ProfileStore,
    connector_id: int,
    *,
    now: float,
    duration: int,
    unit: RateUnit,
    local_limit: float,
    situation: Situation,
) -> CompositeSchedule:
    """The answer to GetCompositeSchedule for one connector, 1 or higher.

    Without a transaction it is what one that started now would get. Periods are the limits at whole seconds from
    ``now``, rounded to one decimal, equal neighbours merged; ask at a whole second to have none shifted.

    :param local_limit: W that the connector can deliver by itself.
    """
    since = _begin(situation, now)
    stack = _Stack(store, connector_id, situation)

    def limit(at: float) -> _Limit:
        found = stack.limit(at, since, unit, local_limit)
        assert found is not None  # the local limit is one
        return found

    return _compose(now, duration, unit, limit, lambda after: stack.next_edge(after, since))


def station_schedule(
    store: ProfileStore,
    *,
    now: float,
    duration: int,
    unit: RateUnit,
    station_limit: float,
    local_limits: Mapping[int, float],
    situations: Mapping[int, Situation],
    circuit: Circuit,
) -> CompositeSchedule:
    """The answer to GetCompositeSchedule for connector 0: what the station as a whole may take.

    The sum of what each connector may take, idle ones as if a transaction started now, capped by the
    ChargePointMaxProfiles and by the station.

    :param station_limit: W that the station can take.
    :param local_limits: W that each connector can deliver by itself.
    :param situations: the situation of each connector; one that is missing is idle.
    """
    stacks = []
    for connector_id, local_limit in local_limits.items():
        situation = situations.get(connector_id, Situation(circuit))
        stacks.append((_Stack(store, connector_id, situation), _begin(situation, now), local_limit))
    whole = _Stack(store, 0, Situation(circuit))

    def limit(at: float) -> _Limit:
        cap = whole.limit(at, now, unit, station_limit, transactions=False)
        assert cap is not None
        total = 0.0
        for stack, since, local_limit in stacks:
            found = stack.limit(at, since, unit, local_limit, cap=False)
            assert found is not None
            total += found.value
        return cap._replace(value=min(cap.value, total))

    def next_edge(after: float) -> float | None:
        edges = [whole.next_edge(after, now), *(stack.next_edge(after, since) for stack, since, _ in stacks)]
        return min((edge for edge in edges if edge is not None), default=None)

    return _compose(now, duration, unit, limit, next_edge)


def _begin(situation: Situation, now: float) -> float:
    """When the transaction began, at a whole second as the answer's are: one of this very second has begun by then."""
    return now if situation.charging_since is None else float(math.floor(situation.charging_since))


def _compose(
    now: float,
    duration: int,
    unit: RateUnit,
    limit: Callable[[float], _Limit],
    next_edge: Callable[[float], float | None],
) -> CompositeSchedule:
    periods: list[SchedulePeriod] = []
    last: tuple[float, int] | None = None
    second = 0
    for _ in range(_MAXIMUM_LOOKS):
        found = limit(now + second)
        value = math.floor(found.value * 10 + 0.5) / 10
        if (value, found.phases) != last:
            if len(periods) == MAXIMUM_PERIODS:
                break
            last = value, found.phases
            periods.append(SchedulePeriod(second, value, found.phases if found.phases_named else None))
        edge = next_edge(now + second)
        second = duration if edge is None else max(second + 1, math.ceil(edge - now - _REACHED / 2))
        if second >= duration:
            second = duration
            break
    return CompositeSchedule(now, second, unit, tuple(periods))


class _Stack:
    """The profiles that bear on one connector, those that lead first."""

    __slots__ = ("_caps", "_circuit", "_share", "_transaction")

    def __init__(self, store: ProfileStore, connector_id: int, situation: Situation) -> None:
        self._circuit = situation.circuit
        self._share = max(situation.share, 1)
        own: tuple[ChargingProfile, ...] = ()
        if situation.charging_since is not None:
            own = store.on(connector_id, Purpose.TX)
        default: tuple[ChargingProfile, ...] = ()
        if situation.fall_back or not own:
            default = store.on(connector_id, Purpose.TX_DEFAULT)
            if connector_id != 0:
                default += store.on(0, Purpose.TX_DEFAULT)  # behind: the sort keeps the order on one level
        self._transaction = (*_leading(own), *_leading(default))
        self._caps = _leading(store.on(0, Purpose.CHARGE_POINT_MAX))

    def limit(
        self,
        at: float,
        since: float,
        unit: RateUnit,
        local_limit: float | None,
        *,
        transactions: bool = True,
        cap: bool = True,
    ) -> _Limit | None:
        """The least of all limits at an instant, in ``unit``; ``local_limit`` in W."""
        found: list[tuple[float, RateUnit, SchedulePeriod]] = []
        for wanted, profiles, share in ((transactions, self._transaction, 1), (cap, self._caps, self._share)):
            for profile in profiles if wanted else ():
                period = _period_at(profile, at + _REACHED, since)
                if period is not None:
                    found.append((period.limit / share, profile.unit, period))
                    break
        # One period may use fewer phases than another, and the current flows on those that both allow.
        phases = min([self._circuit.conductors, *(period.phases or _DEFAULT_PHASES for _, _, period in found)])
        per_ampere = self._circuit.voltage * phases
        limits = []
        for value, its_unit, _ in found:
            if its_unit is unit:
                limits.append(value)
            else:
                limits.append(value / per_ampere if unit is RateUnit.AMPERE else value * per_ampere)
        if local_limit is not None:
            amperes = local_limit / (self._circuit.voltage * self._circuit.conductors)
            limits.append(amperes if unit is RateUnit.AMPERE else amperes * per_ampere)
        if not limits:
            return None
        named = any(period.phases is not None for _, _, period in found)
        return _Limit(min(limits), phases, named and not self._circuit.direct)

    def next_edge(self, after: float, since: float) -> float | None:
        """The first instant after ``after`` at which a period, a schedule or a validity starts or ends."""
        edges = (
            edge
            for profile in (*self._transaction, *self._caps)
            for edge in _edges(profile, after, since)
            if edge > after + _REACHED
        )
        return min(edges, default=None)


def _leading(profiles: Iterable[ChargingProfile]) -> tuple[ChargingProfile, ...]:
    return tuple(sorted(profiles, key=lambda profile: -profile.stack_level))


def _origin(profile: ChargingProfile, at: float, since: float) -> float:
    """When the schedule that concerns ``at`` starts, or would."""
    if profile.kind is Kind.RELATIVE or profile.start is None:
        return since
    if profile.recurrency is not None and at >= profile.start:
        length = profile.recurrency.seconds
        return profile.start + (at - profile.start) // length * length
    return profile.start


def _length(profile: ChargingProfile) -> float:
    """Seconds for which one run of the schedule has a limit."""
    longest = math.inf if profile.recurrency is None else profile.recurrency.seconds
    return longest if profile.duration is None else min(profile.duration, longest)


def _period_at(profile: ChargingProfile, at: float, since: float) -> SchedulePeriod | None:
    """The period of a profile that holds at an instant; None if the profile has no limit then."""
    if profile.valid_from is not None and at < profile.valid_from:
        return None
    if profile.valid_to is not None and at >= profile.valid_to:
        return None
    elapsed = at - _origin(profile, at, since)
    if elapsed < 0 or elapsed >= _length(profile):
        return None
    return next((period for period in reversed(profile.periods) if period.start <= elapsed), None)


def _edges(profile: ChargingProfile, after: float, since: float) -> Iterable[float]:
    """Instants at which the limit of a profile may change: at least the first after ``after``, in no order."""
    if profile.valid_from is not None:
        yield profile.valid_from
    if profile.valid_to is not None:
        yield profile.valid_to
    origin = _origin(profile, after + _REACHED, since)
    length = _length(profile)
    for period in profile.periods:
        if period.start < length:
            yield origin + period.start
    if length < math.inf:
        yield origin + length
    if profile.recurrency is not None:
        yield origin + profile.recurrency.seconds
