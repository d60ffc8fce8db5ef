"""A simulator and a central system as processes of their own, for a browser to look at."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: Wall seconds for a process that starts on a busy machine.
PATIENCE = 150.0

#: Two connectors at which nothing happens by itself: vehicles come when they are told to.
TEMPLATE: Mapping[str, Any] = {
    "baseName": "CS",
    "chargePointVendor": "Acme",
    "chargePointModel": "One",
    "power": 22,
    "powerUnit": "kW",
    "resetTime": 1,
    "automaticVehicle": False,
    "Configuration": {"configurationKey": [{"key": "MeterValueSampleInterval", "readonly": False, "value": "1"}]},
    "Connectors": {
        "0": {},
        "1": {"MeterValues": [{"unit": "W", "measurand": "Power.Active.Import"}, {"unit": "Wh"}]},
        "2": {},
    },
}


class Running:
    """A process and the lines that it has written so far."""

    def __init__(self, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        self._lines: list[str] = []
        self._written = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulator", *arguments],
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._written:
                self._lines.append(line.rstrip())
                self._written.notify_all()

    def line(self, pattern: str) -> str:
        """Wait for a line; returns the first group of the pattern."""
        found: list[str] = []

        def is_there() -> bool:
            found[:] = [match[1] for line in self._lines if (match := re.search(pattern, line))]
            return bool(found) or self.process.poll() is not None

        with self._written:
            self._written.wait_for(is_there, PATIENCE)
        assert found, "\n".join(self._lines)
        return found[0]

    def end(self, *, at_once: bool = False) -> None:
        """End the process, in order unless ``at_once``."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Simulator:
    """A simulator of idle stations; its dashboard is at :attr:`url`. It can be ended and started again."""

    def __init__(self, folder: Path, central: str, *, stations: int, login: tuple[str, str] | None = None) -> None:
        self.folder = folder
        self.central = central
        self.login = login
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._running: Running | None = None
        self.start(stations)

    def start(self, stations: int) -> None:
        """Start with so many stations."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "ours.station-template.json").write_text(json.dumps(TEMPLATE))
        (self.folder / "authorization-tags.json").write_text(json.dumps(["TAG-A", "TAG-B"]))
        ui: dict[str, Any] = {"enabled": True, "options": {"host": "127.0.0.1", "port": self.port}}
        if self.login is not None:
            user, password = self.login
            ui["authentication"] = {"enabled": True, "type": "basic-auth", "username": user, "password": password}
        config = {
            "supervisionUrls": self.central,
            "stationTemplateUrls": [{"file": "ours", "numberOfStations": stations}],
            "uiServer": ui,
            "stagger": False,  # no heartbeat comes among what a test watches
        }
        path = self.folder / "config.json"
        path.write_text(json.dumps(config))
        self._running = Running("run", str(path), "--data-dir", str(self.folder / "data"))
        self._running.line(r"dashboard: (\S+)")
        until(lambda: self._accepted() == stations, f"{stations} accepted stations")

    def end(self, *, at_once: bool = False) -> None:
        """End it, in order unless ``at_once``."""
        if self._running is not None:
            self._running.end(at_once=at_once)
            self._running = None

    def ask(self, procedure: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call a procedure over HTTP."""
        return ask(self.url, procedure, payload, self.login)

    def _accepted(self) -> int:
        state = self.ask("simulatorState")["state"]
        accepted: int = state["statistics"]["states"]["accepted"]
        return accepted


def ask(
    url: str, procedure: str, payload: Mapping[str, Any] | None = None, login: tuple[str, str] | None = None
) -> dict[str, Any]:
    """Call a procedure of the simulator at a URL over HTTP."""
    request = urllib.request.Request(f"{url.rstrip('/')}/ui/0.0.1/{procedure}", json.dumps(payload or {}).encode())
    if login is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(login).encode()).decode())
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        decoded: dict[str, Any] = json.load(answer)
    return decoded


def until(met: Callable[[], bool], what: str) -> None:
    """Look again and again until ``met()``."""
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:g} s"
        threading.Event().wait(0.1)


def free_port() -> int:
    """A port that nobody listens on now, of those that no system gives to outgoing connections.

    A simulator that is started again finds it free, and a browser that tries to reach one that is gone not itself.
    """
    for port in random.sample(range(20_000, 32_768), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
