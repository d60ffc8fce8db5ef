"""Files of vehicles: the vehicles that come with the simulator, and a user's own.

A file holds ``{"profiles": [...]}``, or the list alone, of vehicles as :class:`~simulator.energy.vehicle.VehicleModel`
describes them. ``id``, ``batteryCapacityWh``, ``maxPowerW`` and ``chargingCurve`` are required. Members that are not
known are left alone, unless one looks like a slip.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from simulator.energy.meter_values import read_number
from simulator.energy.ramp import RampShape
from simulator.energy.vehicle import VehicleModel


class VehicleProblem(NamedTuple):
    """What is wrong in a vehicle file: the place, the fault, and the mend."""

    path: str
    message: str
    suggestion: str

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{place}{self.message}; {self.suggestion}"


class VehicleFileError(ValueError):
    """A vehicle file that cannot be used; ``problems`` holds everything that is wrong with it."""

    def __init__(self, problems: list[VehicleProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class _Number(NamedTuple):
    least: float
    most: float
    above: bool = False
    """Whether ``least`` itself is too little."""
    example: float = 0


_NUMBERS: dict[str, _Number] = {
    "weight": _Number(0, 1e9, example=1),
    "batteryCapacityWh": _Number(0, 1e7, above=True, example=60_000),
    "maxPowerW": _Number(0, 1e7, above=True, example=11_000),
    "dcMaxPowerW": _Number(0, 1e7, example=100_000),
    "acMaxCurrentA": _Number(0, 1000, above=True, example=16),
    "minCurrentA": _Number(0, 1000, example=6),
    "powerFactor": _Number(0.5, 1, example=0.98),
    "chargingEfficiency": _Number(0, 1, above=True, example=0.9),
    "dcChargingEfficiency": _Number(0, 1, above=True, example=0.95),
    "initialSocPercentMin": _Number(0, 100, example=10),
    "initialSocPercentMax": _Number(0, 100, example=60),
    "targetSocPercent": _Number(0, 100, example=80),
    "rampUpSeconds": _Number(0, 3600, example=5),
    "idlePowerW": _Number(0, 10_000, example=10),
    "wakeUpSeconds": _Number(0, 86_400, example=10),
    "sleepsAfterSeconds": _Number(0, 1e9, example=1800),
}
_REQUIRED = ("id", "batteryCapacityWh", "maxPowerW", "chargingCurve")
_POINT = {"socPercent": _Number(0, 100, example=80), "powerFraction": _Number(0, 1, example=0.5)}
_OTHERS = ("id", "name", "acPhases", "rampShape", "chargingCurve")
_MEMBERS = (*_NUMBERS, *_OTHERS)


def load_vehicles(content: str | bytes) -> list[VehicleModel]:
    """Read a vehicle file.

    :raises VehicleFileError: with everything that is wrong with it.
    """
    reader = _Reader()
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise VehicleFileError([VehicleProblem("", f"is not JSON: {error}", "mend the syntax")]) from None
    if isinstance(document, dict):
        if "profiles" not in document:
            reader.tell("profiles", "is missing", 'write {"profiles": [...]}')
        prefix, entries = "profiles", document.get("profiles")
    else:
        prefix, entries = "", document
    vehicles: list[VehicleModel] = []
    if isinstance(entries, list):
        seen: dict[str, str] = {}
        for position, entry in enumerate(entries):
            vehicle = reader.vehicle(f"{prefix}[{position}]", entry, seen)
            if vehicle is not None:
                vehicles.append(vehicle)
        if not entries:
            reader.tell(prefix, "holds no vehicle", "describe at least one")
        elif vehicles and not reader.problems and not any(vehicle.weight > 0 for vehicle in vehicles):
            reader.tell(prefix, "every vehicle has the weight 0, so that none ever comes", "give one the weight 1")
    elif not reader.problems:
        reader.tell(prefix, f"expected a list of vehicles, got {_show(entries)}", 'write {"profiles": [...]}')
    if reader.problems:
        raise VehicleFileError(reader.problems)
    return vehicles


@cache
def shipped_vehicles() -> tuple[VehicleModel, ...]:
    """The vehicles that come with the simulator."""
    return tuple(load_vehicles(resources.files("simulator.energy").joinpath("vehicles.json").read_bytes()))


class _Reader:
    def __init__(self) -> None:
        self.problems: list[VehicleProblem] = []

    def tell(self, path: str, message: str, suggestion: str) -> None:
        self.problems.append(VehicleProblem(path, message, suggestion))

    def vehicle(self, path: str, entry: Any, seen: dict[str, str]) -> VehicleModel | None:
        """One vehicle, or None where it has problems, which are then told."""
        before = len(self.problems)
        if not isinstance(entry, dict):
            self.tell(path, f"expected an object, got {_show(entry)}", "describe a vehicle")
            return None
        for member in _REQUIRED:
            if entry.get(member) is None:
                self.tell(f"{path}.{member}", "is missing", "every vehicle needs it")
        self._slips(path, entry, _MEMBERS)
        values: dict[str, Any] = {}
        for member, bounds in _NUMBERS.items():
            if entry.get(member) is not None:
                values[member] = self._number(f"{path}.{member}", entry[member], bounds)
        for member in ("id", "name"):
            if (text := entry.get(member)) is not None:
                if isinstance(text, str) and (text.strip() or member == "name"):
                    values[member] = text
                else:
                    self.tell(f"{path}.{member}", f"expected text, got {_show(text)}", 'for example "compact-58"')
        self._choices(path, entry, values)
        if entry.get("chargingCurve") is not None:
            values["chargingCurve"] = self._curve(f"{path}.chargingCurve", entry["chargingCurve"])
        if (name := values.get("id")) is not None:
            if name in seen:
                self.tell(f"{path}.id", f'"{name}" is also the id of {seen[name]}', "give it another")
            seen.setdefault(name, path)
        if len(self.problems) > before:
            return None
        if values.get("initialSocPercentMin", 10.0) > values.get("initialSocPercentMax", 60.0):
            # Only one of the two may be in the file: the other gives way to it.
            if "initialSocPercentMin" in values and "initialSocPercentMax" in values:
                self.tell(f"{path}.initialSocPercentMin", "is above initialSocPercentMax", "swap them")
                return None
            given = values.get("initialSocPercentMin", values.get("initialSocPercentMax"))
            values["initialSocPercentMin"] = values["initialSocPercentMax"] = given
        return msgspec.convert(values, VehicleModel)

    def _choices(self, path: str, entry: dict[str, Any], values: dict[str, Any]) -> None:
        if (phases := entry.get("acPhases")) is not None:
            if phases in (1, 2, 3) and not isinstance(phases, bool):
                values["acPhases"] = int(phases)
            else:
                self.tell(f"{path}.acPhases", f"expected 1, 2 or 3, got {_show(phases)}", "write 1, 2 or 3")
        if (shape := entry.get("rampShape")) is not None:
            if shape in tuple(RampShape):
                values["rampShape"] = shape
            else:
                names = " or ".join(f'"{name}"' for name in RampShape)
                self.tell(f"{path}.rampShape", f"expected {names}, got {_show(shape)}", f"write {names}")

    def _curve(self, path: str, points: Any) -> list[dict[str, float]]:
        """The points in ascending order of the state of charge, whatever their order in the file."""
        if not isinstance(points, list) or not points:
            self.tell(path, f"expected a list of points, got {_show(points)}", "give at least one point")
            return []
        read = []
        for position, point in enumerate(points):
            place = f"{path}[{position}]"
            if not isinstance(point, dict):
                self.tell(place, f"expected an object, got {_show(point)}", "give socPercent and powerFraction")
                continue
            self._slips(place, point, tuple(_POINT))
            values = {}
            for member, bounds in _POINT.items():
                if point.get(member) is None:
                    self.tell(f"{place}.{member}", "is missing", "every point needs it")
                else:
                    values[member] = self._number(f"{place}.{member}", point[member], bounds)
            if len(values) == len(_POINT):
                read.append(values)
        return sorted(read, key=lambda values: values["socPercent"])

    def _number(self, path: str, value: Any, bounds: _Number) -> float:
        number = None if isinstance(value, str) else read_number(value)
        if number is None:
            self.tell(path, f"expected a number, got {_show(value)}", f"for example {bounds.example:g}")
            return bounds.example
        if not bounds.least <= number <= bounds.most or (bounds.above and number == bounds.least):
            least = f"more than {bounds.least:g}" if bounds.above else f"at least {bounds.least:g}"
            self.tell(
                path, f"must be {least} and at most {bounds.most:g}, got {number:g}", f"for example {bounds.example:g}"
            )
            return bounds.example
        return number

    def _slips(self, path: str, entry: dict[str, Any], known: tuple[str, ...]) -> None:
        for member in entry:
            if member in known:
                continue
            close = get_close_matches(member, [name for name in known if name not in entry], n=1, cutoff=0.8)
            if close:
                self.tell(f"{path}.{member}", "is not known", f"did you mean {close[0]}?")


def _show(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else f"{text[:37]}..."
