"""From a configuration to the list of its stations."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from simulator.config.load import LoadedConfig
from simulator.config.model import Distribution, SimulatorConfig, StationTemplateEntry
from simulator.config.problems import ConfigurationError, Place, Problem, Report, nearest
from simulator.config.urls import show_url, url_problem
from simulator.energy.vehicle import VehicleModel
from simulator.templates.identity import hash_ids, station_id
from simulator.templates.info import circuit_of
from simulator.templates.load import LoadedTemplate, load_template
from simulator.templates.tags import USUAL_FILE, find_by_base_name, find_tag_list, load_tags
from simulator.templates.vehicles import load_vehicle_file

_ENDINGS = ("", ".json", ".station-template.json")


class FleetEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of ``stationTemplateUrls``, its files read; ``number_of_stations`` is what scaling made of it.

    ``vehicles`` is None where the template names no file, or one that is not there.
    """

    position: int
    file: str
    number_of_stations: int
    loaded: LoadedTemplate
    id_tags: tuple[str, ...]
    tag_file: Path | None
    supervision_urls: tuple[str, ...]
    vehicles: tuple[VehicleModel, ...] | None = None


class PlannedStation(msgspec.Struct, frozen=True, gc=False):
    """A station to make: the ``index``-th of its entry (from 1) and the ``position``-th of the fleet (from 0)."""

    entry: FleetEntry
    index: int
    position: int
    station_id: str
    hash_id: str

    @property
    def loaded_template(self) -> LoadedTemplate:
        """The template of the station."""
        return self.entry.loaded


class FleetFiles(msgspec.Struct, frozen=True):
    """The files of a plan as they were read, and every place where one was looked for, whether or not one is there."""

    templates: dict[Path, LoadedTemplate] = {}
    tags: dict[Path, tuple[str, ...]] = {}
    vehicles: dict[Path, tuple[VehicleModel, ...]] = {}
    places: frozenset[Path] = frozenset()


class FleetPlan(msgspec.Struct, frozen=True):
    """All stations of a configuration, the files that they come from, and what is to be said about these.

    ``kept``: errors of files in whose place an earlier reading of theirs counts.
    """

    stations: tuple[PlannedStation, ...]
    entries: tuple[FleetEntry, ...]
    problems: list[Problem]
    files: FleetFiles = FleetFiles()
    kept: tuple[Problem, ...] = ()


def plan_fleet(
    config: LoadedConfig,
    *,
    stations: int | None = None,
    supervision_urls: Sequence[str] | None = None,
    environ: Mapping[str, str],
    former: FleetPlan | None = None,
) -> FleetPlan:
    """Read all templates and tag lists that a configuration names, and list the stations.

    ``stations`` scales every entry to this total. ``supervision_urls`` take the place of those of the configuration and
    of all templates. Raises ConfigurationError with the problems of all files if there is an error among them; those of
    ``config`` itself are in it.

    ``former``: an earlier plan; a file that is gone or wrong now counts as it was read then.
    """
    planner = _Planner(config, supervision_urls, former)
    entries = _scaled(planner.read_entries(), stations, planner.report)
    planned = _expand(entries, environ)
    if not any(entry.number_of_stations for entry in config.config.station_template_urls):
        planner.report.error(("stationTemplateUrls",), "comes to no station", "raise a numberOfStations")
    _check_statistics(config.config, entries, planner.report)
    _find_twins(planned, config.config.supervision_url_distribution, planner.report)
    return FleetPlan(tuple(planned), tuple(entries), planner.finish(), planner.files(), tuple(planner.kept))


def choose_supervision_url(
    urls: Sequence[str], distribution: Distribution, *, index: int, position: int, rng: random.Random
) -> str:
    """Which of ``urls`` a station connects to; ``index`` and ``position`` are those of :class:`PlannedStation`.

    ``round-robin`` goes round over the whole fleet, ``charging-station-affinity`` by the index within the entry.
    ``urls`` must not be empty.
    """
    if distribution == "random":
        return rng.choice(urls)
    return urls[(position if distribution == "round-robin" else index - 1) % len(urls)]


def shipped_folder() -> Path:
    """Where the templates are that come with the simulator."""
    return Path(str(files("station_templates")))


def shipped_templates() -> list[str]:
    """The file names of the templates that come with the simulator."""
    return sorted(file.name for file in shipped_folder().glob("*.station-template.json"))


