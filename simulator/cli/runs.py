"""What the commands ``run`` and ``demo`` set going."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import trio

from simulator.app import CannotListen, RunOptions, Simulator, logging_to
from simulator.cli.live import watcher
from simulator.cli.outcome import LastTrouble, failure, summary_line, violations_line
from simulator.cli.output import Failure, count, give, tell, tell_problems
from simulator.config.load import LoadedConfig, default_config, load_config
from simulator.config.problems import ConfigurationError
from simulator.storage.data_directory import DataDirectoryError, choose, locked
from simulator.supervision import leaves
from simulator.telemetry.process import allow_open_files
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


#: Files that a process has open besides its stations' connections.
OTHER_FILES = 64


def run_fleet(
    config: Path,
    *,
    csms: str | None,
    overrides: Sequence[str],
    environ: Mapping[str, str],
    stations: int | None,
    **options: Any,
) -> int:
    """The command ``run``; returns the exit code."""
    try:
        loaded = load_config(config, overrides=overrides, environ=environ)
        urls = None if csms is None else (csms,)
        plan = plan_fleet(loaded, stations=stations, supervision_urls=urls, environ=environ)
    except ConfigurationError as error:
        tell_problems(error.problems)
        return 1
    tell_problems(dict.fromkeys([*loaded.problems, *plan.problems]))
    return _go(loaded, plan, environ=environ, embedded=False, **options)


def run_demo(*, environ: Mapping[str, str], stations: int | None, **options: Any) -> int:
    """The command ``demo``: all shipped models, each with the generator on; returns the exit code."""
    wanted = DEMO_STATIONS if stations is None else stations
    models = DEMO_MODELS[-wanted:] if wanted < len(DEMO_MODELS) else DEMO_MODELS
    document = {
        # The embedded central system's address is known once it listens, and takes the place of this one.
        "supervisionUrls": "ws://localhost/",
        "stationTemplateUrls": [{"file": f"{model}.station-template.json", "numberOfStations": 1} for model in models],
    }
    loaded = default_config(Path("demo"), document, environ=environ)
    plan = plan_fleet(loaded, stations=wanted, environ=environ)
    plan = _with_generator(plan, DEMO_GENERATOR)
    if options["data_dir"] is not None:
        return _go(loaded, plan, environ=environ, embedded=True, **options)
    try:
        folder = tempfile.TemporaryDirectory(prefix="simulator-demo-", ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise Failure(f"there is no place for a temporary folder ({reason}); name one with --data-dir") from None
    with folder as name:
        return _go(loaded, plan, environ=environ, embedded=True, **{**options, "data_dir": Path(name)})


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
    interrupted: Callable[[], bool],
) -> int:
    options = RunOptions(seed=seed, speed=speed, duration=duration, embedded=embedded)
    console = log_level is not None or loaded.config.log_console
    logs_here = console and sys.stderr is not None and sys.stderr.isatty()
    simulator = Simulator(
        loaded,
        plan,
        options,
        watch=None if as_json else watcher(sys.stdout, logs_here=logs_here),
        interrupted=interrupted,
    )
    trouble = LastTrouble(simulator.bus)
    _allow_connections(len(plan.stations) * (2 if embedded else 1))
    try:
        with (
            locked(choose(data_dir, environ)) as directory,
            logging_to(loaded.config, directory, console=console, level=log_level),
        ):
            summary = trio.run(simulator.run)
    except (DataDirectoryError, CannotListen) as error:
        raise Failure(str(error)) from None
    except ExceptionGroup as group:
        found = next((leaf for leaf in leaves(group) if isinstance(leaf, CannotListen)), None)
        if found is None:
            raise
        raise Failure(str(found)) from None
    _report(simulator, summary, as_json=as_json)
    failed = failure(simulator, summary, trouble)
    if failed is not None:
        raise Failure(failed)
    return 0


def _allow_connections(number: int) -> None:
    wanted = number + OTHER_FILES
    allowed = allow_open_files(wanted)
    if allowed is not None:
        tell(
            f"warning: this process may open {allowed} files and needs about {wanted}: some stations will not connect; "
            f"raise the limit (ulimit -n {wanted}), or run fewer with --stations"
        )


def _report(simulator: Simulator, summary: Mapping[str, Any], *, as_json: bool) -> None:
    give(json.dumps(summary) if as_json else summary_line(summary))
    broken_rules = violations_line(simulator)
    if broken_rules is not None:
        tell(f"warning: {broken_rules}")
    if simulator.cut_short:
        return
    if not simulator.in_order:
        tell("warning: not every station ended in order within the time given")
    transactions = summary["transactions"]
    if (left := transactions["started"] - transactions["stopped"]) > 0:
        tell(f"warning: {count(left, 'transaction')} left open: the central system answered no StopTransaction")
