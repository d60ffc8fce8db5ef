"""What the main meter of a station shows: the sum of what the meters of its connectors show.

Energy, power and current add up; voltage and frequency are those of the grid, the mean of what the connectors see.
What belongs to one vehicle or one outlet (state of charge, temperature, power factor, fan) the main meter has not.
"""

from __future__ import annotations

from collections.abc import Iterable

from simulator.energy.meter_channels import round_half_up
from simulator.energy.meter_values import FREQUENCY, POWER_FACTOR, UNITS, VOLTAGE, Sample

LOCATION = "Inlet"
"""Where it measures: at the grid's side of the station."""

_OF_THE_GRID = frozenset({VOLTAGE, FREQUENCY})
_ADDING_UP = tuple(
    name for name in UNITS if name.startswith(("Energy.", "Power.", "Current.")) and name != POWER_FACTOR
)


def main_meter_samples(connectors: Iterable[Iterable[Sample]], *, context: str | None = None) -> list[Sample]:
    """The samples of the main meter, in the default units.

    :param connectors: for each connector, the samples of its meter at one instant, registers since for ever.
    """
    found: dict[tuple[str, str | None], list[float]] = {}
    for samples in connectors:
        for sample in samples:
            if sample.measurand in _OF_THE_GRID or sample.measurand in _ADDING_UP:
                scale, _ = UNITS[sample.measurand][sample.unit]
                found.setdefault((sample.measurand, sample.phase), []).append(sample.value * scale)
    return [_sample(measurand, phase, values, context) for (measurand, phase), values in found.items()]


def _sample(measurand: str, phase: str | None, values: list[float], context: str | None) -> Sample:
    unit, (_, decimals) = next(iter(UNITS[measurand].items()))
    value = sum(values) / (len(values) if measurand in _OF_THE_GRID else 1)
    return Sample(measurand, round_half_up(value, decimals), unit, phase, context, LOCATION)
