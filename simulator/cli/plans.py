"""Which fleet a command is about: that of a configuration, or that of the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from simulator.cli.output import tell_problems
from simulator.config.load import LoadedConfig, default_config, load_config
from simulator.config.problems import ConfigurationError, Problem
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


def read_fleet(
    path: Path, *, csms: str | None, overrides: Sequence[str], stations: int | None, environ: Mapping[str, str]
) -> tuple[LoadedConfig, FleetPlan] | None:
    """The configuration and its fleet; None if there are errors. Tells the problems of all files."""
    problems: list[Problem] = []
    try:
        loaded = load_config(path, overrides=overrides, environ=environ)
        problems += loaded.problems
        urls = None if csms is None else (csms,)
        plan = plan_fleet(loaded, stations=stations, supervision_urls=urls, environ=environ)
    except ConfigurationError as error:
        tell_problems(dict.fromkeys([*problems, *error.problems]))
        return None
    tell_problems(dict.fromkeys([*problems, *plan.problems]))
    return loaded, plan


def demo_fleet(
    *, stations: int | None, port: int | None, environ: Mapping[str, str]
) -> tuple[LoadedConfig, FleetPlan] | None:
    """All shipped models, each with the generator on; None if the environment does not allow it, which it tells."""
    wanted = DEMO_STATIONS if stations is None else stations
    models = DEMO_MODELS[-wanted:] if wanted < len(DEMO_MODELS) else DEMO_MODELS
    document: dict[str, Any] = {
        # The embedded central system's address is known once it listens, and takes the place of this one.
        "supervisionUrls": "ws://localhost/",
        "stationTemplateUrls": [{"file": f"{model}.station-template.json", "numberOfStations": 1} for model in models],
    }
    if port is not None:
        document["uiServer"] = {"options": {"port": port}}
    try:
        loaded = default_config(Path("demo"), document, environ=environ)
        plan = plan_fleet(loaded, stations=wanted, environ=environ)
    except ConfigurationError as error:
        tell_problems(error.problems)
        return None
    return loaded, _with_generator(plan, DEMO_GENERATOR)


def _with_generator(plan: FleetPlan, generator: GeneratorTemplate) -> FleetPlan:
    """The same fleet with that generator in every template."""
    replace = msgspec.structs.replace
    entries = {}
    for entry in plan.entries:
        template = replace(entry.loaded.template, automatic_transaction_generator=generator)
        entries[entry.position] = replace(entry, loaded=replace(entry.loaded, template=template))
    stations = tuple(replace(planned, entry=entries[planned.entry.position]) for planned in plan.stations)
    return replace(plan, stations=stations, entries=tuple(entries.values()))
