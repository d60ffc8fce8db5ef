"""The live status on a terminal, and its plain form where there is none.

Whatever happens to the place where it is drawn stays there: a terminal that is held (Ctrl-S), a pipe that nobody reads,
a stream that breaks. The writing is done by a thread, so that the fleet never waits for it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import msgspec
import trio

from simulator.cli.outcome import LastTrouble, violations
from simulator.cli.output import count, printable

if TYPE_CHECKING:
    from simulator.app import Simulator

#: Wall seconds between two drawings, on a terminal and elsewhere.
REFRESH = 0.5
REFRESH_PLAIN = 5.0
#: Wall seconds for which a line about changed files is shown.
NEWS_FOR = 60.0
#: Wall seconds that the terminal has to take the last escape sequences.
RESTORE_WITHIN = 1.0

Watch = Callable[["Simulator"], Awaitable[None]]


def watcher(output: TextIO | None, *, logs_here: bool) -> Watch | None:
    """The display that suits where the output goes; None where it goes nowhere.

    :param logs_here: log lines go to the same terminal: they and a drawing would spoil each other.
    """
    if output is None or output.closed:
        return None
    return partial(_draw if draws(output, logs_here=logs_here) else _write, output)


def draws(output: TextIO | None, *, logs_here: bool) -> bool:
    """Whether the display takes the whole terminal: then nothing else may be written to it."""
    if output is None or output.closed or logs_here:
        return False
    clever = os.name == "nt" or os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
    return output.isatty() and clever


# -- what is shown -----------------------------------------------------------------------------------------------------


class Row(msgspec.Struct, frozen=True):
    """A line of the status: its name, its parts, and whether it tells of trouble."""

    name: str
    parts: tuple[str, ...]
    bad: bool = False


class LastNews:
    """Remembers the last line about changed files for as long as people may want to read it."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._row: Row | None = None
        self._at = 0.0
        simulator.news.append(self._hear)

    def _hear(self, line: str, bad: bool) -> None:
        self._row, self._at = Row("files", (printable(line),), bad), self._simulator.wall_seconds

    def rows(self) -> list[Row]:
        """The line, unless it is old."""
        fresh = self._row is not None and self._simulator.wall_seconds - self._at < NEWS_FOR
        return [self._row] if fresh and self._row is not None else []