def template_places(name: str, config_path: Path) -> list[Path]:
    """Every file that a name of a template may mean, first the one that is taken if it is there."""
    return [folder / f"{name}{ending}" for folder in template_folders(config_path) for ending in _ENDINGS]


def template_folders(config_path: Path) -> list[Path]:
    """Where the templates of a configuration are looked for, in this order."""
    folder = config_path.parent
    return [folder, folder / "station-templates", folder / "station_templates", shipped_folder()]


def find_template(name: str, config_path: Path) -> Path | None:
    """The file of the template that a configuration names; the endings ``.station-template.json`` may be left out."""
    for file in template_places(name, config_path):
        try:
            if file.is_file():
                return file
        except (OSError, ValueError):  # a name that no file can have
            return None
    return None


class _Planner:
    """Reads each file once and keeps all problems."""

    def __init__(
        self, config: LoadedConfig, supervision_urls: Sequence[str] | None, former: FleetPlan | None = None
    ) -> None:
        self.config = config
        self._former = former
        self._places: set[Path] = set()
        #: Errors of files that count as they were read for the former plan.
        self.kept: list[Problem] = []
        self.report = Report(str(config.path))
        self._supervision_urls = supervision_urls
        self._of_files: list[Problem] = []
        self._templates: dict[Path, LoadedTemplate | None] = {}
        self._tags: dict[Path, tuple[str, ...]] = {}
        self._vehicles: dict[Path, tuple[VehicleModel, ...]] = {}
        for url in supervision_urls or ():
            if (problem := url_problem(url)) is not None:
                self._of_files.append(Problem("--csms", "", f'"{show_url(url)}": {problem[0]}', problem[1]))

    def read_entries(self) -> list[FleetEntry]:
        """The entries whose templates are fine."""
        entries = []
        for position, entry in enumerate(self.config.config.station_template_urls):
            loaded = self._template(entry, position)
            if loaded is not None:
                tag_file = self._tag_file(loaded)
                urls = self._urls(loaded, position)
                self._check_transport(loaded, position, urls)
                entries.append(
                    FleetEntry(
                        position=position,
                        file=entry.file,
                        number_of_stations=entry.number_of_stations,
                        loaded=loaded,
                        id_tags=self._read_tags(tag_file) if tag_file else (),
                        tag_file=tag_file,
                        supervision_urls=urls,
                        vehicles=self._vehicles_of(loaded),
                    )
                )
        return entries

    def finish(self) -> list[Problem]:
        """All problems; raises them if one is an error."""
        problems = list(dict.fromkeys([*self.report.problems, *self._of_files]))
        if any(problem.severity == "error" for problem in problems):
            raise ConfigurationError(problems)
        return problems

    def _template(self, entry: StationTemplateEntry, position: int) -> LoadedTemplate | None:
        path = find_template(entry.file, self.config.path)
        self._places.update(template_places(entry.file, self.config.path))
        if path is None and (gone := self._formerly(entry.file)) is not None:
            self.kept.append(
                Problem(str(gone.path), "", "is gone", "put it back, or take it out of stationTemplateUrls")
            )
            self._templates[gone.path] = gone
            return gone
        if path is None:
            place: Place = ("stationTemplateUrls", position, "file")
            folders = ", ".join(str(folder) for folder in template_folders(self.config.path))
            self.report.error(place, f'no template "{entry.file}" in {folders}', _known_templates(entry.file))
            return None
        if path not in self._templates:
            try:
                self._templates[path] = loaded = load_template(path)
                self._of_files += loaded.problems
            except ConfigurationError as error:
                self._templates[path] = None if self._former is None else self._former.files.templates.get(path)
                self._tell(error, kept=self._templates[path] is not None)
        return self._templates[path]

    def _formerly(self, name: str) -> LoadedTemplate | None:
        """What the former plan has of a template that is not there any more."""
        if self._former is None:
            return None
        places = template_places(name, self.config.path)
        return next((known for place in places if (known := self._former.files.templates.get(place))), None)

    def _tell(self, error: ConfigurationError, *, kept: bool) -> None:
        if kept:
            self.kept += [problem for problem in error.problems if problem.severity == "error"]
        else:
            self._of_files += error.problems

    def files(self) -> FleetFiles:
        """What was read, and where it was looked for."""
        templates = {path: loaded for path, loaded in self._templates.items() if loaded is not None}
        return FleetFiles(templates, self._tags, self._vehicles, frozenset(self._places))

    def _tag_file(self, loaded: LoadedTemplate) -> Path | None:
        name = loaded.template.authorization_file
        found, places = find_tag_list(name, self.config.path.parent, shipped_folder())
        self._places.update(places or [self.config.path.parent / USUAL_FILE])
        if found is None and name is not None:
            folders = ", ".join(str(place.parent) for place in places)
            key = "authorizationFile" if "authorizationFile" in loaded.raw else "idTagsFile"
            message = f'no tag list "{places[0].name}" in {folders}: the stations have no tags'
            self._of_files.append(Problem(str(loaded.path), key, message, "", "warning"))
        return found

    def _read_tags(self, path: Path) -> tuple[str, ...]:
        if path not in self._tags:
            known = None if self._former is None else self._former.files.tags.get(path)
            self._tags[path] = known or ()
            try:
                self._tags[path], problems = load_tags(path)
                self._of_files += problems
            except ConfigurationError as error:
                self._tell(error, kept=known is not None)
        return self._tags[path]

    def _vehicles_of(self, loaded: LoadedTemplate) -> tuple[VehicleModel, ...] | None:
        name = loaded.template.ev_profiles_file
        if name is None:
            return None
        path, places = find_by_base_name(name, self.config.path.parent, shipped_folder())
        self._places.update(places)
        if path is None:
            folders = ", ".join(str(place.parent) for place in places)
            message = f'no vehicle file "{places[0].name}" in {folders}: the vehicles of the simulator come'
            self._of_files.append(Problem(str(loaded.path), "evProfilesFile", message, "", "warning"))
            return None
        if path not in self._vehicles:
            known = None if self._former is None else self._former.files.vehicles.get(path)
            self._vehicles[path] = known or ()
            try:
                self._vehicles[path] = load_vehicle_file(path)
            except ConfigurationError as error:
                self._tell(error, kept=known is not None)
        found, circuit = self._vehicles[path], circuit_of(loaded.template)
        if found and not any(vehicle.power_limit(circuit) > 0 for vehicle in found):
            message = (
                f"no vehicle of {path} charges from {loaded.template.current_out_type}: values are drawn at random"
            )
            self._of_files.append(Problem(str(loaded.path), "evProfilesFile", message, "", "warning"))
        return found

    def _urls(self, loaded: LoadedTemplate, position: int) -> tuple[str, ...]:
        if self._supervision_urls is not None:
            return tuple(self._supervision_urls)
        urls = loaded.template.supervision_urls or self.config.config.supervision_urls
        if not urls:
            message = f"neither this file nor the template of stationTemplateUrls[{position}] says where to connect to"
            self.report.error(("supervisionUrls",), message, 'for example "ws://localhost:8010", or --csms URL')
        return urls

    def _check_transport(self, loaded: LoadedTemplate, position: int, urls: Sequence[str]) -> None:
        """The hub carries plain WebSockets; who asks for it by name gets nothing else."""
        if self.config.config.transport != "hub":
            return
        secure = next((url for url in urls if urlsplit(url).scheme == "wss"), None)
        if secure is not None or loaded.template.ws_options.per_message_deflate:
            what = f"connects to {show_url(secure)}" if secure is not None else "asks for compression"
            message = f"hub serves ws:// without compression, and stationTemplateUrls[{position}] {what}"
            self.report.error(("transport",), message, "write auto: it takes the hub where it can")


