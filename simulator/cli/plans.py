"""Which fleet a command is about: that of a configuration, or that of the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from simulator.cli.output import tell_problems
from simulator.config.load import LoadedConfig, default_config, load_config
from simulator.config.problems import ConfigurationError, Problem
from simulator.control.reload import Reading
from simulator.templates.fleet import FleetPlan, plan_fleet
from simulator.templates.model import ConfigurationKeyTemplate, ConfigurationSection, GeneratorTemplate

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
#: Seconds between two samples: each of those short transactions shows its power and its state of charge.
DEMO_SAMPLE_INTERVAL = 10


class FleetSources(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration file, what the command line says of it, and the files that it names."""

    path: Path
    csms: str | None
    overrides: Sequence[str]
    stations: int | None
    start_rate: float | None = None
    environ: Mapping[str, str]

    def read(self, former: Reading | None = None) -> Reading:
        """Read all files; see :class:`simulator.control.reload.Sources`. :raises ConfigurationError: they are wrong."""
        kept: list[Problem] = []
        try:
            loaded = load_config(self.path, overrides=self.overrides, environ=self.environ)
        except ConfigurationError as error:
            if former is None:
                raise
            loaded = former.loaded
            kept = [problem for problem in error.problems if problem.severity == "error"]
        loaded = paced(loaded, self.start_rate)
        try:
            plan = plan_fleet(
                loaded,
                stations=self.stations,
                supervision_urls=None if self.csms is None else (self.csms,),
                environ=self.environ,
                former=None if former is None else former.plan,
            )
        except ConfigurationError as error:
            raise ConfigurationError(dict.fromkeys([*loaded.problems, *kept, *error.problems])) from None
        return Reading(loaded, plan, (*kept, *plan.kept))

    def places(self) -> list[Path]:
        """The configuration file."""
        return [self.path]


class DemoSources(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet of the demo: templates and tag lists of the present folder, or the shipped ones."""

    stations: int | None
    start_rate: float | None = None
    port: int | None
    environ: Mapping[str, str]

    def read(self, former: Reading | None = None) -> Reading:
        """The same for the configuration of the demo, which is in no file."""
        wanted = DEMO_STATIONS if self.stations is None else self.stations
        models = DEMO_MODELS[-wanted:] if wanted < len(DEMO_MODELS) else DEMO_MODELS
        document: dict[str, Any] = {
            # The embedded central system's address is known once it listens, and takes the place of this one.
            "supervisionUrls": "ws://localhost/",
            "stationTemplateUrls": [
                {"file": f"{model}.station-template.json", "numberOfStations": 1} for model in models
            ],
        }
        if self.port is not None:
            document["uiServer"] = {"options": {"port": self.port}}
        loaded = paced(default_config(Path("demo"), document, environ=self.environ), self.start_rate)
        former_plan = None if former is None else former.plan
        plan = plan_fleet(loaded, stations=wanted, environ=self.environ, former=former_plan)
        return Reading(loaded, _for_the_demo(plan), plan.kept)

    def places(self) -> list[Path]:
        """No other files."""
        return []


def first_reading(sources: FleetSources | DemoSources) -> Reading | None:
    """What the files say at the start; None if there are errors. Tells the problems of all files."""
    try:
        reading = sources.read()
    except ConfigurationError as error:
        tell_problems(error.problems)
        return None
    tell_problems(dict.fromkeys([*reading.loaded.problems, *reading.plan.problems]))
    return reading


def paced(loaded: LoadedConfig, start_rate: float | None) -> LoadedConfig:
    """The configuration with so many starts a second, whatever it says of the pace itself; None: as it says."""
    if start_rate is None:
        return loaded
    worker = msgspec.structs.replace(loaded.config.worker, start_rate=start_rate, element_start_delay=0)
    return msgspec.structs.replace(loaded, config=msgspec.structs.replace(loaded.config, worker=worker))


def _for_the_demo(plan: FleetPlan) -> FleetPlan:
    """The same fleet, busy enough to watch."""
    replace = msgspec.structs.replace
    sampled = ConfigurationKeyTemplate(key="MeterValueSampleInterval", value=str(DEMO_SAMPLE_INTERVAL))
    entries = {}
    for entry in plan.entries:
        keys = [key for key in entry.loaded.template.configuration_keys if key.key != sampled.key]
        template = replace(
            entry.loaded.template,
            automatic_transaction_generator=DEMO_GENERATOR,
            configuration=ConfigurationSection((*keys, sampled)),
        )
        entries[entry.position] = replace(entry, loaded=replace(entry.loaded, template=template))
    stations = tuple(replace(planned, entry=entries[planned.entry.position]) for planned in plan.stations)
    return replace(plan, stations=stations, entries=tuple(entries.values()))