class Status:
    """Reads the state of a run for the display; remembers the last look, for rates."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._trouble = LastTrouble(simulator.bus)
        self._news = LastNews(simulator)
        self._looked = simulator.wall_seconds
        self._messages = self._count_messages()

    def _count_messages(self) -> int:
        statistics = self._simulator.statistics
        own = statistics.calls_sent + statistics.calls_answered + statistics.call_errors
        return own + 2 * statistics.calls_received

    def rows(self) -> list[Row]:
        """The status, and the rate of messages since the last look."""
        simulator = self._simulator
        statistics, states = simulator.statistics, simulator.statistics.states()
        looked, messages = simulator.wall_seconds, self._count_messages()
        rate = (messages - self._messages) / (looked - self._looked) if looked > self._looked else 0.0
        self._looked, self._messages = looked, messages
        rows = [
            Row(
                "stations",
                (
                    f"{states.configured} configured",
                    f"{states.connected} connected",
                    f"{states.accepted} accepted",
                    f"{states.charging} charging",
                ),
            ),
            Row(
                "transactions",
                (f"{statistics.transactions_started} started", f"{statistics.transactions_stopped} stopped"),
            ),
            Row("energy", (f"{statistics.energy_wh / 1000:.3f} kWh in stopped transactions",)),
            Row(
                "messages",
                (f"{rate:.0f}/s", f"{statistics.calls_sent} calls sent", f"{statistics.calls_received} received"),
            ),
            self._latency(),
            *self._troubles(),
            *self._news.rows(),
        ]
        if simulator.central_url is not None:
            rows.insert(0, Row("central system", (simulator.central_url,)))
        if simulator.ui_urls:
            rows.insert(0, Row("dashboard", (simulator.ui_urls[0],)))
        return rows

    def _latency(self) -> Row:
        latency = self._simulator.statistics.latency()
        if latency.p50 is None or latency.p95 is None or latency.p99 is None:
            return Row("latency", ("-",))
        return Row("latency", (f"p50 {latency.p50:.1f}", f"p95 {latency.p95:.1f}", f"p99 {latency.p99:.1f} ms"))

    def _troubles(self) -> list[Row]:
        simulator = self._simulator
        statistics = simulator.statistics
        numbers = [(statistics.call_errors, "error"), (statistics.call_timeouts, "timeout")]
        if simulator.central is not None:
            numbers.append((violations(simulator), "violation"))
        if statistics.crashes:
            numbers.append((statistics.crashes, "restart"))
        rows = [
            Row(
                "trouble",
                tuple(count(number, noun) for number, noun in numbers),
                bad=any(number for number, _ in numbers),
            )
        ]
        if last := self._trouble.recent():
            rows.append(Row("last trouble", (last,), bad=True))
        return rows

    def title(self) -> str:
        """What runs, since when, and how fast."""
        minutes, seconds = divmod(int(self._simulator.wall_seconds), 60)
        speed = self._simulator.options.speed
        return f"charging stations   {minutes}:{seconds:02d}" + (f"   speed {speed:g}" if speed != 1 else "")

    def line(self) -> str:
        """Everything in one line; news have lines of their own."""
        rows = "; ".join(f"{row.name}: {', '.join(row.parts)}" for row in self.rows() if row.name != "files")
        return f"{self._simulator.wall_seconds:6.0f} s  {rows}"


# -- where there is no terminal ----------------------------------------------------------------------------------------


async def _write(output: TextIO, simulator: Simulator) -> None:
    """Write a line every few seconds, until cancelled or until nobody takes them."""
    status, hand = Status(simulator), _Hand()
    if simulator.central_url:
        await hand.do(_write_line, output, f"central system: {simulator.central_url}")
    if simulator.has_ui:
        await simulator.ui_open.wait()
        await hand.do(_write_line, output, f"dashboard: {simulator.ui_urls[0]}")
    while hand.works:
        await trio.sleep(REFRESH_PLAIN)
        await hand.do(_write_line, output, status.line())


def _write_line(output: TextIO, line: str) -> None:
    output.write(f"{line}\n")
    output.flush()


class _Hand:
    """Does what may block in a thread, one thing after the other; gives up for ever once the stream has failed."""

    def __init__(self) -> None:
        # Of its own: a display that hangs must not take the threads that resolve names.
        self._limiter = trio.CapacityLimiter(2)
        self.works = True

    async def do(self, what: Callable[..., object], *args: Any) -> None:
        """On cancel the thread is left to itself."""
        try:
            await trio.to_thread.run_sync(partial(what, *args), abandon_on_cancel=True, limiter=self._limiter)
        except (OSError, ValueError):  # ValueError: the stream is closed
            self.works = False


# -- on a terminal -----------------------------------------------------------------------------------------------------


async def _draw(output: TextIO, simulator: Simulator) -> None:
    """Draw on the terminal's second screen, until cancelled; then the first one is as it was."""
    # The import takes long and only terminals need it.
    from rich.console import Console
    from rich.live import Live

    status, hand = Status(simulator), _Hand()
    live = Live(
        console=Console(file=output), auto_refresh=False, screen=True, redirect_stdout=False, redirect_stderr=False
    )
    try:
        await hand.do(live.start)
        while hand.works:
            # The size is asked for at each drawing, and the whole screen drawn: a resize lasts half a second.
            await hand.do(_redraw, live, _panel(status.title(), status.rows()))
            await trio.sleep(REFRESH)
    finally:
        with trio.move_on_after(RESTORE_WITHIN, shield=True):
            await hand.do(live.stop)


def _redraw(live: Any, picture: Any) -> None:
    live.update(picture, refresh=True)


def _panel(title: str, rows: list[Row]) -> Any:
    from rich.columns import Columns
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        style = "red" if row.bad else "green" if row.name == "trouble" else ""
        # Columns break between parts, not within one, where the terminal is narrow.
        table.add_row(row.name, Columns([Text(part, style=style, overflow="fold") for part in row.parts], (0, 3)))
    return Panel(table, title=Text(title), subtitle="Ctrl-C ends in order")