def _known_templates(name: str) -> str:
    short = sorted(file.removesuffix(".station-template.json") for file in shipped_templates())
    base = name.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".json").removesuffix(".station-template")
    found = nearest(base, short)
    return f'did you mean "{found}"?' if found else f"shipped are {', '.join(short)}"


def _check_statistics(config: SimulatorConfig, entries: Sequence[FleetEntry], report: Report) -> None:
    """Performance records are those of stations that keep statistics."""
    storage = config.performance_storage
    wanted = storage.enabled and storage.type != "none"
    if wanted and entries and not any(entry.loaded.template.enable_statistics for entry in entries):
        message = "nothing will be stored: every template has enableStatistics false"
        report.warning(("performanceStorage",), message, "write enableStatistics: true in a template")


# -- how many ----------------------------------------------------------------------------------------------------------


def _scaled(entries: Sequence[FleetEntry], total: int | None, report: Report) -> list[FleetEntry]:
    if total is None:
        return list(entries)
    counts = scale(
        [entry.number_of_stations for entry in entries], [entry.loaded.template.fixed_name for entry in entries], total
    )
    if 0 < sum(counts) < total:
        place: Place = ("stationTemplateUrls",)
        report.warning(place, f"comes to {sum(counts)} stations instead of {total}: all its templates have fixedName")
    return [
        msgspec.structs.replace(entry, number_of_stations=count) for entry, count in zip(entries, counts, strict=True)
    ]


