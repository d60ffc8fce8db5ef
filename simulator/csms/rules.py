"""Rules of OCPP 1.6 that a schema cannot express and a central system can see broken. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulator.timestamps import parse_timestamp

_EVERY = frozenset(
    {
        "Available",
        "Preparing",
        "Charging",
        "SuspendedEV",
        "SuspendedEVSE",
        "Finishing",
        "Reserved",
        "Unavailable",
        "Faulted",
    }
)
_IN_TRANSACTION = _EVERY - {"Preparing", "Reserved"}

# OCPP 1.6 §4.9, the table of connector status transitions. Repeating a status is always allowed: a trigger asks for it.
_NEXT: Mapping[str, frozenset[str]] = {
    "Available": _EVERY - {"Finishing"},
    "Preparing": _EVERY - {"Reserved", "Unavailable"},
    "Charging": _IN_TRANSACTION,
    "SuspendedEV": _IN_TRANSACTION,
    "SuspendedEVSE": _IN_TRANSACTION,
    "Finishing": frozenset({"Available", "Preparing", "Finishing", "Unavailable", "Faulted"}),
    "Reserved": frozenset({"Available", "Preparing", "Reserved", "Unavailable", "Faulted"}),
    "Unavailable": _EVERY - {"Finishing", "Reserved"},
    "Faulted": _EVERY,
}
_OF_THE_STATION = frozenset({"Available", "Unavailable", "Faulted"})

_IMPORT_REGISTER = "Energy.Active.Import.Register"

# meterStart and meterStop are whole Wh, samples need not be: rounding alone may make a register step back by one.
REGISTER_TOLERANCE = 1.0


def status_problem(connector_id: int, previous: str | None, status: str) -> str | None:
    """Why ``status`` cannot be reported for the connector now, or None if it can.

    :param previous: the status last reported on the same connection since the boot; None if there is none, because
        what happened while the station was offline is not reported.
    """
    if connector_id < 0:
        return f"connector {connector_id} cannot be"
    if connector_id == 0:
        return None if status in _OF_THE_STATION else f"connector 0 cannot be {status}"
    if previous is not None and status not in _NEXT[previous]:
        return f"connector {connector_id} cannot go from {previous} to {status}"
    return None


def import_registers(meter_value: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, float]]:
    """The readings of the connector's import register as (POSIX seconds, Wh), in the order of the message.

    Values that a trigger asked for are left out: they may overtake the queue of older ones (OCPP 1.6 §3.7.1).

    :param meter_value: ``meterValue`` or ``transactionData`` of a message that its schema accepts.
    :raises ValueError: when a timestamp or a value cannot be read.
    """
    for sample in meter_value:
        instant, _ = parse_timestamp(sample["timestamp"])
        for value in sample["sampledValue"]:
            if (
                value.get("measurand", _IMPORT_REGISTER) == _IMPORT_REGISTER
                and "phase" not in value
                and value.get("location", "Outlet") == "Outlet"
                and value.get("format", "Raw") == "Raw"
                and value.get("context") != "Trigger"
            ):
                reading = float(value["value"])
                yield instant, reading * 1000 if value.get("unit") == "kWh" else reading
