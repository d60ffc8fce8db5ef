"""No limit of a station is exceeded at any instant, whatever charges there."""

from __future__ import annotations

from typing import Any, NamedTuple

import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs
from trio.testing import MockClock

from simulator.energy.meter_values import parse_measurands
from simulator.energy.vehicle import VehicleModel
from simulator.energy.vehicle_files import shipped_vehicles
from simulator.station.connector import Connector
from tests.station.harness import START, World, station_world
from tests.station.test_smart_charging import install

#: Relative error of sums of floating-point numbers.
NOISE = 1 + 1e-9
#: Seconds from look to look, and of all.
STEP, LAST = 4, 600


class Site(NamedTuple):
    """A station and who comes to it; W, A and s."""

    direct: bool
    phases: int
    power: float
    efficiency: float
    shared: bool
    connectors: int
    maxima: list[float | None]
    """Of the connectors."""
    amperes: int | None
    """Of the amperage key; it is set after 80 s."""
    profiles: list[tuple[int, str, str, list[tuple[int, float]], int | None]]
    """Connector, purpose, unit, periods, number of phases."""
    vehicles: list[VehicleModel]
    arrivals: list[int]
    """In steps."""
    seed: int

    def template(self) -> dict[str, Any]:
        """The station as a template."""
        definitions = [{} if most is None else {"maximumPower": most} for most in self.maxima]
        return {
            "currentOutType": "DC" if self.direct else "AC",
            "numberOfPhases": 0 if self.direct else self.phases,
            "power": self.power / 1000,
            "conversionEfficiency": self.efficiency,
            "powerSharedByConnectors": self.shared,
            "numberOfConnectors": self.connectors,
            "Connectors": {"0": {}, **{str(number): each for number, each in enumerate(definitions, 1)}},
            "amperageLimitationOcppKey": "MaxAmps",
        }


def limits_at(periods: list[tuple[int, float]], since: float) -> float:
    """What a schedule allows so many seconds after its begin."""
    return [limit for start, limit in periods if start <= since][-1]


def check(world: World, site: Site, now: float, amperes: float | None) -> None:
    """Hold every node to its limits at this instant, reckoned from the description alone."""
    voltage, conductors = (400.0, 1) if site.direct else (230.0, site.phases)
    running = [c for c in world.station.connectors.values() if c.meter is not None and c.meter.in_transaction]
    powers = {c.id: c.meter.power_w for c in running if c.meter is not None}
    efficiency = site.efficiency if site.direct else 1.0
    assert sum(powers.values()) <= site.power * efficiency * NOISE
    if site.direct and amperes is not None:
        assert sum(powers.values()) <= amperes * voltage * efficiency * NOISE
    for connector in running:
        assert connector.meter is not None
        power, vehicle = powers[connector.id], connector.meter.vehicle
        assert vehicle is not None
        current = max(currents_of(connector))
        if not site.shared:
            assert power <= site.power / site.connectors * efficiency * NOISE
        most = site.maxima[connector.id - 1]
        assert most is None or power <= most * efficiency * NOISE
        assert site.direct or amperes is None or current <= amperes * NOISE
        assert power <= max(vehicle.model.power_limit(vehicle.circuit), vehicle.model.idle_power_w) * NOISE
    for where, _, unit, periods, phases in site.profiles:
        limit = limits_at(periods, now)
        used = conductors if phases is None else min(phases, conductors)
        watts = limit if unit == "W" else limit * voltage * used
        concerned = [connector for connector in running if where in (0, connector.id)]
        assert sum(powers[connector.id] for connector in concerned) <= watts * NOISE
        for connector in concerned:
            lines = [current for current in currents_of(connector)[1:] if current > 0]
            assert len(lines) <= used
            assert unit == "W" or all(current <= limit * NOISE for current in lines)


def currents_of(connector: Connector) -> list[float]:
    """A of the whole, then by line on three phases."""
    assert connector.meter is not None
    wanted = parse_measurands("Current.Import", phases=connector.meter.plan.circuit.phases).wanted
    return [sample.value for sample in connector.meter.samples(wanted)]


