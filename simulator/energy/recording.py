"""A charging session from plugging in to the end of charge, in no time at all: what a station's connector would do.

The same parts decide as in a station: charging profiles make the limit, the offer follows from it, the vehicle draws
what it can use, and the meter counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import msgspec

from simulator.energy.charging_profiles import (
    ChargingProfile,
    Kind,
    ProfileStore,
    Purpose,
    RateUnit,
    SchedulePeriod,
)
from simulator.energy.charging_schedule import Situation, next_change, rate_at
from simulator.energy.electrical import Circuit, available_power
from simulator.energy.meter import ConnectorMeter
from simulator.energy.meter_plan import meter_plan
from simulator.energy.plot import SessionPoint
from simulator.energy.vehicle import VehicleModel

_CONNECTOR = 1
# How long the quiet after the end of charge is shown.
_AFTERWARDS = 300.0
# Rounding must not make a look at an event too early.
_AFTER_EVENT = 0.05
_RAMP_STEP = 1.0


class Limit(NamedTuple):
    """A charging profile of one period."""

    watts: float
    begin: float
    """Seconds since the begin of the session."""
    end: float


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What charges where.

    :param station_w: W that the station can deliver.
    :param soc: percent with which the vehicle arrives; None: drawn.
    :param longest: seconds after which the session ends, charged or not.
    :param step: seconds between two points at most.
    """

    vehicle: VehicleModel
    circuit: Circuit
    station_w: float
    limit: Limit | None = None
    soc: float | None = None
    efficiency: float = 1.0
    longest: float = 86_400.0
    step: float = 30.0


def record_session(scene: Scene, rng: Random) -> list[SessionPoint]:
    """The points of a session: at least one each ``step``, and two where the offer changes."""
    return list(_points(scene, rng))


def _points(scene: Scene, rng: Random) -> Iterator[SessionPoint]:
    meter = ConnectorMeter(meter_plan((), scene.circuit))
    meter.plug_in(scene.vehicle, rng, soc=scene.soc)
    meter.begin_transaction(rng)
    store, situation = _store(scene.limit), Situation(scene.circuit, charging_since=0.0)
    now, end = 0.0, scene.longest

    def offer() -> tuple[float, int | None]:
        rate = rate_at(store, _CONNECTOR, now, situation)
        watts = available_power(
            scene.station_w,
            scene.circuit,
            divider=1,
            profile_limit=None if rate is None else rate.watts,
            profile_phases=None if rate is None else rate.phases,
            efficiency=scene.efficiency,
        )
        phases = None if rate is None else rate.phases
        meter.offer(watts, phases=phases)
        return watts, phases

    def point() -> SessionPoint:
        return SessionPoint(now, meter.power_w, meter.transaction_wh, offered[0], meter.soc)

    offered = offer()
    yield point()
    while now < end:
        waits = [scene.step, end - now]
        if now < scene.vehicle.ramp_up_seconds:
            waits.append(_RAMP_STEP)
        if (change := next_change(store, _CONNECTOR, now, situation)) is not None:
            waits.append(change - now)
        if (event := meter.next_event_at(now)) is not None:
            waits.append(event - now + _AFTER_EVENT)
        elapsed = min(waits)
        meter.advance(elapsed, offered[0], rng, phases=offered[1])
        now += elapsed
        yield point()
        before, offered = offered, offer()
        if offered != before:
            yield point()
        vehicle = meter.vehicle
        if vehicle is not None and vehicle.finished and end == scene.longest:
            end = min(end, now + _AFTERWARDS)


def _store(limit: Limit | None) -> ProfileStore:
    if limit is None:
        return ProfileStore()
    profile = ChargingProfile(
        profile_id=1,
        stack_level=0,
        purpose=Purpose.TX,
        kind=Kind.RELATIVE,
        unit=RateUnit.WATT,
        periods=(SchedulePeriod(0, limit.watts),),
        valid_from=limit.begin,
        valid_to=limit.end,
    )
    return ProfileStore().with_profile(_CONNECTOR, profile)
