"""CPU and memory over the number of busy stations, as a drawing.

``python -m benchmarks.curve --output FILE.svg [--stations 250 500 1000 2000 4000]``
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.clients import SIMULATOR
from benchmarks.processes import machine
from benchmarks.scenarios import Options, measure

WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 190, 56, 40, 76


def main() -> None:
    """Measure each size and draw."""
    parser = argparse.ArgumentParser(prog="benchmarks.curve", description="CPU and memory over the number of stations")
    parser.add_argument("--stations", type=int, nargs="+", default=[250, 500, 1000, 2000, 4000])
    parser.add_argument("--duration", type=float, default=8.0, help="seconds of each measurement")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    about = machine()
    cores: list[tuple[float, float]] = []
    memory: list[tuple[float, float]] = []
    for stations in options.stations:
        size = Options(stations=stations, duration=options.duration)
        found = [measure("load", SIMULATOR, size) for _ in range(options.runs)]
        cores.append((stations, statistics.median(result.cpu_seconds / result.seconds for result in found)))
        memory.append((stations, statistics.median(result.pss_kb / 1024 for result in found)))
        print(f"{stations:>6} stations {cores[-1][1]:>6.2f} cores {memory[-1][1]:>7.0f} MB", flush=True)
    where = f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, {about['date']}"
    options.output.write_text(drawing(cores, memory, where), encoding="utf-8")


def drawing(cores: Sequence[tuple[float, float]], memory: Sequence[tuple[float, float]], where: str) -> str:
    """Both curves beside each other."""
    width, height = 2 * (WIDTH + GAP) + 12, HEIGHT + TOP + 62
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        f' font-size="11">'
        f'<rect width="{width}" height="{height}" fill="white"/>'
        + _panel(cores, "Cores at one MeterValues a second and station", LEFT, "#1f6feb")
        + _panel(memory, "Memory, MB (PSS)", LEFT + WIDTH + GAP, "#bf5b16")
        + f'<text x="{LEFT}" y="{height - 8}" fill="#666">{where}</text></svg>\n'
    )


def _panel(points: Sequence[tuple[float, float]], title: str, left: float, colour: str) -> str:
    most_x, most_y = max(x for x, _ in points), _round(max(y for _, y in points))

    def at(x: float, y: float) -> tuple[float, float]:
        return left + WIDTH * x / most_x, TOP + HEIGHT * (1 - y / most_y)

    parts = [f'<text x="{left}" y="{TOP - 16}" font-size="13">{title}</text>']
    for step in range(5):
        value = most_y * step / 4
        _, y = at(0, value)
        parts.append(f'<path d="M{left} {y:.1f}h{WIDTH}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#444">{value:g}</text>')
    for stations, _ in points:
        x, _ = at(stations, 0)
        parts.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle" fill="#444">{stations:g}</text>')
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
    parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for point in points:
        x, y = at(*point)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
    parts.append(
        f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 32}" text-anchor="middle" fill="#444">stations</text>'
    )
    return "".join(parts)


def _round(value: float) -> float:
    """The next value that a scale of four parts can be made of."""
    step = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    while True:
        for factor in (1, 2, 4, 8):
            if factor * step >= value:
                return factor * step
        step *= 10


if __name__ == "__main__":
    main()
