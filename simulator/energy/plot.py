"""A drawing of one charging session as SVG text: power and limit above, state of charge and energy below.

The drawing stands by itself: no script, no font, no colour of a page that it does not bring along. It follows the light
or dark preference of whoever looks at it, and lies on any background.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple


class SessionPoint(NamedTuple):
    """What was recorded at one instant."""

    time: float
    """Seconds; where they count from does not matter."""
    power_w: float
    energy_wh: float
    """Since the session began."""
    limit_w: float | None = None
    """W that were offered, which hold until the next point; None: not known."""
    soc: float | None = None
    """Percent; None: not known."""


_WIDTH, _HEIGHT = 800, 460
_LEFT, _RIGHT = 64, 64
_PANELS = ((40, 215), (255, 420))
"""Top and bottom of the panels."""
_MOST_POINTS = 1500
_HEADROOM = 1.02
_SPACES = (1.0, 2.0, 2.5, 5.0, 10.0)
_CLOCK_SPACES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)

_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.title{font-size:14px}"
    ".grid{stroke:#888;stroke-opacity:.25;fill:none}.frame{stroke:#888;stroke-opacity:.6;fill:none}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}.power{stroke:#0b6fb8}.area{fill:#0b6fb8;fill-opacity:.12}"
    ".limit{stroke:#b5580a;stroke-dasharray:6 4;stroke-width:1.5}.soc{stroke:#1a7f4b}.energy{stroke:#8a3fa8}"
    "text.power{fill:#0b6fb8;stroke:none}text.limit{fill:#b5580a;stroke:none}"
    "text.soc{fill:#1a7f4b;stroke:none}text.energy{fill:#8a3fa8;stroke:none}"
    "@media (prefers-color-scheme:dark){text{fill:#bbb}.power{stroke:#58b4f0}.area{fill:#58b4f0}"
    ".limit{stroke:#f0a050}.soc{stroke:#52c98a}.energy{stroke:#c98ae0}text.power{fill:#58b4f0}"
    "text.limit{fill:#f0a050}text.soc{fill:#52c98a}text.energy{fill:#c98ae0}}"
)


def session_svg(points: Sequence[SessionPoint], *, title: str = "Charging session") -> str:
    """Draw a session; the same points give the same text.

    :param points: in ascending order of time; of very many, evenly spaced ones are drawn.
    :raises ValueError: if a time or a value is not finite, or the times are not in order.
    """
    _check(points)
    drawn = _thinned(points)
    start = drawn[0].time if drawn else 0.0
    span = max(drawn[-1].time - start, 1.0) if drawn else 1.0
    horizontal = _Scale(0.0, span, _LEFT, _WIDTH - _RIGHT)
    top, bottom = _PANELS
    highest = max((max(point.power_w, point.limit_w or 0.0) for point in drawn), default=0.0) / 1000
    most = max((point.energy_wh for point in drawn), default=0.0) / 1000
    power = _Scale(0.0, _ceiling(highest * _HEADROOM), top[1], top[0])
    energy = _Scale(0.0, _ceiling(most * _HEADROOM), bottom[1], bottom[0])
    soc = _Scale(0.0, 100.0, bottom[1], bottom[0])
    has_soc = any(point.soc is not None for point in drawn)
    has_limit = any(point.limit_w is not None for point in drawn)

    parts = [_head(title, drawn, span)]
    parts.append(_text(_LEFT, 22, escape(title), "title"))
    legend = [("power", "power, kW"), *([("limit", "limit, kW")] if has_limit else [])]
    parts.append(_legend(legend, top[0]))
    parts.append(_legend([("energy", "energy, kWh"), *([("soc", "state of charge, %")] if has_soc else [])], bottom[0]))
    parts.extend(_clock_axis(horizontal, span, panel, labels=panel is bottom) for panel in _PANELS)
    parts.append(_axis(power, _LEFT, left=True, grid=True))
    parts.append(_axis(energy, _LEFT, left=True, grid=True))
    if has_soc:
        parts.append(_axis(soc, _WIDTH - _RIGHT, left=False, grid=False))
    if drawn:
        at = [horizontal(point.time - start) for point in drawn]
        powers = list(zip(at, (power(point.power_w / 1000) for point in drawn), strict=True))
        floor = f"{_number(at[-1])},{_number(power(0))} {_number(at[0])},{_number(power(0))}"
        parts.append(f'<polygon class="area" points="{_coordinates(powers)} {floor}"/>')
        parts.append(_line("power", powers))
        limits = [None if point.limit_w is None else power(point.limit_w / 1000) for point in drawn]
        parts.extend(_line("limit", run) for run in _runs(at, limits, steps=True))
        parts.append(_line("energy", list(zip(at, (energy(point.energy_wh / 1000) for point in drawn), strict=True))))
        charges = [None if point.soc is None else soc(point.soc) for point in drawn]
        parts.extend(_line("soc", run) for run in _runs(at, charges, steps=False))
    else:
        parts.append(_text(_WIDTH / 2, sum(top) / 2, "nothing recorded", anchor="middle"))
    parts.append("</svg>\n")
    return "\n".join(parts)


class _Scale(NamedTuple):
    """From values to pixels."""

    low: float
    high: float
    at_low: float
    at_high: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.at_low + share * (self.at_high - self.at_low)


def _check(points: Sequence[SessionPoint]) -> None:
    before = -math.inf
    for position, point in enumerate(points):
        if not all(math.isfinite(value) for value in point if value is not None):
            raise ValueError(f"point {position} has a value that is not finite: {point}")
        if point.time < before:
            raise ValueError(f"point {position} is earlier than the one before")
        before = point.time


def _thinned(points: Sequence[SessionPoint]) -> list[SessionPoint]:
    if len(points) <= _MOST_POINTS:
        return list(points)
    last = len(points) - 1
    return [points[round(index * last / (_MOST_POINTS - 1))] for index in range(_MOST_POINTS)]


def _head(title: str, drawn: Sequence[SessionPoint], span: float) -> str:
    said = "nothing recorded"
    if drawn:
        most = max(point.power_w for point in drawn) / 1000
        said = f"{drawn[-1].energy_wh / 1000:.2f} kWh in {_clock(span)} h, at most {most:.2f} kW"
        charges = [point.soc for point in drawn if point.soc is not None]
        if charges:
            said += f", state of charge from {charges[0]:.0f} % to {charges[-1]:.0f} %"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">\n'
        f"<title>{escape(title)}</title>\n<desc>{said}</desc>\n<style>{_STYLE}</style>"
    )


def _ceiling(value: float) -> float:
    """The end of an axis that has room for ``value``."""
    space = _space(value, 4)
    return max(space, math.ceil(value / space - 1e-9) * space)


def _space(span: float, count: int) -> float:
    """A round distance that cuts ``span`` into about ``count``."""
    if span <= 0:
        return 1.0
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _SPACES if step * power >= rough * (1 - 1e-9))


def _axis(scale: _Scale, at: float, *, left: bool, grid: bool) -> str:
    space = _space(scale.high - scale.low, 4)
    parts = []
    for index in range(round((scale.high - scale.low) / space) + 1):
        value = scale.low + index * space
        level = scale(value)
        if grid:
            parts.append(f'<path class="grid" d="M{_LEFT} {_number(level)}H{_WIDTH - _RIGHT}"/>')
        anchor, offset = ("end", -8) if left else ("start", 8)
        parts.append(_text(at + offset, level + 4, f"{value:.6g}", anchor=anchor))
    return "\n".join(parts)


def _clock_axis(scale: _Scale, span: float, panel: tuple[int, int], *, labels: bool) -> str:
    top, bottom = panel
    days = math.ceil(span / 86_400 / 8) * 86_400
    space = next((space for space in _CLOCK_SPACES if span / space <= 8), days)
    parts = [f'<rect class="frame" x="{_LEFT}" y="{top}" width="{_WIDTH - _LEFT - _RIGHT}" height="{bottom - top}"/>']
    for index in range(math.floor(span / space + 1e-9) + 1):
        x = scale(index * space)
        parts.append(f'<path class="grid" d="M{_number(x)} {top}V{bottom}"/>')
        if labels:
            parts.append(_text(x, bottom + 18, _clock(index * space, seconds_too=space < 60), anchor="middle"))
    return "\n".join(parts)


def _clock(seconds: float, *, seconds_too: bool = False) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if seconds_too else f"{hours}:{minutes:02d}"


def _legend(entries: Sequence[tuple[str, str]], top: float) -> str:
    parts, right = [], _WIDTH - _RIGHT
    for kind, name in reversed(entries):
        parts.append(_text(right, top - 8, name, kind, anchor="end"))
        right -= 7 * len(name) + 16
    return "\n".join(parts)


def _runs(at: Sequence[float], levels: Sequence[float | None], *, steps: bool) -> list[list[tuple[float, float]]]:
    """The stretches of a line that has gaps; with ``steps`` a level holds until the next."""
    runs: list[list[tuple[float, float]]] = []
    run: list[tuple[float, float]] = []
    for x, level in zip(at, levels, strict=True):
        if run and steps and level != run[-1][1]:
            run.append((x, run[-1][1]))
        if level is not None:
            run.append((x, level))
        elif run:
            runs.append(run)
            run = []
    if run:
        runs.append(run)
    return runs


def _line(kind: str, points: Sequence[tuple[float, float]]) -> str:
    return f'<polyline class="line {kind}" points="{_coordinates(points)}"/>'


def _coordinates(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "") -> str:
    kind = f' class="{kind}"' if kind else ""
    anchor = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{_number(x)}" y="{_number(y)}"{kind}{anchor}>{text}</text>'


def _number(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0")
