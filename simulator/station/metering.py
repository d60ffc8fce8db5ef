"""Between the station and its meters: what a connector may deliver now, and samples as OCPP 1.6 MeterValues."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import msgspec

from simulator.energy.electrical import Circuit, available_power
from simulator.energy.main_meter import main_meter_samples
from simulator.energy.meter import ConnectorMeter
from simulator.energy.meter_channels import Selection
from simulator.energy.meter_plan import MeterPlan, MeterSwitches, meter_plan
from simulator.energy.meter_values import ENERGY, Sample, format_value, parse_measurands
from simulator.energy.meter_values import Measurand as Measured
from simulator.ocpp.v16.enums import Location, Measurand, Phase, ReadingContext, UnitOfMeasure
from simulator.ocpp.v16.messages import MeterValue, SampledValue
from simulator.station.keys import AMPERAGE_UNITS
from simulator.templates.info import StationInfo
from simulator.templates.model import ConnectorTemplate
from simulator.timestamps import format_timestamp

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation
    from simulator.station.transaction import Transaction

_E = TypeVar("_E", bound=StrEnum)


def _members(kind: type[_E]) -> dict[str | None, _E | None]:
    """The members of an enumeration by what they are on the wire; nothing for nothing."""
    return {None: None, "": None, **{member.value: member for member in kind}}


_CONTEXTS = _members(ReadingContext)
_MEASURANDS = _members(Measurand)
_PHASES = _members(Phase)
_LOCATIONS = _members(Location)
_UNITS = _members(UnitOfMeasure)


def circuit(info: StationInfo) -> Circuit:
    """What feeds the connectors of a station."""
    return Circuit(info.voltage_out, info.number_of_phases)


def connector_meter(info: StationInfo, definition: ConnectorTemplate) -> ConnectorMeter:
    """A new meter for a connector, as its template entries and the station's switches describe it."""
    return ConnectorMeter(plan_of(info, definition))


def plan_of(info: StationInfo, definition: ConnectorTemplate) -> MeterPlan:
    """How a connector is metered; the same object for the same facts."""
    template = info.template
    switches = MeterSwitches(
        main_voltage=template.main_voltage_meter_values,
        line_to_line_voltage=template.phase_line_to_line_voltage_meter_values,
        limit_custom_values=template.custom_value_limitation_meter_values,
        per_transaction=template.metering_per_transaction,
    )
    return meter_plan(definition.meter_values, circuit(info), switches)


def raise_register(station: ChargingStation, connector_id: int, lifetime_wh: float) -> None:
    """Let a connector's register not show less than it did in an earlier process. No transaction may run."""
    connector = station.connectors.get(connector_id)
    if connector is not None and connector.meter is not None and connector.meter.lifetime_wh < lifetime_wh:
        state = msgspec.structs.replace(connector.meter.state, lifetime_wh=lifetime_wh, transaction_wh=0.0)
        connector.meter = ConnectorMeter(connector.meter.plan, state)


def own_limit(station: ChargingStation, connector: Connector) -> float:
    """W from the grid that the connector can deliver by itself: an even share of the station, the amperage key, its
    own maximum."""
    info = station.info
    running = [transaction.connector.id for transaction in station.sessions.running()]
    if info.template.power_shared_by_connectors:
        divider = max(1, len(running))
    else:
        evse = info.evse_of(connector.id)
        divider = info.number_of_evses * max(1, sum(info.evse_of(number) == evse for number in running))
    return available_power(
        info.maximum_power,
        info.circuit,
        divider=divider,
        amperage_limit=amperage_limit(station),
        maximum_amperage=info.maximum_amperage,
        connector_maximum=connector.template.maximum_power,
    )


def amperage_limit(station: ChargingStation) -> float | None:
    """A that the amperage limitation key allows; None without the key, or where its value is no number."""
    template = station.info.template
    if not template.amperage_limitation_ocpp_key:
        return None
    try:
        limit = float(station.keys.text(template.amperage_limitation_ocpp_key))
    except ValueError:
        return None
    return max(0.0, limit) / AMPERAGE_UNITS[template.amperage_limitation_unit]


# -- MeterValues -------------------------------------------------------------------------------------------------------


