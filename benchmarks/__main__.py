"""What a fleet costs: CPU per message and memory, of the simulator's process alone.

Two processes: the embedded central system, and a fleet that drives it. ``idle`` boots the stations and lets them be,
``busy`` lets every connector transact. Figures are those of the summary that ``simulator run --json`` prints; absolute
ones hold for one machine and one moment, so compare runs of one session only.

``python -m benchmarks --stations 500 --duration 30``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SCENARIOS = ("idle", "busy")
#: Virtual seconds per wall second: a day of heartbeats and samples fits into the run.
SPEED = {"idle": 1, "busy": 20}


def main() -> None:
    """Run the scenarios and print a table; ``--json FILE`` keeps the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="one of them; all by default")
    parser.add_argument("--stations", type=int, default=200)
    parser.add_argument("--duration", type=float, default=20.0, help="wall seconds of each scenario")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    results = {name: measure(name, options.stations, options.duration) for name in options.scenario or SCENARIOS}
    columns = ("stations", "calls", "calls/s", "CPU s", "us/call", "MiB", "p95 ms")
    print(f"{'scenario':<8}" + "".join(f"{column:>9}" for column in columns))
    for name, result in results.items():
        calls = result["calls"]["answered"]
        rate, each = calls / result["wallSeconds"], 1e6 * result["cpuSeconds"] / max(1, calls)
        print(
            f"{name:<8}{result['stations']['accepted']:>9}{calls:>9}{rate:>9.0f}{result['cpuSeconds']:>9.2f}"
            f"{each:>9.0f}{result['maxRssMiB']:>9.0f}{result['latencyMs']['p95'] or 0:>9.1f}"
        )
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def measure(scenario: str, stations: int, duration: float) -> dict[str, Any]:
    """One scenario in processes of its own; returns the summary of the run."""
    simulator = [sys.executable, "-m", "simulator"]
    central = subprocess.Popen([*simulator, "csms", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert central.stdout is not None
        url = central.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "config.json"
            model = "virtual-simple-atg" if scenario == "busy" else "virtual-simple"
            config.write_text(
                json.dumps(
                    {
                        "supervisionUrls": url,
                        "uiServer": {"enabled": False},
                        "stationTemplateUrls": [{"file": model, "numberOfStations": stations}],
                    }
                ),
                encoding="utf-8",
            )
            run = [*simulator, "run", str(config), "--json", "--seed", "1", "--data-dir", str(Path(folder) / "data")]
            bounds = ["--duration", str(duration), "--speed", str(SPEED[scenario])]
            done = subprocess.run([*run, *bounds], stdout=subprocess.PIPE, check=True, text=True)
    finally:
        central.terminate()
        central.wait(10)
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


if __name__ == "__main__":
    main()
