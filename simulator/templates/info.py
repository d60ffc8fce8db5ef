"""One station of a template, with everything settled that the template leaves open."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from simulator.energy.electrical import Circuit, maximum_amperage
from simulator.energy.vehicle import VehicleModel
from simulator.energy.vehicle_files import shipped_vehicles
from simulator.templates.identity import MAX_PREFIX, serial_number
from simulator.templates.load import LoadedTemplate
from simulator.templates.model import ConnectorTemplate, CurrentOutType, StationTemplate

ASSUMED_AMPERES = 32.0
ASSUMED_DC_WATTS = 50_000.0
"""What a station can deliver whose template does not say it: amperes per phase and connector, watts of a DC station."""

_T = TypeVar("_T")
_EACH_ITS_OWN: Mapping[int, int] = MappingProxyType({})


class StationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What one station is. ``template`` and ``raw`` are shared by all stations of the template.

    ``maximum_power`` is in W for the whole station; ``maximum_amperage`` in A, on AC per phase and connector, on DC for
    the whole station; ``voltage_out`` in V; ``number_of_phases`` is 0 on DC. ``connectors`` holds the definition of
    each connector by number, with 0 only where the template defines and uses it; ``evses`` the EVSE of each connector,
    empty where each is its own. ``vehicles`` are the models that come.
    """

    template: StationTemplate
    raw: dict[str, Any]
    template_name: str
    template_index: int
    template_hash: str
    station_id: str
    hash_id: str
    charge_point_serial_number: str | None
    charge_box_serial_number: str | None
    meter_serial_number: str | None
    maximum_power: float
    maximum_amperage: float
    number_of_connectors: int
    connectors: Mapping[int, ConnectorTemplate]
    current_out_type: CurrentOutType
    voltage_out: float
    number_of_phases: int
    id_tags: tuple[str, ...]
    supervision_urls: tuple[str, ...]
    vehicles: tuple[VehicleModel, ...] = ()
    evses: Mapping[int, int] = _EACH_ITS_OWN

    def evse_of(self, connector_id: int) -> int:
        """The EVSE that a connector belongs to; by default each is its own."""
        return self.evses.get(connector_id, connector_id)

    @property
    def number_of_evses(self) -> int:
        """How many EVSEs divide the power of the station among them."""
        return len(set(self.evses.values())) or self.number_of_connectors

    @property
    def circuit(self) -> Circuit:
        """What feeds the connectors."""
        return Circuit(voltage=self.voltage_out, phases=self.number_of_phases)


def resolve_station(
    loaded: LoadedTemplate,
    index: int,
    *,
    station_id: str,
    hash_id: str,
    rng: random.Random,
    id_tags: Sequence[str] = (),
    fallback_supervision_urls: Sequence[str] = (),
    vehicles: Sequence[VehicleModel] | None = None,
    kept: Mapping[str, Any] | None = None,
) -> StationInfo:
    """Settle what a template leaves open for the station with that ``index``.

    ``rng`` picks from lists (power, number of connectors), deals connectors and makes serial numbers, always in one
    order: the same ``rng`` gives the same station. ``fallback_supervision_urls`` are for a template that names none.
    ``vehicles`` are by default those that come with the simulator.

    ``kept`` is the ``stationInfo`` of an earlier run: what it drew stays as long as the template allows it.
    """
    template = loaded.template
    kept = kept or {}
    circuit = circuit_of(template)
    count = _stays(kept.get("numberOfConnectors"), number_of_connectors(template, rng), template.number_of_connectors)
    connectors = _deal_connectors(template, count, rng)
    power = _maximum_power(template, circuit, count, rng)
    watts = 1000.0 if template.power_unit == "kW" else 1.0
    power = _stays(kept.get("maximumPower"), power, [value * watts for value in template.power or ()])
    return StationInfo(
        template=template,
        raw=loaded.raw,
        template_name=loaded.name,
        template_index=index,
        template_hash=loaded.template_hash,
        station_id=station_id,
        hash_id=hash_id,
        charge_point_serial_number=_serial_number(
            template.charge_point_serial_number_prefix, kept.get("chargePointSerialNumber"), rng
        ),
        charge_box_serial_number=_serial_number(
            template.charge_box_serial_number_prefix, kept.get("chargeBoxSerialNumber"), rng
        ),
        meter_serial_number=_serial_number(template.meter_serial_number_prefix, kept.get("meterSerialNumber"), rng),
        maximum_power=power,
        maximum_amperage=maximum_amperage(power, count, circuit),
        number_of_connectors=count,
        connectors=connectors,
        current_out_type=template.current_out_type,
        voltage_out=circuit.voltage,
        number_of_phases=circuit.phases,
        id_tags=tuple(id_tags),
        supervision_urls=template.supervision_urls or tuple(fallback_supervision_urls),
        vehicles=shipped_vehicles() if vehicles is None else tuple(vehicles),
        evses=_evses(template, count),
    )


def circuit_of(template: StationTemplate) -> Circuit:
    """Voltage and phases of the stations of a template."""
    if template.current_out_type == "DC":
        return Circuit(voltage=template.voltage_out or 400, phases=0)
    return Circuit(voltage=template.voltage_out or 230, phases=template.number_of_phases or 3)


def number_of_connectors(template: StationTemplate, rng: random.Random) -> int:
    """How many connectors a station has, connector 0 not counted."""
    if template.number_of_connectors:
        return _pick(template.number_of_connectors, rng)
    return sum(number > 0 for number in template.connectors)


def _deal_connectors(template: StationTemplate, count: int, rng: random.Random) -> dict[int, ConnectorTemplate]:
    defined = {number: connector for number, connector in sorted(template.connectors.items()) if number > 0}
    connectors = {}
    if template.use_connector_id0 and 0 in template.connectors:
        connectors[0] = template.connectors[0]
    choices = tuple(defined.values())
    deal = template.random_connectors or count > len(choices)
    for number in range(1, count + 1):
        connectors[number] = rng.choice(choices) if deal else defined[number]
    return connectors


def _evses(template: StationTemplate, count: int) -> Mapping[int, int]:
    """The EVSE of each connector, unless each is its own or the connectors are not those that the EVSEs have."""
    evses = {number: evse_id for evse_id, evse in template.evses.items() for number in evse.connectors if number > 0}
    if template.random_connectors or len(evses) != count or len(set(evses.values())) == count:
        return _EACH_ITS_OWN
    return evses


def _maximum_power(template: StationTemplate, circuit: Circuit, connectors: int, rng: random.Random) -> float:
    if not template.power:
        if circuit.direct:
            return ASSUMED_DC_WATTS
        return connectors * circuit.conductors * circuit.voltage * ASSUMED_AMPERES
    return _pick(template.power, rng) * (1000.0 if template.power_unit == "kW" else 1.0)


def _stays(kept: Any, drawn: _T, choices: Sequence[_T] | None) -> _T:
    """What an earlier run drew, if it is still one of several choices; else what this one has drawn."""
    return next((choice for choice in choices or () if choice == kept), drawn)


def _serial_number(prefix: str | None, kept: Any, rng: random.Random) -> str | None:
    drawn = serial_number(prefix, rng)
    return kept if prefix and isinstance(kept, str) and kept.startswith(prefix[:MAX_PREFIX]) else drawn


def _pick(values: Sequence[_T], rng: random.Random) -> _T:
    return values[0] if len(values) == 1 else rng.choice(values)
