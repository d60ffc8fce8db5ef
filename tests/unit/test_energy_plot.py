"""The drawing of a charging session."""

from __future__ import annotations

import math
from random import Random
from xml.etree import ElementTree

import pytest

from simulator.energy.electrical import Circuit
from simulator.energy.meter import ConnectorMeter
from simulator.energy.meter_plan import meter_plan
from simulator.energy.plot import SessionPoint, session_svg
from simulator.energy.vehicle_files import shipped_vehicles

SVG = "{http://www.w3.org/2000/svg}"


def recorded(count: int = 200) -> list[SessionPoint]:
    meter, rng = ConnectorMeter(meter_plan((), Circuit(400, 0))), Random(1)
    meter.plug_in(shipped_vehicles()[3], rng, soc=12)
    meter.begin_transaction(rng)
    points = []
    for step in range(count):
        limit = 0.0 if count / 4 < step < count / 3 else 150_000.0
        meter.advance(4000 / count, limit, rng)
        points.append(SessionPoint(step * 4000 / count, meter.power_w, meter.transaction_wh, limit, meter.soc))
    return points


def lines(svg: str) -> dict[str, list[list[tuple[float, float]]]]:
    """The lines of a drawing by kind."""
    found: dict[str, list[list[tuple[float, float]]]] = {}
    for line in ElementTree.fromstring(svg).iter(f"{SVG}polyline"):
        pairs = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        found.setdefault(line.attrib["class"].removeprefix("line "), []).append([(x, y) for x, y in pairs])
    return found


def test_a_session_is_drawn_within_its_frame_the_same_every_time() -> None:
    svg = session_svg(recorded(), title="CS-1 <1> & more")
    assert svg == session_svg(recorded(), title="CS-1 <1> & more")
    root = ElementTree.fromstring(svg)
    assert root.findtext(f"{SVG}title") == "CS-1 <1> & more"
    description = root.findtext(f"{SVG}desc") or ""
    assert "state of charge from 13 % to" in description
    assert "prefers-color-scheme:dark" in svg
    drawn = lines(svg)
    assert set(drawn) == {"power", "limit", "energy", "soc"}
    for kind, runs in drawn.items():
        top, bottom = (40, 215) if kind in ("power", "limit") else (255, 420)
        for x, y in (point for run in runs for point in run):
            assert 64 <= x <= 736
            assert top <= y <= bottom
    heights = [y for _, y in drawn["energy"][0]]
    assert heights == sorted(heights, reverse=True)


def test_many_points_are_thinned_and_few_are_enough() -> None:
    many = [SessionPoint(at, 11_000, at * 3) for at in range(20_000)]
    (power,) = lines(session_svg(many))["power"]
    assert len(power) <= 1500
    assert power[-1][0] == 736
    assert "nothing recorded" in session_svg([])
    alone = lines(session_svg([SessionPoint(5, 0, 0)]))
    assert set(alone) == {"power", "energy"}


def test_a_gap_in_what_is_known_is_a_gap_in_the_line() -> None:
    points = [SessionPoint(at, 1000, at, 2000 if at != 2 else None, None if at == 3 else 50) for at in range(6)]
    drawn = lines(session_svg(points))
    assert len(drawn["limit"]) == len(drawn["soc"]) == 2


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="point 0 has a value that is not finite"):
        session_svg([SessionPoint(0, math.nan, 0)])
    with pytest.raises(ValueError, match="point 1 is earlier"):
        session_svg([SessionPoint(1, 0, 0), SessionPoint(0, 0, 0)])
