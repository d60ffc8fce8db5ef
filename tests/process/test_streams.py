"""Where the output goes must not matter to the fleet: pipes that end, full disks, odd encodings, terminals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.process.program import Program, finished, program, write_fleet

if sys.platform == "win32":
    pytest.skip("pipes and terminals of POSIX", allow_module_level=True)

import fcntl
import pty
import termios

#: The terminal's second screen: in and out.
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
DEMO = ("demo", "--stations", "2", "--duration", "0.5")


def errors(run: Program) -> list[str]:
    """What was said on standard error but for warnings about the stations."""
    return [line for line in run.err.splitlines() if not line.startswith("warning: ")]


async def test_a_reader_that_has_had_enough_ends_nothing(tmp_path: Path) -> None:
    """``simulator demo | head -0``."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        run = await finished(*DEMO, "--data-dir", tmp_path, stdout=writing)
    finally:
        os.close(writing)
    assert (run.process.returncode, errors(run)) == (0, [])
    log = "".join(file.read_text() for file in (tmp_path / "logs").glob("combined*"))
    assert log.count("registered: Accepted") == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_summary_that_cannot_be_written_is_a_failure() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        run = await finished(*DEMO, "--json", stdout=full)
    finally:
        os.close(full)
    assert run.process.returncode == 1
    assert errors(run) == ["error: standard output cannot be written (No space left on device)"]


async def test_a_crash_of_the_display_does_not_reach_the_fleet() -> None:
    broken = "import simulator.cli.live as live; live.REFRESH_PLAIN = 0.1\n"
    broken += "def line(self): raise RuntimeError('no picture')\n"
    broken += "live.Status.line = line; from simulator.cli import main; main()"
    run = await finished(*DEMO, "--log-level", "error", command=[sys.executable, "-c", broken])
    assert run.process.returncode == 0
    assert "2 of 2 stations accepted" in run.out
    assert "status display crashed: RuntimeError: no picture" in run.err


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
async def test_closed_streams(closed: str) -> None:
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "simulator"]
    run = await finished(*DEMO, command=command)
    assert (run.process.returncode, errors(run)) == (0, [])
    if closed == "2>&-":
        first, second, last = run.out.splitlines()
        assert first.startswith("central system: ws://127.0.0.1:")
        assert second.startswith("dashboard: http://127.0.0.1:")
        assert last.startswith("2 of 2 stations accepted, ")


async def test_a_full_pipe_for_the_log_holds_nobody_up() -> None:
    """``simulator demo --log-level debug 2>&1 >summary | less``, and nobody scrolls."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    try:
        run = await finished(*DEMO, "--json", "--log-level", "debug", stderr=writing, within=60)
    finally:
        os.close(reading)
        os.close(writing)
    summary = json.loads(run.out)
    assert run.process.returncode == 0
    assert summary["stations"]["accepted"] == 2
    assert summary["calls"]["sent"] == summary["calls"]["answered"] > 0


async def test_a_stream_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "säule.json").write_text(json.dumps({"supervisionUrls": "ws://h/", "stationTemplateUrls": []}))
    run = await finished("check", "säule.json", cwd=tmp_path, environ={"PYTHONIOENCODING": "ascii"})
    assert run.process.returncode == 1
    assert run.out.startswith("error: s\\xe4ule.json: stationTemplateUrls: ")


# -- terminals ---------------------------------------------------------------------------------------------------------


class Terminal(Program):
    """A process on a terminal of its own; ``out`` is everything that was written to it."""

    def __init__(self, running: Program, descriptor: int) -> None:
        super().__init__(running.process)
        self._descriptor = descriptor

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        resize(self._descriptor, columns, rows)

    def frames(self) -> list[str]:
        """What was drawn, picture by picture, but for the last, of which a part may still be on its way."""
        return self.out.split("\x1b[H")[1:-1]


def resize(descriptor: int, columns: int, rows: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@asynccontextmanager
async def terminal(*arguments: str, columns: int = 80, **environ: str | None) -> AsyncIterator[Terminal]:
    """Run the program with a terminal for its output."""
    ours, theirs = pty.openpty()
    resize(theirs, columns, 24)
    variables = {"TERM": "xterm-256color", "COLUMNS": None, "LINES": None, "NO_COLOR": None, **environ}
    stream = trio.lowlevel.FdStream(ours)
    async with program(*arguments, stdout=theirs, environ=variables) as running, stream:
        os.close(theirs)
        shown = Terminal(running, ours)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shown.read, stream, shown.stdout)
            yield shown
            nursery.cancel_scope.cancel()
    shown.stderr += running.stderr


async def test_a_terminal_shows_the_fleet_and_is_left_as_it_was() -> None:
    async with terminal("demo", "--stations", "2") as shown:
        await shown.until(lambda: "2 accepted" in shown.out, "the status")
        begun, before = trio.current_time(), len(shown.frames())
        await shown.until(lambda: len(shown.frames()) >= before + 4, "four more pictures", timeout=10)
        assert trio.current_time() - begun >= 1.2  # it is drawn twice a second
        shown.resize(50, 18)
        await shown.until(lambda: _width(shown.frames()[-1]) <= 50, "a narrower picture", timeout=5)
        for name in ("stations", "transactions", "energy", "messages", "latency", "trouble", "central system"):
            assert name in shown.frames()[-1]
        assert "0 violations" in shown.frames()[-1]
        shown.process.send_signal(signal.SIGINT)
        assert await shown.ended(within=5) == 0
        await shown.until(lambda: "2 of 2 stations accepted" in shown.out, "the summary")
    picture, _, rest = shown.out.partition(LEAVE)
    assert picture.startswith(ENTER) or picture.index(ENTER) < picture.index("stations")
    assert HIDE_CURSOR in picture
    assert SHOW_CURSOR in shown.out[shown.out.rindex(HIDE_CURSOR) :]
    assert rest.replace(SHOW_CURSOR, "").strip().startswith("2 of 2 stations accepted, ")
    assert errors(shown) == []


async def test_a_terminal_that_can_do_nothing_gets_lines() -> None:
    async with terminal(*DEMO, TERM="dumb") as shown:
        assert await shown.ended() == 0
        await shown.until(lambda: "2 of 2 stations accepted" in shown.out, "the summary")
    assert "\x1b" not in shown.out


async def test_a_terminal_without_utf_8_shows_in_a_plain_frame_why_there_is_no_connection(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=1)
    arguments = ("run", str(config), "--data-dir", str(tmp_path / "data"))
    async with terminal(*arguments, columns=120, PYTHONIOENCODING="ascii") as shown:
        await shown.until(lambda: "cannot connect" in shown.out, "the trouble")
        await shown.until(lambda: any("last trouble" in picture for picture in shown.frames()), "a picture with it")
        assert shown.frames()[-1].lstrip().startswith("+-")
        shown.process.send_signal(signal.SIGINT)
        assert await shown.ended(within=5) == 0  # nobody was reached, but the run was ended by its user
        await shown.until(lambda: "0 of 1 station accepted" in shown.out, "the summary")
    assert shown.out.isascii()


def _width(picture: str) -> int:
    """Cells of the longest line of a picture, counted from its frame."""
    return max((line.rindex("╮") - line.index("╭") + 1 for line in picture.splitlines() if "╮" in line), default=999)