def meter_value(
    station: ChargingStation,
    connector: Connector,
    measurands: str,
    context: ReadingContext,
    *,
    at: float | None = None,
) -> MeterValue:
    """What the connector's meter shows now of a comma-separated list of measurands.

    :param at: the instant to name, on the station's own clock; by default now.
    """
    assert connector.meter is not None
    # A template entry may name a context of its own, which holds for the periodic samples.
    named = None if context is ReadingContext.SAMPLE_PERIODIC else str(context)
    samples = connector.meter.samples(_wanted(station, measurands), context=named)
    return _meter_value(station.now() if at is None else at, samples)


def periodic_values(station: ChargingStation, connector: Connector, measurands: str) -> tuple[bytes, Selection]:
    """The payload of MeterValues that :func:`meter_value` would make a periodic sample of, without the transaction.

    Written as JSON at once: a fleet under load does hardly anything else. With it comes what its shape depends on.
    """
    meter = connector.meter
    assert meter is not None
    text, selection = meter.periodic_samples(meter.plan.select_text(measurands))
    at = format_timestamp(station.now())
    payload = f'{{"connectorId":{connector.id},"meterValue":[{{"timestamp":"{at}","sampledValue":[{text}]}}]}}'
    return payload.encode(), selection


def main_meter_value(station: ChargingStation, measurands: str, context: ReadingContext, at: float) -> MeterValue:
    """The same of the station's main meter, which sees what all connectors draw."""

    def read(wanted: tuple[Measured, ...]) -> list[Sample]:
        meters = [connector.meter for connector in station.connectors.values() if connector.meter is not None]
        readings = [meter.samples(wanted, context=str(context), for_life=True) for meter in meters]
        return main_meter_samples(readings, context=str(context))

    return _meter_value(at, read(_wanted(station, measurands)) or read(()))


def let_idle(station: ChargingStation, connector: Connector) -> None:
    """Let the meter of a connector without a transaction notice that nothing flows any more."""
    if connector.transaction is None and connector.meter is not None:
        connector.meter.advance(1.0, 0.0, station.meter_rng)


def begin_value(station: ChargingStation, transaction: Transaction, measurands: str = "") -> MeterValue:
    """The energy register at the start, context Transaction.Begin: agrees with meterStart; then other measurands."""
    samples = _edge(station, transaction, transaction.meter_start, measurands, ReadingContext.TRANSACTION_BEGIN)
    return _meter_value(transaction.started_at, samples)


def end_value(station: ChargingStation, transaction: Transaction, measurands: str = "") -> MeterValue:
    """The energy register at the stop, context Transaction.End: agrees with meterStop; then other measurands.

    Of a transaction that an earlier process left running nothing but the register is known.
    """
    assert transaction.stopped_at is not None
    assert transaction.meter_stop is not None
    known = measurands if transaction.connector.transaction is transaction else ""
    samples = _edge(station, transaction, transaction.meter_stop, known, ReadingContext.TRANSACTION_END)
    return _meter_value(transaction.stopped_at, samples)


def _edge(
    station: ChargingStation, transaction: Transaction, wh: int, measurands: str, context: ReadingContext
) -> list[Sample]:
    meter = transaction.connector.meter
    assert meter is not None
    wanted = _wanted(station, measurands)
    others = meter.samples(wanted, context=str(context)) if wanted else []
    register = meter.register_sample(wh, context=str(context))
    return [register, *(other for other in others if (other.measurand, other.phase) != (ENERGY, None))]


def _wanted(station: ChargingStation, measurands: str) -> tuple[Measured, ...]:
    return parse_measurands(measurands, phases=station.info.number_of_phases).wanted


def _meter_value(at: float, samples: list[Sample]) -> MeterValue:
    return MeterValue(timestamp=format_timestamp(at), sampled_value=tuple(map(_sampled_value, samples)))


def _sampled_value(sample: Sample) -> SampledValue:
    # Looked up rather than made: a fleet under load does this a hundred thousand times a second.
    return SampledValue(
        value=format_value(sample.value),
        context=_CONTEXTS[sample.context],
        measurand=_MEASURANDS[sample.measurand],
        phase=_PHASES[sample.phase],
        location=_LOCATIONS[sample.location],
        unit=_UNITS[sample.unit],
    )


def metered(connector: Connector) -> tuple[float, float, float | None]:
    """Power in W, register in Wh and state of charge in percent, as of the last settlement."""
    meter = connector.meter
    assert meter is not None
    return meter.power_w, meter.register_wh, meter.soc
