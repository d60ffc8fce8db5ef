"""What the commands ``run``, ``demo`` and ``csms`` set going."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
import trio

from simulator.app import RunOptions, Simulator, logging_to
from simulator.cli.live import watcher
from simulator.config.load import LoadedConfig, default_config, load_config
from simulator.csms.run import run_csms
from simulator.storage.data_directory import choose, locked
from simulator.supervision import leaves
from simulator.templates.fleet import FleetPlan, plan_fleet
from simulator.templates.model import GeneratorTemplate

#: One station model of each kind, no two of one identity.
DEMO_MODELS = ("abb-atg", "chargex", "evlink", "keba", "schneider", "siemens", "virtual-simple-atg")
DEMO_STATIONS = 20

#: Busy enough to watch: a transaction begins within seconds and takes about a minute; it never ends by itself.
DEMO_GENERATOR = GeneratorTemplate(
    enable=True,
    min_duration=20,
    max_duration=60,
    min_delay_between_two_transactions=2,
    max_delay_between_two_transactions=20,
    stop_after_hours=24 * 365,
    id_tag_distribution="random",
)


class RunFailed(Exception):
    """The run could not start; the text is one line for the user."""


def run_fleet(
    config: Path,
    *,
    csms: str | None,
    overrides: Sequence[str],
    environ: Mapping[str, str],
    stations: int | None,
    **options: Any,
) -> None:
    """The command ``run``."""
    loaded = load_config(config, overrides=overrides, environ=environ)
    plan = plan_fleet(loaded, stations=stations, supervision_urls=(csms,) if csms else None, environ=environ)
    for problem in plan.problems:
        click.echo(str(problem), err=True)
    _go(loaded, plan, environ=environ, embedded=False, **options)


def run_demo(*, environ: Mapping[str, str], stations: int | None, **options: Any) -> None:
    """The command ``demo``: all shipped models, each with the generator on."""
    wanted = DEMO_STATIONS if stations is None else stations
    models = DEMO_MODELS[-wanted:] if wanted < len(DEMO_MODELS) else DEMO_MODELS
    document = {
        # The embedded central system's address is known once it listens, and takes the place of this one.
        "supervisionUrls": "ws://localhost/",
        "stationTemplateUrls": [{"file": f"{model}.station-template.json", "numberOfStations": 1} for model in models],
    }
    loaded = default_config(Path("demo"), document, environ=environ)
    plan = plan_fleet(loaded, stations=wanted, environ=environ)
    _go(loaded, _with_generator(plan, DEMO_GENERATOR), environ=environ, embedded=True, **options)


def _with_generator(plan: FleetPlan, generator: GeneratorTemplate) -> FleetPlan:
    """The same fleet with that generator in every template."""
    replace = msgspec.structs.replace
    entries = {}
    for entry in plan.entries:
        template = replace(entry.loaded.template, automatic_transaction_generator=generator)
        entries[entry.position] = replace(entry, loaded=replace(entry.loaded, template=template))
    stations = tuple(replace(planned, entry=entries[planned.entry.position]) for planned in plan.stations)
    return replace(plan, stations=stations, entries=tuple(entries.values()))


def _go(
    loaded: LoadedConfig,
    plan: FleetPlan,
    *,
    environ: Mapping[str, str],
    embedded: bool,
    duration: float | None,
    seed: int | None,
    speed: float,
    data_dir: Path | None,
    as_json: bool,
    log_level: str | None,
) -> None:
    options = RunOptions(seed=seed, speed=speed, duration=duration, embedded=embedded)
    with (
        locked(choose(data_dir, environ)) as directory,
        logging_to(loaded.config, directory, console=log_level is not None, level=log_level),
    ):
        summary = _trio_run(loaded, plan, options, as_json=as_json)
    if as_json:
        click.echo(json.dumps(summary))
    else:
        _print_summary(summary)


def _trio_run(loaded: LoadedConfig, plan: FleetPlan, options: RunOptions, *, as_json: bool) -> dict[str, Any]:
    simulator: Simulator | None = None

    async def main() -> dict[str, Any]:
        nonlocal simulator
        simulator = Simulator(loaded, plan, options, watch=None if as_json else watcher(sys.stdout))
        return await simulator.run()

    return trio.run(main)


def _print_summary(summary: Mapping[str, Any]) -> None:
    stations, calls, transactions = summary["stations"], summary["calls"], summary["transactions"]
    click.echo(
        f"{stations['accepted']} of {stations['configured']} station(s) accepted, "
        f"{transactions['started']} transaction(s) started, {transactions['stopped']} stopped, "
        f"{summary['energyWh'] / 1000:.3f} kWh, {calls['sent']} call(s), {calls['errors']} error(s), "
        f"{calls['timeouts']} timeout(s) in {summary['wallSeconds']:.0f} s"
    )


def serve_csms(host: str, port: int, boot_status: str, interval: int) -> None:
    """The command ``csms``: until SIGINT or SIGTERM."""

    async def main() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                url = await nursery.start(run_csms, host, port, boot_status, interval)
                click.echo(url)
                sys.stdout.flush()
                await anext(aiter(signals))
                nursery.cancel_scope.cancel()

    try:
        trio.run(main)
    except* OSError as group:
        error = next(leaves(group))
        raise RunFailed(f"{host}:{port}: cannot listen here ({error}); choose another --host or --port") from None
