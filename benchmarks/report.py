"""Results as a table: medians of the runs, and what they are beside the yardstick of the same runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from benchmarks.scenarios import Result


class Row(msgspec.Struct, kw_only=True):
    """The runs of one client in one scenario."""

    scenario: str
    client: str
    stations: int
    runs: int
    figures: dict[str, float]
    """Medians by name."""
    ratios: dict[str, float]
    """Median over the runs of this client's figure by the yardstick's of the same run."""


_FIGURES: dict[str, Callable[[Result], float | None]] = {
    "messagesPerSecond": lambda result: result.rate or None,
    "usPerMessage": lambda result: result.us_per_message or None,
    "cpuCores": lambda result: result.cpu_seconds / result.seconds if result.seconds else None,
    "pssMB": lambda result: result.pss_kb / 1024 or None,
    "bootSeconds": lambda result: result.boot_seconds or None,
    "startSeconds": lambda result: result.start_seconds or None,
    "bytesPerMessage": lambda result: result.bytes_per_message or None,
    "lateP99Ms": lambda result: result.late_p99_ms,
    "memorySlope": lambda result: result.memory_slope,
    "lost": lambda result: result.lost,
    "otherLoad": lambda result: result.other_load,
}
_COMPARED = ("messagesPerSecond", "usPerMessage", "pssMB", "bootSeconds", "startSeconds")
#: Of each scenario: what its table shows, with the heads of the columns.
_COLUMNS: dict[str, dict[str, str]] = {
    "boot": {"bootSeconds": "boot s", "startSeconds": "start s", "pssMB": "PSS MB"},
    "idle": {"pssMB": "PSS MB", "cpuCores": "cores", "bootSeconds": "boot s", "lateP99Ms": "late p99 ms"},
    "load": {"usPerMessage": "us/msg", "messagesPerSecond": "msg/s", "cpuCores": "cores", "pssMB": "PSS MB"},
    "flat": {"messagesPerSecond": "msg/s", "usPerMessage": "us/msg", "pssMB": "PSS MB"},
    "soak": {"usPerMessage": "us/msg", "messagesPerSecond": "msg/s", "pssMB": "PSS MB", "memorySlope": "%/min"},
}
_MAIN = {"boot": "bootSeconds", "idle": "pssMB", "load": "usPerMessage", "flat": "messagesPerSecond"}


def summarise(runs: Sequence[Sequence[Result]], yardstick: str) -> list[Row]:
    """One row for each client and scenario. Each element of ``runs`` holds results taken one after the other."""
    rows: dict[tuple[str, str, int], list[tuple[Result, Result | None]]] = {}
    for run in runs:
        sticks = {(result.scenario, result.stations): result for result in run if result.client == yardstick}
        for result in run:
            key = (result.scenario, result.client, result.stations)
            rows.setdefault(key, []).append((result, sticks.get((result.scenario, result.stations))))
    return [_row(*key, pairs) for key, pairs in rows.items()]


def _row(scenario: str, client: str, stations: int, pairs: list[tuple[Result, Result | None]]) -> Row:
    figures = {}
    ratios = {}
    for name, read in _FIGURES.items():
        values = [value for result, _ in pairs if (value := read(result)) is not None]
        if values:
            figures[name] = round(statistics.median(values), 4)
        if name in _COMPARED:
            shares = [
                mine / theirs
                for result, stick in pairs
                if stick is not None and (mine := read(result)) and (theirs := read(stick))
            ]
            if shares:
                ratios[name] = round(statistics.median(shares), 3)
    return Row(scenario=scenario, client=client, stations=stations, runs=len(pairs), figures=figures, ratios=ratios)


def margin(rows: Sequence[Row], client: str) -> dict[str, float]:
    """kB of PSS for each idle station more, between the smallest and the largest idle fleet of a client."""
    idle = sorted(
        (row.stations, row.figures["pssMB"])
        for row in rows
        if row.scenario == "idle" and row.client == client and "pssMB" in row.figures
    )
    if len(idle) < 2:
        return {}
    (few, less), (many, more) = idle[0], idle[-1]
    return {"kBPerStation": round(1024 * (more - less) / (many - few), 2)}


def table(rows: Sequence[Row]) -> str:
    """All rows as text, a block for each scenario."""
    lines: list[str] = []
    for scenario in dict.fromkeys(row.scenario for row in rows):
        columns = _COLUMNS[scenario]
        head = "".join(f"{text:>12}" for text in columns.values())
        lines += [f"{scenario:<18}{'stations':>9}{head}{'ratio':>8}{'others':>8}"]
        for row in rows:
            if row.scenario != scenario:
                continue
            cells = "".join(f"{_text(row.figures.get(name)):>12}" for name in columns)
            ratio = row.ratios.get(_MAIN.get(scenario, "usPerMessage"))
            others = row.figures.get("otherLoad", 0.0)
            lost = f"  lost {row.figures['lost']:.0f}" if "lost" in row.figures else ""
            lines.append(f"  {row.client:<16}{row.stations:>9}{cells}{_text(ratio):>8}{others:>8.2f}{lost}")
        lines.append("")
    return "\n".join(lines)


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def document(machine: dict[str, Any], rows: Sequence[Row], runs: Sequence[Sequence[Result]]) -> dict[str, Any]:
    """What is written as JSON."""
    margins = {client: found for client in {row.client for row in rows} if (found := margin(rows, client))}
    return {
        "machine": machine,
        "rows": msgspec.to_builtins(rows),
        "margins": margins,
        "runs": msgspec.to_builtins(runs),
    }
