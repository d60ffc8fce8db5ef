"""One busy fleet for a long time: its memory must not grow, and no message may be lost.

``python -m benchmarks.soak [--stations 5000] [--minutes 10]``; the exit code is 1 when it does or one is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import msgspec

from benchmarks.clients import SIMULATOR
from benchmarks.processes import RunFailed, machine
from benchmarks.report import summarise, table
from benchmarks.scenarios import WARM_UP, Options, measure

#: Growth after the warm-up that is taken for none, in % a minute.
FLAT = 1.0


def main() -> None:
    """Soak, print what came of it, and say by the exit code whether it held."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description="One busy fleet for a long time")
    parser.add_argument("--stations", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", type=Path, default=Path("soak.json"), metavar="FILE")
    options = parser.parse_args()
    about = machine()
    try:
        result = measure("soak", SIMULATOR, Options(stations=options.stations, duration=60 * options.minutes))
    except RunFailed as error:
        raise SystemExit(str(error)) from None
    options.json.write_text(json.dumps({"machine": about, **msgspec.to_builtins(result)}) + "\n", encoding="utf-8")
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(table(summarise([[result]], "")))
    faults = []
    if result.lost is None:
        faults.append("the simulator gave no summary")
    elif result.lost:
        faults.append(f"{result.lost} message(s) lost")
    if result.memory_slope is not None and result.memory_slope > FLAT:
        faults.append(f"memory grows by {result.memory_slope:.2f} % a minute after {100 * WARM_UP:.0f} % of the time")
    print("; ".join(faults) or "memory is flat, no message lost")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