async def _hours(site: Site) -> None:
    keys = {"MeterValueSampleInterval": 0}
    async with station_world(template=site.template(), keys=keys, vehicles=site.vehicles, seed=site.seed) as world:
        await world.ready()
        for number, (where, purpose, unit, periods, phases) in enumerate(site.profiles, 1):
            several = {} if phases is None else {"numberPhases": phases}
            schedule = {
                "startSchedule": "2026-11-22T10:00:00Z",
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": [
                    {"startPeriod": start, "limit": limit, **several} for start, limit in periods
                ],
            }
            profile = {
                "chargingProfileId": number,
                "stackLevel": 1,
                "chargingProfilePurpose": purpose,
                "chargingProfileKind": "Absolute",
                "chargingSchedule": schedule,
            }
            assert await install(world, where, profile) == "Accepted"
        await trio.sleep(0.5)  # profiles change at whole seconds: look in between
        amperes: float | None = None
        arrivals = {step: connector for connector, step in enumerate(site.arrivals, 1)}
        for step in range(LAST // STEP):
            if step in arrivals:
                await world.charge(arrivals[step])
            if step == 20 and site.amperes is not None:
                assert await world.key("MaxAmps", site.amperes) == "Accepted"
                # At its rating, in whole amperes, a station is not limited.
                amperes = float(site.amperes) if site.amperes < world.station.info.maximum_amperage else None
            await trio.sleep(STEP)
            world.station.settle_energy()
            check(world, site, world.station.now() - START, amperes)


PERIODS = st.lists(st.tuples(st.integers(1, LAST), st.sampled_from([0.0, 5, 6, 7.3, 16, 40])), max_size=3).map(
    lambda later: [(0, 32.0), *sorted(dict(later).items())]
)
IN_WATTS = PERIODS.map(lambda periods: [(start, limit * 690) for start, limit in periods])
PROFILES = st.one_of(
    st.tuples(st.just(0), st.just("ChargePointMaxProfile"), st.just("W"), IN_WATTS, st.none()),
    st.tuples(st.just(0), st.just("ChargePointMaxProfile"), st.just("A"), PERIODS, st.none()),
    st.tuples(st.integers(1, 2), st.just("TxDefaultProfile"), st.just("A"), PERIODS, st.sampled_from([None, 1, 3])),
    st.tuples(st.integers(1, 2), st.just("TxDefaultProfile"), st.just("W"), IN_WATTS, st.sampled_from([None, 1, 3])),
)


def arrived(model: VehicleModel, soc: float, idle_w: float = 0.0) -> VehicleModel:
    """A vehicle that comes with this state of charge, and draws so much when it is full."""
    return structs.replace(model, initial_soc_percent_min=soc, initial_soc_percent_max=soc, idle_power_w=idle_w)


THIRSTY = next(vehicle for vehicle in shipped_vehicles() if vehicle.id == "luxury-108")
SHARING = Site(
    direct=False,
    phases=3,
    power=11_000,
    efficiency=1,
    shared=True,
    connectors=2,
    maxima=[None, None],
    amperes=None,
    profiles=[],
    vehicles=[arrived(THIRSTY, 5), structs.replace(arrived(THIRSTY, 99.95, 500), id="full")],
    arrivals=[0, 1],
    seed=2,  # one of each
)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    connectors = draw(st.integers(2, 3))
    direct = draw(st.booleans())
    models = [vehicle for vehicle in shipped_vehicles() if not direct or vehicle.dc_max_power_w != 0]
    # Some are about to be full, and some of those then go on drawing a little.
    socs, idle = st.sampled_from([5.0, 50, 80, 99.8, 99.95]), st.sampled_from([0.0, 20, 500])
    arriving = st.builds(arrived, st.sampled_from(models), socs, idle)
    return Site(
        direct=direct,
        phases=draw(st.sampled_from([1, 3])),
        power=draw(st.sampled_from([3700.0, 11_000, 22_000, 60_000])),
        efficiency=draw(st.sampled_from([1.0, 0.93])),
        shared=draw(st.booleans()),
        connectors=connectors,
        maxima=draw(st.lists(st.sampled_from([None, 3000.0, 7400, 20_000]), min_size=connectors, max_size=connectors)),
        amperes=draw(st.sampled_from([None, 5, 8, 13, 20])),
        profiles=draw(st.lists(PROFILES, max_size=2, unique_by=lambda profile: profile[:2])),
        vehicles=draw(st.lists(arriving, min_size=1, max_size=3, unique_by=lambda each: each.id)),
        arrivals=draw(st.lists(st.integers(0, 100), unique=True, min_size=connectors, max_size=connectors)),
        seed=draw(st.integers(0, 1000)),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(site=sites())
@example(SHARING)
@example(SHARING._replace(profiles=[(1, "TxDefaultProfile", "A", [(0, 20.0), (50, 9.0)], 1)], power=22_000))
@example(SHARING._replace(maxima=[7400, 3000.0], power=22_000, phases=1))
def test_no_node_delivers_more_than_it_may_at_any_instant(site: Site) -> None:
    trio.run(_hours, site, clock=MockClock(autojump_threshold=0))
