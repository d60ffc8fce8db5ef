"""The simulator as a process, with the shipped example of five station models in a hurry."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

from simulator.templates.fleet import shipped_folder
from tests.interop.foreign import start_process

MODELS = ("siemens", "keba", "abb", "evlink", "schneider")

#: Stations of the example.
STATIONS = 10

#: What is quick here: pauses and durations. All else stays as shipped.
QUICK_GENERATOR = {
    "enable": True,
    "minDuration": 2,
    "maxDuration": 4,
    "minDelayBetweenTwoTransactions": 1,
    "maxDelayBetweenTwoTransactions": 2,
}


def write_five_models(folder: Path, changes: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """Write the example configuration and its templates, made quick, into a folder; returns the configuration's path.

    :param changes: further members of a model's template, see :func:`write_template`.
    """
    for model in MODELS:
        write_template(folder, model, (changes or {}).get(model, {}))
    config = folder / "config.json"
    config.write_text((shipped_folder() / "examples" / "config-five-models.json").read_text("utf-8"), "utf-8")
    return config


def write_one_of_each(folder: Path, changes: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write a configuration with one station of each of these models, and their templates, made quick."""
    for model, more in changes.items():
        write_template(folder, model, more)
    stations = [{"file": f"{model}.station-template.json", "numberOfStations": 1} for model in changes]
    config = folder / "config.json"
    config.write_text(json.dumps({"stationTemplateUrls": stations, "uiServer": {"enabled": False}}), "utf-8")
    return config


def write_template(folder: Path, model: str, changes: Mapping[str, Any]) -> None:
    """Write a shipped template, made quick, into a folder.

    :param changes: further members of the template; those of ``AutomaticTransactionGenerator`` are merged, and ``keys``
        are OCPP keys by name.
    """
    template = json.loads((shipped_folder() / f"{model}.station-template.json").read_text("utf-8"))
    more = dict(changes)
    template["AutomaticTransactionGenerator"] |= QUICK_GENERATOR | more.pop("AutomaticTransactionGenerator", {})
    keys = {entry["key"]: entry for entry in template["Configuration"]["configurationKey"]}
    for key, value in more.pop("keys", {}).items():
        keys[key] = {"readonly": False, **keys.get(key, {"key": key}), "value": value}
    template["Configuration"]["configurationKey"] = list(keys.values())
    template |= {"resetTime": 1} | more
    (folder / f"{model}.station-template.json").write_text(json.dumps(template, indent=2), "utf-8")


class SimulatorProcess:
    """A running ``simulator run --json``."""

    def __init__(self, process: trio.Process, stderr: Path) -> None:
        self._process = process
        self._stderr = stderr
        self._output = b""
        self._silent = trio.Event()

    async def collect(self) -> None:
        """Take what it writes on standard output until it ends."""
        assert self._process.stdout is not None
        async for chunk in self._process.stdout:
            self._output += chunk
        self._silent.set()

    @property
    def messages(self) -> str:
        """What it has written on standard error."""
        return self._stderr.read_text("utf-8", "replace")

    async def interrupt(self, within: float) -> dict[str, Any]:
        """Send SIGINT; it must end in that many seconds with exit code 0. Returns its summary."""
        assert self._process.poll() is None, f"it has ended by itself:\n{self.messages}"
        self._process.send_signal(signal.SIGINT)
        with trio.move_on_after(within):
            await self._process.wait()
        assert self._process.poll() == 0, f"exit code {self._process.returncode}:\n{self.messages}"
        await self._silent.wait()
        summary: dict[str, Any] = json.loads(self._output)
        return summary


async def start_simulator(nursery: trio.Nursery, config: Path, url: str, *options: str) -> SimulatorProcess:
    """Run the fleet of a configuration against a central system; data and messages are beside the configuration.

    :param options: further ones of the command ``run``.
    """
    folder = config.parent
    messages = folder / "simulator.stderr"
    command = [sys.executable, "-m", "simulator", "run", str(config), "--csms", url, "--json"]
    command += ["--seed", "16", "--log-level", "info", "--data-dir", str(folder / "data"), *options]
    # In that folder: there the installed package runs, not the files of the repository.
    process = await start_process(nursery, command, messages, cwd=folder)
    simulator = SimulatorProcess(process, messages)
    nursery.start_soon(simulator.collect)
    return simulator
