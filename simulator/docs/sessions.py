"""The drawings of charging sessions in the manual; ``simulator plot`` makes the same."""

from __future__ import annotations

from random import Random

from simulator.energy.electrical import Circuit
from simulator.energy.plot import session_svg
from simulator.energy.recording import Limit, Scene, record_session
from simulator.energy.vehicle import VehicleModel
from simulator.energy.vehicle_files import shipped_vehicles


def sessions() -> dict[str, str]:
    """Drawings by file name: each with a charging profile in the middle."""
    wallbox = Scene(
        vehicle=_vehicle("city-37"),
        circuit=Circuit(230, 3),
        station_w=11_000,
        limit=Limit(4_830, 3600, 7200),
        soc=20,
    )
    charger = Scene(
        vehicle=_vehicle("compact-58"),
        circuit=Circuit(400, 0),
        station_w=150_000,
        limit=Limit(30_000, 600, 1200),
        soc=10,
    )
    return {
        "session-ac.svg": _drawn(wallbox, "City car on two phases of an 11 kW wallbox, 7 A from minute 60 to 120"),
        "session-dc.svg": _drawn(charger, "Compact car at a 150 kW charger, 30 kW from minute 10 to 20"),
    }


def _drawn(scene: Scene, title: str) -> str:
    return session_svg(record_session(scene, Random(1)), title=title)


def _vehicle(name: str) -> VehicleModel:
    return next(vehicle for vehicle in shipped_vehicles() if vehicle.id == name)
