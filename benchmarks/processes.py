"""What a process takes, seen from outside, and the machine that gives it. Linux only."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class RunFailed(Exception):
    """A client or the central system did not do what the measurement needs; the text says what."""


class Process:
    """A process under measurement."""

    def __init__(self, command: list[str], *, output: Path, folder: Path) -> None:
        self.command = command
        self._output = output
        #: When it was started, seconds of ``CLOCK_MONOTONIC``.
        self.began = time.monotonic()
        # As an installed program, which is not compiled anew at each start.
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with output.open("wb") as file:
            self._popen = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=folder, env=environ)
        self.pid = self._popen.pid

    def cpu(self) -> float:
        """CPU seconds of all its threads so far: what getrusage tells it of itself."""
        # The clock id of another process's CPU time, see clock_getcpuclockid(3).
        return time.clock_gettime(((~self.pid) << 3) | 2)

    def pss(self) -> int:
        """Proportional set size in kB: its own memory, and its share of what it shares."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))

    def check(self) -> None:
        """:raises RunFailed: it has ended."""
        if self._popen.poll() is not None:
            raise RunFailed(f"{' '.join(self.command)} ended with {self._popen.returncode}:\n{self.said()[-2000:]}")

    def said(self) -> str:
        """What it has written so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def end(self, within: float) -> str:
        """Ask it to end in order, wait, and return what it has written."""
        self._popen.send_signal(signal.SIGINT)
        try:
            self._popen.wait(within)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{' '.join(self.command)} did not end within {within:g} s") from None
        return self.said()

    def kill(self) -> None:
        """End it at once."""
        self._popen.kill()
        self._popen.wait()


class Central:
    """The sink in a process of its own."""

    def __init__(self, interval: int) -> None:
        command = [sys.executable, "-m", "benchmarks.sink", "--interval", str(interval)]
        self._popen = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._popen.stdout is not None
        self.url = self._popen.stdout.readline().strip()
        self.pid = self._popen.pid

    def cpu(self) -> float:
        """CPU seconds so far."""
        return time.clock_gettime(((~self.pid) << 3) | 2)

    def stats(self) -> dict[str, Any]:
        """What it has seen so far."""
        with urllib.request.urlopen(f"http{self.url[2:]}/stats", timeout=30) as answer:
            stats: dict[str, Any] = json.load(answer)
        return stats

    def end(self) -> None:
        """End it."""
        self._popen.kill()
        self._popen.wait()
        assert self._popen.stdout is not None
        self._popen.stdout.close()


@contextmanager
def central(interval: int) -> Iterator[Central]:
    """The sink for the time of a measurement."""
    sink = Central(interval)
    try:
        yield sink
    finally:
        sink.end()


@contextmanager
def client(command: list[str], folder: Path) -> Iterator[Process]:
    """A client for the time of a measurement; it runs in ``folder``, where its output is kept."""
    process = Process(command, output=folder / "output.txt", folder=folder)
    try:
        yield process
    finally:
        process.kill()


def busy() -> float:
    """CPU seconds that the machine has spent on anything since it was started."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    ticks = [int(field) for field in fields]
    idle = ticks[3] + ticks[4]
    return (sum(ticks[:8]) - idle) / float(os.sysconf("SC_CLK_TCK"))


def machine() -> dict[str, Any]:
    """Where and when the figures were taken."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), platform.machine())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": model,
        "cores": os.cpu_count(),
        "memoryGiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }
