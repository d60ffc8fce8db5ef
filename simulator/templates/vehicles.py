"""Vehicle files that templates name (``evProfilesFile``)."""

from __future__ import annotations

from pathlib import Path

from simulator.config.problems import ConfigurationError, Problem
from simulator.energy.vehicle import VehicleModel
from simulator.energy.vehicle_files import VehicleFileError, load_vehicles


def load_vehicle_file(path: Path) -> tuple[VehicleModel, ...]:
    """The vehicles of a file. Raises ConfigurationError with everything that is wrong with it."""
    try:
        return tuple(load_vehicles(path.read_bytes()))
    except VehicleFileError as error:
        problems = [Problem(str(path), found.path, found.message, found.suggestion) for found in error.problems]
    except OSError as error:
        problems = [Problem(str(path), "", f"cannot be read ({error.strerror})", "check its permissions")]
    raise ConfigurationError(problems)
