"""Vehicles: what a model of vehicle can take, and what a driver wants of a charging session.

Power and current are those at the inlet of the vehicle, which is what the meter of the connector measures; what of it
reaches the battery is a matter of the charging efficiency.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Annotated

import msgspec
from msgspec import Meta

from simulator.energy.electrical import Circuit
from simulator.energy.ramp import RampShape

MINIMUM_AMPERES = 6.0
"""The least current that a station can offer on alternating current (IEC 61851-1, control pilot)."""


class CurvePoint(msgspec.Struct, frozen=True, rename="camel"):
    """One corner of a charging curve, which is linear from corner to corner."""

    soc_percent: float
    power_fraction: float
    """Of the maximum power, 0 to 1."""


class VehicleModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What one model of vehicle is like. JSON names are those of the vehicle files."""

    id: Annotated[str, Meta(description="name by which the vehicle is chosen")]
    name: Annotated[str, Meta(description="description for people")] = ""
    weight: Annotated[float, Meta(ge=0, description="how often the vehicle comes, relative to the others")] = 1.0
    battery_capacity_wh: Annotated[float, Meta(gt=0, description="usable energy of the battery")]
    max_power_w: Annotated[float, Meta(gt=0, description="most that the vehicle takes, all of the charging curve")]
    charging_curve: Annotated[
        tuple[CurvePoint, ...], Meta(min_length=1, description="fraction of the maximum power by state of charge")
    ]
    dc_max_power_w: Annotated[
        float | None, Meta(description="most on direct current; 0: alternating current only; absent: maxPowerW")
    ] = None
    ac_phases: Annotated[int, Meta(ge=1, le=3, description="phases of the on-board charger")] = 3
    ac_max_current_a: Annotated[
        float | None, Meta(description="most on each phase of alternating current; absent: as maxPowerW allows")
    ] = None
    min_current_a: Annotated[
        float, Meta(ge=0, description="least offer per phase of alternating current at which it charges")
    ] = MINIMUM_AMPERES
    power_factor: Annotated[float, Meta(ge=0.5, le=1, description="cos phi on alternating current")] = 1.0
    charging_efficiency: Annotated[
        float, Meta(gt=0, le=1, description="share of the energy that reaches the battery, alternating current")
    ] = 1.0
    dc_charging_efficiency: Annotated[
        float | None, Meta(description="the same on direct current; absent: as on alternating current")
    ] = None
    initial_soc_percent_min: Annotated[float, Meta(ge=0, le=100, description="least state of charge on arrival")] = 10.0
    initial_soc_percent_max: Annotated[float, Meta(ge=0, le=100, description="greatest on arrival")] = 60.0
    target_soc_percent: Annotated[float, Meta(ge=0, le=100, description="state of charge at which it stops")] = 100.0
    ramp_shape: Annotated[RampShape, Meta(description="how the power rises at the start")] = RampShape.LINEAR
    ramp_up_seconds: Annotated[float, Meta(ge=0, description="how long it rises")] = 5.0
    idle_power_w: Annotated[
        float, Meta(ge=0, description="draw while power is offered and the battery is not charged")
    ] = 0.0
    wake_up_seconds: Annotated[float, Meta(ge=0, description="until it charges again after a pause")] = 0.0
    sleeps_after_seconds: Annotated[
        float | None, Meta(description="pause after which it does not charge again until it is plugged in anew")
    ] = None

    def __post_init__(self) -> None:
        if self.battery_capacity_wh <= 0 or self.max_power_w <= 0:
            raise ValueError(f"vehicle {self.id}: capacity and maximum power must be more than 0")
        if not self.charging_curve:
            raise ValueError(f"vehicle {self.id}: the charging curve has no point")
        if any(later.soc_percent < earlier.soc_percent for earlier, later in pairwise(self.charging_curve)):
            raise ValueError(f"vehicle {self.id}: the charging curve must be in ascending order of socPercent")

    def power_limit(self, circuit: Circuit) -> float:
        """W that the vehicle takes at most from such a circuit, its currents left aside."""
        if circuit.direct and self.dc_max_power_w is not None:
            return self.dc_max_power_w
        return self.max_power_w

    def efficiency(self, circuit: Circuit) -> float:
        """The share of the metered energy that reaches the battery."""
        if circuit.direct and self.dc_charging_efficiency is not None:
            return self.dc_charging_efficiency
        return self.charging_efficiency

    def cos_phi(self, circuit: Circuit) -> float:
        """The power factor on such a circuit, 1 on direct current."""
        return 1.0 if circuit.direct else self.power_factor

    def fraction_at(self, soc: float) -> float:
        """The charging curve at a state of charge in percent: linear between its points, constant outside."""
        curve = self.charging_curve
        index = bisect_right(curve, soc, key=lambda point: point.soc_percent)
        if index == 0:
            return curve[0].power_fraction
        if index == len(curve):
            return curve[-1].power_fraction
        low, high = curve[index - 1], curve[index]
        share = (soc - low.soc_percent) / (high.soc_percent - low.soc_percent)
        return low.power_fraction + share * (high.power_fraction - low.power_fraction)


class Goal(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the driver wants; the vehicle stops charging when the first of it is reached."""

    soc_percent: float | None = None
    """None: what the vehicle stops at by itself."""
    energy_wh: float | None = None
    """As metered, since the vehicle was plugged in."""
    departs_after_s: float | None = None
    """Seconds after it was plugged in when the driver comes back."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A vehicle that somebody sends to a connector; what is None is drawn."""

    vehicle: str | None = None
    """Its id."""
    soc: float | None = None
    """Percent with which it comes."""
    goal: Goal | None = None


ANY_ARRIVAL = Arrival()


def pick_vehicle(vehicles: Sequence[VehicleModel], circuit: Circuit, rng: Random) -> VehicleModel | None:
    """Draw a vehicle by weight among those that can charge from such a circuit; None if none can."""
    able = [vehicle for vehicle in vehicles if vehicle.power_limit(circuit) > 0 and vehicle.weight > 0]
    if not able:
        return None
    return rng.choices(able, [vehicle.weight for vehicle in able])[0]


def arrival_soc(vehicle: VehicleModel, rng: Random) -> float:
    """Draw the state of charge in percent with which a vehicle arrives."""
    low, high = sorted((vehicle.initial_soc_percent_min, vehicle.initial_soc_percent_max))
    return rng.uniform(low, high)


def soc_gain(vehicle: VehicleModel, circuit: Circuit, wh: float) -> float:
    """Percent by which ``wh`` metered watt hours raise the state of charge."""
    return wh * vehicle.efficiency(circuit) / vehicle.battery_capacity_wh * 100


def wh_for_soc(vehicle: VehicleModel, circuit: Circuit, percent: float) -> float:
    """Metered Wh that raise the state of charge by ``percent``; negative for a negative difference."""
    return percent / 100 * vehicle.battery_capacity_wh / vehicle.efficiency(circuit)
