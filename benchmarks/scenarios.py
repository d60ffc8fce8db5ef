"""The scenarios: how a client is brought to where it is measured, and what is measured there."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.clients import Client, Load
from benchmarks.processes import Central, Process, RunFailed, busy, central, client

#: Seconds that clients have to get where they are measured.
PATIENCE = 300.0
#: Seconds from the last acceptance to the measurement, and more for each station: what starting has left, such as
#: the first writing of stations' files, is worked off.
SETTLE = 14.0
SETTLE_EACH = 0.006


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all measurements of a session. ``duration``: seconds of one measurement."""

    stations: int = 2000
    duration: float = 15.0
    interval: int = 60
    runs: int = 5


class Result(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One measurement. CPU is the client's alone; memory is PSS."""

    scenario: str
    client: str
    stations: int
    messages: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    pss_kb: int = 0
    bytes_per_message: float = 0.0
    boot_seconds: float = 0.0
    """From the first connection to the last acceptance."""
    start_seconds: float = 0.0
    """From the start of the process to the last acceptance."""
    boot_cpu: float = 0.0
    late_p99_ms: float | None = None
    late_max_ms: float | None = None
    beats: int = 0
    other_load: float = 0.0
    """Cores that others than client and central system used meanwhile."""
    memory_slope: float | None = None
    """Growth of memory after the warm-up, % a minute."""
    lost: int | None = None
    """Messages that were sent and not answered, or that the central system did not see."""
    series: list[tuple[float, int]] = []
    """Memory in kB over the seconds of a soak."""

    @property
    def us_per_message(self) -> float:
        """CPU microseconds for a CALL and its answer."""
        return 1e6 * self.cpu_seconds / self.messages if self.messages else 0.0

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds if self.seconds else 0.0


def measure(scenario: str, who: Client, options: Options) -> Result:
    """One run of a scenario in processes of its own. :raises RunFailed: the client did not get there."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, central(options.interval) as sink:
        folder = Path(name)
        load = LOADS[scenario](options)
        command = who.command_for(scenario, load, sink.url, folder)
        with client(command, folder) as process:
            result = Result(scenario=scenario, client=who.name, stations=load.stations)
            _boot(sink, process, load, result)
            SCENARIOS[scenario](sink, process, load, options, result)
            return result


# -- scenarios ---------------------------------------------------------------------------------------------------------


def _boot(sink: Central, process: Process, load: Load, result: Result) -> None:
    """Wait until every station is accepted, however long that takes."""
    stats = _wait(sink, process, lambda stats: stats["accepted"] >= load.stations, "all stations accepted")
    last = stats["acceptedAt"][load.stations - 1]
    result.boot_seconds = last - stats["firstConnect"]
    result.start_seconds = last - process.began
    result.boot_cpu = process.cpu()


def _settle(load: Load, result: Result) -> None:
    time.sleep(SETTLE + SETTLE_EACH * load.stations if result.client[:4] != "bare" else 2.0)


def _only_boot(sink: Central, process: Process, load: Load, options: Options, result: Result) -> None:
    result.pss_kb = process.pss()


def _idle(sink: Central, process: Process, load: Load, options: Options, result: Result) -> None:
    _settle(load, result)
    # Heartbeats late by nothing are what the others are compared with: two of each station are needed.
    _window(sink, process, max(options.duration, 2.2 * options.interval if who_beats(sink) else 0), result)
    result.pss_kb = process.pss()
    late = lateness(sink.stats())
    if late:
        result.beats = len(late)
        result.late_p99_ms = 1000 * late[min(len(late) - 1, int(0.99 * len(late)))]
        result.late_max_ms = 1000 * late[-1]


def who_beats(sink: Central) -> bool:
    """Whether the stations send heartbeats: bare loops do not."""
    return "StatusNotification" in sink.stats()["actions"]


def _load(sink: Central, process: Process, load: Load, options: Options, result: Result) -> None:
    wanted = 0.9 * load.stations / load.sample
    _until_rate(sink, process, wanted)
    _settle(load, result)
    _window(sink, process, options.duration, result)
    result.pss_kb = process.pss()


def _flat(sink: Central, process: Process, load: Load, options: Options, result: Result) -> None:
    _wait(sink, process, lambda stats: stats["actions"].get("MeterValues", 0) > 20 * load.stations, "readings")
    _settle(load, result)
    _window(sink, process, options.duration, result)
    result.pss_kb = process.pss()


def _soak(sink: Central, process: Process, load: Load, options: Options, result: Result) -> None:
    """Memory over the whole time, then the ordered end, after which every message must be accounted for."""
    _until_rate(sink, process, 0.8 * load.stations / load.sample)
    before, cpu, others = sink.stats(), process.cpu(), _others(sink, process)
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < options.duration:
        process.check()
        result.series.append((round(elapsed, 1), process.pss()))
        time.sleep(min(2.0, options.duration / 60))
    after = sink.stats()
    result.seconds = after["at"] - before["at"]
    result.messages = after["messages"] - before["messages"]
    result.cpu_seconds = process.cpu() - cpu
    result.other_load = (_others(sink, process) - others) / result.seconds
    result.pss_kb = result.series[-1][1]
    result.memory_slope = slope([(at, kb) for at, kb in result.series if at >= options.duration * WARM_UP])
    result.bytes_per_message = _bytes(after)
    said = process.end(within=60 + load.stations * 0.02)
    result.lost = lost(said, sink.stats())


#: Share of a soak that is not looked at: buffers of a fixed size fill up.
WARM_UP = 0.35

SCENARIOS: dict[str, Callable[[Central, Process, Load, Options, Result], None]] = {
    "boot": _only_boot,
    "idle": _idle,
    "load": _load,
    "flat": _flat,
    "soak": _soak,
}

LOADS: dict[str, Callable[[Options], Load]] = {
    "boot": lambda options: Load(stations=options.stations),
    "idle": lambda options: Load(stations=options.stations),
    "load": lambda options: Load(stations=options.stations, transactions=True),
    "flat": lambda options: Load(stations=min(100, options.stations), transactions=True),
    # Transactions come and go, and buffers of the last so many values are full before the warm-up is over.
    "soak": lambda options: Load(stations=options.stations, transactions=True, lasting=(60, 120)),
}


# -- measuring ---------------------------------------------------------------------------------------------------------


def _wait(sink: Central, process: Process, there: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    limit = time.monotonic() + PATIENCE
    while True:
        stats = sink.stats()
        if there(stats):
            return stats
        process.check()
        if time.monotonic() > limit:
            seen = {key: stats[key] for key in ("stations", "accepted", "actions")}
            raise RunFailed(f"after {PATIENCE:g} s there were not {what}: {seen}\n{process.said()[-2000:]}")
        time.sleep(0.25)


def _until_rate(sink: Central, process: Process, wanted: float) -> None:
    """Wait until MeterValues come at that rate per second."""
    last: list[tuple[float, int]] = []

    def there(stats: dict[str, Any]) -> bool:
        last.append((stats["at"], stats["actions"].get("MeterValues", 0)))
        del last[:-9]
        (begin, former), (end, latter) = last[0], last[-1]
        return len(last) == 9 and (latter - former) / (end - begin) >= wanted

    _wait(sink, process, there, f"{wanted:g} readings per second")


def _window(sink: Central, process: Process, seconds: float, result: Result) -> None:
    before, cpu, others = sink.stats(), process.cpu(), _others(sink, process)
    time.sleep(seconds)
    result.cpu_seconds = process.cpu() - cpu
    after = sink.stats()
    process.check()
    result.seconds = after["at"] - before["at"]
    result.messages = after["messages"] - before["messages"]
    result.other_load = (_others(sink, process) - others) / result.seconds
    result.bytes_per_message = _bytes(after)


def _bytes(stats: dict[str, Any]) -> float:
    number = stats["actions"].get("MeterValues", 0)
    return stats["bytes"].get("MeterValues", 0) / number if number else 0.0


def _others(sink: Central, process: Process) -> float:
    return busy() - sink.cpu() - process.cpu() - time.process_time()


def lateness(stats: dict[str, Any]) -> list[float]:
    """Seconds by which heartbeats came later than the most punctual one of their station had them due; sorted."""
    late: list[float] = []
    for beats in stats["beats"]:
        if len(beats) > 1:
            offsets = [at - number * stats["interval"] for number, at in enumerate(beats)]
            least = min(offsets)
            late.extend(offset - least for offset in offsets)
    return sorted(late)


def slope(points: Iterable[tuple[float, int]]) -> float | None:
    """The least-squares growth of memory in % of its mean a minute."""
    series = list(points)
    if len(series) < 3:
        return None
    line = statistics.linear_regression([at for at, _ in series], [float(kb) for _, kb in series])
    return 60 * 100 * line.slope / statistics.fmean(kb for _, kb in series)


def lost(said: str, stats: dict[str, Any]) -> int | None:
    """Messages that the client sent and got no answer to, or that did not come; None without a client's summary."""
    try:
        calls = json.loads(said.strip().splitlines()[-1])["calls"]
        sent, answered = int(calls["sent"]), int(calls["answered"])
    except (ValueError, KeyError, IndexError):
        return None
    return abs(sent - answered) + abs(sent - int(stats["messages"]))
