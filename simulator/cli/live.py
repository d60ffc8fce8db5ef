"""The live status on a terminal, and its plain form where there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TextIO

import trio

if TYPE_CHECKING:
    from simulator.app import Simulator

#: Wall seconds between two drawings, on a terminal and elsewhere. Drawing costs the fleet about 10 ms.
REFRESH = 0.5
REFRESH_PLAIN = 5.0


def watcher(output: TextIO) -> Callable[[Simulator], Awaitable[None]]:
    """The display that suits where the output goes."""
    return _terminal(output) if output.isatty() else _plain(output)


class Rates:
    """Messages per second between two looks."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def messages(self, at: float, total: int) -> float:
        """The rate since the last look."""
        before, self._last = self._last, (at, total)
        if before is None or at <= before[0]:
            return 0.0
        return (total - before[1]) / (at - before[0])


def _messages(summary: dict[str, Any]) -> int:
    calls = summary["calls"]
    return int(calls["sent"] + calls["answered"] + calls["errors"] + 2 * summary["received"]["calls"])


def _latency(summary: dict[str, Any]) -> str:
    latency = summary["latencyMs"]
    if latency["p50"] is None:
        return "-"
    return f"p50 {latency['p50']:.1f}  p95 {latency['p95']:.1f}  p99 {latency['p99']:.1f} ms"


def status_line(simulator: Simulator, rate: float) -> str:
    """One line about the run."""
    summary = simulator.statistics.summary()
    states = simulator.statistics.states()
    transactions = summary["transactions"]
    return (
        f"{simulator.wall_seconds:6.0f} s  stations: {summary['stations']['configured']} configured, "
        f"{states.connected} connected, {states.accepted} accepted, {states.charging} charging  "
        f"transactions: {transactions['started']} started, {transactions['stopped']} stopped  "
        f"{summary['energyWh'] / 1000:.2f} kWh  {rate:.0f} msg/s  {_latency(summary)}"
    )


def _plain(output: TextIO) -> Callable[[Simulator], Awaitable[None]]:
    async def watch(simulator: Simulator) -> None:
        rates = Rates()
        rates.messages(simulator.wall_seconds, 0)
        if simulator.central_url:
            print(f"central system: {simulator.central_url}", file=output, flush=True)
        while True:
            await trio.sleep(REFRESH_PLAIN)
            rate = rates.messages(simulator.wall_seconds, _messages(simulator.statistics.summary()))
            print(status_line(simulator, rate), file=output, flush=True)

    return watch


def _terminal(output: TextIO) -> Callable[[Simulator], Awaitable[None]]:
    async def watch(simulator: Simulator) -> None:
        from rich.console import Console
        from rich.live import Live

        rates = Rates()
        with Live(console=Console(file=output), auto_refresh=False, transient=True) as live:
            while True:
                rate = rates.messages(simulator.wall_seconds, _messages(simulator.statistics.summary()))
                live.update(_picture(simulator, rate), refresh=True)
                await trio.sleep(REFRESH)

    return watch


def _picture(simulator: Simulator, rate: float) -> Any:
    from rich.panel import Panel
    from rich.table import Table

    summary, states = simulator.statistics.summary(), simulator.statistics.states()
    calls, transactions = summary["calls"], summary["transactions"]
    table = Table.grid(padding=(0, 3))
    table.add_column(justify="right", style="bold")
    table.add_column()
    table.add_row(
        "stations",
        f"{summary['stations']['configured']} configured   {states.connected} connected   "
        f"[green]{states.accepted} accepted[/]   [cyan]{states.charging} charging[/]",
    )
    table.add_row("transactions", f"{transactions['started']} started   {transactions['stopped']} stopped")
    table.add_row("energy", f"{summary['energyWh'] / 1000:.3f} kWh")
    table.add_row("messages", f"{rate:.0f}/s   {calls['sent']} calls sent   {summary['received']['calls']} received")
    trouble = "red" if calls["errors"] or calls["timeouts"] else "green"
    table.add_row("trouble", f"[{trouble}]{calls['errors']} errors   {calls['timeouts']} timeouts[/]")
    table.add_row("latency", _latency(summary))
    minutes, seconds = divmod(int(simulator.wall_seconds), 60)
    speed = f", speed {simulator.options.speed:g}" if simulator.options.speed != 1 else ""
    where = f"   {simulator.central_url}" if simulator.central_url else ""
    return Panel(
        table, title=f"charging stations   {minutes}:{seconds:02d}{speed}{where}", subtitle="Ctrl-C ends in order"
    )
