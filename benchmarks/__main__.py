"""What a fleet costs: CPU, memory and time of the client's process, beside loops that only move messages.

``python -m benchmarks`` measures everything and takes about half an hour; ``python -m benchmarks load --runs 1`` takes
a minute. See ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.clients import BARE, Client, known, other
from benchmarks.processes import RunFailed, machine
from benchmarks.report import document, margin, summarise, table
from benchmarks.scenarios import SCENARIOS, Options, Result, measure

DEFAULT = ("boot", "idle", "load", "flat")


def main() -> None:
    """Measure, print a table, and keep the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenario", nargs="*", help=f"of {', '.join(SCENARIOS)}; {', '.join(DEFAULT)} by default")
    parser.add_argument("--stations", type=int, default=2000)
    parser.add_argument("--many", type=int, default=10_000, help="of the second idle fleet, for the cost at the margin")
    parser.add_argument("--duration", type=float, default=15.0, help="seconds of each measurement")
    parser.add_argument("--interval", type=int, default=60, help="seconds between heartbeats")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", action="append", metavar="NAME", help="measure only these clients")
    parser.add_argument("--client", action="append", default=[], metavar="NAME=COMMAND", help="another simulator")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    options = parser.parse_args()
    for scenario in options.scenario:
        if scenario not in SCENARIOS:
            parser.error(f"there is no scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    try:
        clients = [*known(), *map(other, options.client)]
    except ValueError as error:
        parser.error(str(error))
    clients = [who for who in clients if not options.only or who.name in options.only]
    few = Options(stations=options.stations, duration=options.duration, interval=options.interval, runs=options.runs)
    many = Options(stations=options.many, duration=options.duration, interval=options.interval, runs=options.runs)
    plans = [(scenario, few) for scenario in options.scenario or DEFAULT]
    if ("idle", few) in plans and options.many > options.stations:
        plans.append(("idle", many))
    about = machine()
    runs: list[list[Result]] = []
    for number in range(options.runs):
        runs.append(one_run(number, plans, clients))
        rows = summarise(runs, BARE.name)
        options.json.write_text(json.dumps(document(about, rows, runs), indent=1) + "\n", encoding="utf-8")
    print()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(table(rows))
    for who in clients:
        for name, value in margin(rows, who.name).items():
            print(f"{who.name}: {value:.1f} {name}")


def one_run(number: int, plans: list[tuple[str, Options]], clients: list[Client]) -> list[Result]:
    """Every scenario with every client, one after the other: what is compared has seen the same machine."""
    results = []
    for scenario, options in plans:
        for who in clients:
            try:
                result = measure(scenario, who, options)
            except RunFailed as error:
                raise SystemExit(f"{scenario}, {who.name}: {error}") from None
            print(f"run {number + 1}: {table(summarise([[result]], '')).splitlines()[1]}", flush=True)
            results.append(result)
    return results


if __name__ == "__main__":
    main()