def scale(counts: Sequence[int], fixed: Sequence[bool], total: int) -> list[int]:
    """Bring ``counts`` to ``total`` in proportion.

    Each that is not 0 stays at least 1 if ``total`` has room for all of them, else the greatest do; where ``fixed``, it
    is at most 1. The sum is less than ``total`` only if all are fixed or 0.
    """
    scaled = [0] * len(counts)
    by_size = sorted((position for position, count in enumerate(counts) if count > 0), key=lambda p: -counts[p])
    for position in by_size[:total]:
        scaled[position] = 1
    growing = [position for position in by_size if not fixed[position]]
    if sum(scaled) < total and growing:
        # The share of each, counted with the 1 that it has already; what rounding leaves goes to the largest rests.
        room = total - sum(scaled[position] for position in by_size if fixed[position])
        weight = sum(counts[position] for position in growing)
        shares = {position: room * counts[position] / weight for position in growing}
        for position in growing:
            scaled[position] = max(1, int(shares[position]))
        while (missing := room - sum(scaled[position] for position in growing)) != 0:
            step = 1 if missing > 0 else -1
            movable = [position for position in growing if step > 0 or scaled[position] > 1]
            position = max(movable, key=lambda p: step * (shares[p] - scaled[p]))
            scaled[position] += step
    return scaled


def _expand(entries: Sequence[FleetEntry], environ: Mapping[str, str]) -> list[PlannedStation]:
    planned: list[PlannedStation] = []
    for entry in entries:
        template = entry.loaded.template
        hash_of = hash_ids(template)
        for index in range(1, entry.number_of_stations + 1):
            name = station_id(template, index, environ)
            planned.append(PlannedStation(entry, index, len(planned), name, hash_of(name)))
    return planned


# -- twins -------------------------------------------------------------------------------------------------------------


def _find_twins(planned: Sequence[PlannedStation], distribution: Distribution, report: Report) -> None:
    """Report each pair of entries that make stations of one identity, once."""
    by_name: dict[str, PlannedStation] = {}
    namesakes: dict[str, list[PlannedStation]] = {}
    for station in planned:
        first = by_name.setdefault(station.station_id, station)
        if first is not station:
            namesakes.setdefault(station.station_id, [first]).append(station)
    reported: set[tuple[int, int]] = set()
    for group in namesakes.values():
        # Within an entry names repeat only under fixedName, and then all of them are one.
        one_of_each = {station.entry.position: station for station in reversed(group)}
        within = [(group[0], station) for station in group[1:2] if station.entry is group[0].entry]
        for first, second in (*within, *combinations(reversed(one_of_each.values()), 2)):
            pair = (first.entry.position, second.entry.position)
            if pair not in reported and _are_twins(first, second, distribution):
                reported.add(pair)
                _report_twins(first, second, report)


def _are_twins(first: PlannedStation, second: PlannedStation, distribution: Distribution) -> bool:
    if first.hash_id == second.hash_id:
        return True
    return not _possible_urls(first, distribution).isdisjoint(_possible_urls(second, distribution))


def _possible_urls(station: PlannedStation, distribution: Distribution) -> set[str]:
    urls = station.entry.supervision_urls
    if distribution == "random" or not urls:
        return set(urls)
    # No draw: the other distributions do without.
    rng = random.Random(0)
    return {choose_supervision_url(urls, distribution, index=station.index, position=station.position, rng=rng)}


def _report_twins(first: PlannedStation, second: PlannedStation, report: Report) -> None:
    place: Place = ("stationTemplateUrls", second.entry.position)
    name = second.station_id
    if first.entry is second.entry:
        count = second.entry.number_of_stations
        report.error(
            (*place, "numberOfStations"),
            f'{count} stations of "{second.entry.file}" would all be named {name}: it has fixedName',
            "write 1, or take fixedName out of the template",
        )
        return
    message = (
        f'station {name} of "{second.entry.file}" is made by stationTemplateUrls[{first.entry.position}]'
        f' ("{first.entry.file}") too'
    )
    if first.entry.loaded is second.entry.loaded:
        report.error(place, message, "make one entry of the two with the sum of their numberOfStations")
    else:
        report.error(place, message, 'give one of the two templates a nameSuffix, for example "nameSuffix": "-B"')
