"""What the screen, a file or a central system shows of a configuration: each takes a configuration and looks."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import trio

from simulator.app import RunOptions, Simulator
from simulator.config.load import default_config
from simulator.config.problems import ConfigurationError
from simulator.events import StationStarted
from simulator.run_log import logging_to
from simulator.storage.performance.storage import PerformanceStorage
from simulator.telemetry.log import get_logger
from simulator.templates.fleet import choose_supervision_url
from tests.station.key_world import key_world, merged, planned, problems, template_of

Document = dict[str, Any]
Sight = Callable[[Document], Awaitable[Any]]

FOUR = {"stationTemplateUrls": [{"file": "one", "numberOfStations": 4}]}


def errors_instead(sight: Sight) -> Sight:
    """The same, or the list of the errors where the configuration has some."""

    async def see(config: Document) -> Any:
        try:
            return await sight(config)
        except ConfigurationError:
            return problems(config=config)

    return see


# -- the fleet ---------------------------------------------------------------------------------------------------------


@errors_instead
async def stations(config: Document) -> list[str]:
    """The names of the stations."""
    with planned(config=config) as (_, plan):
        return [station.station_id for station in plan.stations]


@errors_instead
async def urls(config: Document) -> list[str]:
    """The URL of each station."""
    with planned(config=config) as (loaded, plan):
        return [
            choose_supervision_url(
                station.entry.supervision_urls,
                loaded.config.supervision_url_distribution,
                index=station.index,
                position=station.position,
                rng=Random(1),
            )
            for station in plan.stations
        ]


@errors_instead
async def hosts(config: Document) -> list[str]:
    """The host that the station connects to."""
    async with key_world(config=config) as world:
        await trio.sleep(1)
        return [host for _, host in world.central.dialled]


async def attempts(config: Document) -> int:
    """How often the station tries to come back to a central system that went away; five count as often."""
    async with key_world(config=config) as world:
        await world.accepted()
        world.central.network.refuse()
        world.central.network.cut()
        await trio.sleep(600)
        return min(world.central.network.attempts - 1, 5)


async def starts(config: Document) -> list[float]:
    """Seconds at which four stations start."""
    async with key_world(config=merged(FOUR, config)) as world:
        times: list[float] = []
        world.bus.subscribe(StationStarted, lambda _: times.append(world.elapsed))
        await trio.sleep(60)
        return [round(time, 3) for time in times]


# -- the log -----------------------------------------------------------------------------------------------------------


def _folder(name: str) -> Path:
    folder = Path(name)
    (folder / "logs").mkdir()
    for day in range(10, 20):
        (folder / "logs" / f"combined-2020-01-{day}.log").write_text("old\n", encoding="utf-8")
    return folder


def _log(config: Document) -> tuple[dict[str, str], str]:
    """The log files by name after three lines, and what was written to standard error."""
    document = merged({"stationTemplateUrls": [{"file": "keba", "numberOfStations": 1}]}, config)
    loaded = default_config(Path("config.json"), document, environ={})
    screen = io.StringIO()
    with tempfile.TemporaryDirectory() as name:
        folder = _folder(name)
        with (
            contextlib.redirect_stderr(screen),
            logging_to(loaded.config, folder, console=False, level=None),
        ):
            log = get_logger("simulator.tests")
            log.debug("a detail")
            log.info("a fact")
            log.error("a fault")
        files = {file.name: file.read_text(encoding="utf-8") for file in (folder / "logs").iterdir()}
    return files, screen.getvalue()


async def anything(config: Document) -> bool:
    """Whether a fault is in any file."""
    return any("a fault" in text for text in _log(config)[0].values())


async def on_screen(config: Document) -> bool:
    """Whether lines are on standard error."""
    return "a fact" in _log(config)[1]


async def is_json(config: Document) -> bool:
    """Whether each line of the log is a JSON object."""
    line = _with("a fact", _log(config)[0])[1].splitlines()[0]
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


async def dated(config: Document) -> bool:
    """Whether the log's name has the date in it."""
    return _with("a fact", _log(config)[0])[0] != "combined.log"


async def old_files(config: Document) -> int:
    """How many files of the log there are, ten old ones to begin with."""
    return sum(name.startswith("combined") for name in _log(config)[0])


async def messages(config: Document) -> list[str]:
    """What of a detail, a fact and a fault is in the log."""
    text = _with("a fault", _log(config)[0])[1]
    return [message for message in ("a detail", "a fact", "a fault") if message in text]


async def log_name(config: Document) -> str:
    """The first part of the name of the file that holds everything."""
    return _with("a fact", _log(config)[0])[0].partition("-")[0]


async def error_log_name(config: Document) -> str:
    """The first part of the name of the file that holds the errors alone."""
    files = {name: text for name, text in _log(config)[0].items() if "a fact" not in text}
    return _with("a fault", files)[0].partition("-")[0]


def _with(message: str, files: Mapping[str, str]) -> tuple[str, str]:
    """The file of everything with that message in it: of several the one with most in it."""
    found = [(name, text) for name, text in files.items() if message in text]
    return max(found, key=lambda item: len(item[1]))


async def stored(config: Document) -> list[str]:
    """The files of performance records that a short run leaves in its data directory."""
    document = merged(config, {"supervisionUrls": "ws://127.0.0.1:1/"})
    with planned(template_of(), document) as (loaded, plan), tempfile.TemporaryDirectory() as name:
        await Simulator(loaded, plan, RunOptions(duration=5)).run(Path(name))
        return sorted(file for file in os.listdir(name) if file.startswith("performance"))


async def storings(config: Document) -> int:
    """How often performance records are taken in 130 seconds."""
    times = 0

    def records() -> Iterator[Mapping[str, Any]]:
        nonlocal times
        times += 1
        return iter(())

    with planned(config=config) as (loaded, _), tempfile.TemporaryDirectory() as name:
        storage = PerformanceStorage(records, Path(name))
        await storage.use(loaded.config.performance_storage)
        with trio.move_on_after(130):
            await storage.run()
        taken = times
        await storage.close(10)
        return taken


async def _here(call: Callable[..., Any], *args: Any, **_: Any) -> Any:
    return call(*args)


async def statistics_lines(config: Document) -> int:
    """How often the statistics are logged in 130 seconds."""
    # Nobody listens on this port: the station is there, and all that happens is time, which a hub's would not be.
    document = merged(config, {"supervisionUrls": "ws://127.0.0.1:1/", "transport": "websocket"})
    with planned(template_of(), document) as (loaded, plan), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            logging_to(loaded.config, folder, console=False, level=None),
            # While a thread works nobody else has anything to do, and virtual time would jump.
            patch.object(trio.to_thread, "run_sync", _here),
        ):
            await Simulator(loaded, plan, RunOptions(duration=130)).run()
        text = "".join(file.read_text(encoding="utf-8") for file in (folder / "logs").glob("combined*"))
    return text.count("stations: 1 configured")
