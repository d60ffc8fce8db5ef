"""Who is measured: the simulator in its ways, the bare loops beside it, and any other simulator by its command."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

#: A station with one connector, whose transaction never ends, sending five measurands every second.
TEMPLATE: dict[str, Any] = {
    "baseName": "CS-BENCH",
    "chargePointVendor": "Acme",
    "chargePointModel": "Bench",
    "power": 7.4,
    "powerUnit": "kW",
    "currentOutType": "AC",
    "numberOfPhases": 1,
    "voltageOut": 230,
    "numberOfConnectors": 1,
    "Connectors": {
        "0": {},
        "1": {
            "MeterValues": [
                {"measurand": "Energy.Active.Import.Register", "unit": "Wh"},
                {"measurand": "Power.Active.Import", "unit": "W"},
                {"measurand": "Voltage", "unit": "V"},
                {"measurand": "Current.Import", "unit": "A"},
                {"measurand": "SoC", "unit": "Percent"},
            ]
        },
    },
}
MEASURANDS = "Energy.Active.Import.Register,Power.Active.Import,Voltage,Current.Import,SoC"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What the stations of a measurement do.

    ``sample``: seconds between the MeterValues of a transaction, 0: as fast as answers come; without ``transactions``
    the stations only boot and send heartbeats. ``lasting``: seconds of a transaction, from and to.
    """

    stations: int
    transactions: bool = False
    sample: int = 1
    lasting: tuple[int, int] = (86_000, 86_400)
    ramp: float = 0.0


class Client(msgspec.Struct, frozen=True):
    """Somebody to measure.

    ``command`` is set for another simulator: words with ``{url}``, ``{stations}``, ``{scenario}`` and ``{folder}``.
    ``config`` are members of the simulator's configuration.
    """

    name: str
    kind: str
    command: str = ""
    config: Mapping[str, Any] = {}

    def command_for(self, scenario: str, load: Load, url: str, folder: Path) -> list[str]:
        """The words of the command line."""
        if self.kind == "bare":
            rate = 0 if scenario == "flat" else 1 / load.sample
            words = [sys.executable, "-m", "benchmarks.bare", self.name.removeprefix("bare "), url]
            return [*words, "--stations", str(load.stations), "--rate", str(rate if load.transactions else 1e-6)]
        if self.kind == "other":
            places = {"url": url, "stations": load.stations, "scenario": scenario, "folder": folder}
            return [word.format(**places) for word in shlex.split(self.command)]
        config = write_config(folder, load, url, self.config)
        if scenario == "flat":
            return [sys.executable, "-m", "benchmarks.flat", str(config), str(folder / "data")]
        run = [sys.executable, "-m", "simulator", "run", str(config), "--json", "--seed", "1"]
        return [*run, "--data-dir", str(folder / "data")]


def write_config(folder: Path, load: Load, url: str, members: Mapping[str, Any]) -> Path:
    """The files of a fleet that does what ``load`` says; returns the configuration."""
    keys = {
        "MeterValueSampleInterval": max(1, load.sample),
        "MeterValuesSampledData": MEASURANDS,
        "WebSocketPingInterval": 60,
    }
    generator = {
        "enable": load.transactions,
        "minDuration": load.lasting[0],
        "maxDuration": load.lasting[1],
        "minDelayBetweenTwoTransactions": 1,
        "maxDelayBetweenTwoTransactions": 5,
        "probabilityOfStart": 1,
        "stopAfterHours": 24,
        "requireAuthorize": False,
    }
    template = {
        **TEMPLATE,
        "Configuration": {"configurationKey": [{"key": key, "value": str(value)} for key, value in keys.items()]},
        "AutomaticTransactionGenerator": generator,
    }
    (folder / "bench.station-template.json").write_text(json.dumps(template), encoding="utf-8")
    config = {
        "supervisionUrls": url,
        "uiServer": {"enabled": False},
        "stationTemplateUrls": [{"file": "bench.station-template.json", "numberOfStations": load.stations}],
        **({"worker": {"elementStartDelay": round(load.ramp * 1000)}} if load.ramp else {}),
        **members,
    }
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


SIMULATOR = Client("simulator", "simulator")
EXACT = Client("simulator exact", "simulator", config={"timerGrid": 0})
BARE = Client("bare websocket", "bare")
HUB = Client("bare hub", "bare")


def known() -> list[Client]:
    """The clients of this version, the yardstick first."""
    clients = [BARE]
    if importlib.util.find_spec("simulator.transport.hub") is not None:
        clients.append(HUB)
    return [*clients, SIMULATOR, EXACT]


def other(text: str) -> Client:
    """``NAME=COMMAND`` as on the command line. :raises ValueError: it is not of that form."""
    name, sign, command = text.partition("=")
    if not sign or not name.strip() or "{url}" not in command:
        raise ValueError(f"{text!r} is not NAME=COMMAND with {{url}} in the command")
    return Client(name.strip(), "other", command)
