"""Makes stations while the simulator runs: from which templates, under which names, towards which central system."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from simulator.config.load import LoadedConfig
from simulator.config.problems import ConfigurationError
from simulator.config.urls import show_url, url_problem
from simulator.control.fanout import Failed
from simulator.control.making import ADDED, Maker
from simulator.energy.vehicle import VehicleModel
from simulator.templates.fleet import FleetEntry, FleetPlan, PlannedStation, shipped_folder, template_folders
from simulator.templates.identity import hash_ids, station_id
from simulator.templates.info import StationInfo
from simulator.templates.load import LoadedTemplate, load_template
from simulator.templates.plan_changes import PlanChanges, compare_plans
from simulator.templates.tags import find_by_base_name, find_tag_list, load_tags
from simulator.templates.vehicles import load_vehicle_file
from ui_protocol.requests import StationOptions

_ENDING = ".station-template.json"

#: Members of the options that go into the template under the same name.
_OF_TEMPLATE = (
    "auto_register",
    "auto_start",
    "base_name",
    "enable_statistics",
    "fixed_name",
    "name_suffix",
    "ocpp_strict_compliance",
    "stop_transactions_on_stopped",
    "supervision_user",
    "supervision_password",
)
_PERSISTENT = (
    "ocpp_persistent_configuration",
    "station_info_persistent_configuration",
    "automatic_transaction_generator_persistent_configuration",
)


class _Order(msgspec.Struct):
    """Stations that were made on one request, and what it said."""

    options: StationOptions
    entry: FleetEntry
    stations: list[PlannedStation]


class Provisioner:
    """Makes stations of the templates that the configuration can reach, and knows which ones it has made.

    :param maker: settles the facts of a station.
    :param central_url: where the embedded central system listens; stations connect to it if there is one.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        *,
        environ: Mapping[str, str],
        maker: Maker,
        central_url: str | None = None,
    ) -> None:
        self._loaded = loaded
        self._environ = environ
        self.maker = maker
        self._central_url = central_url
        self._orders: list[_Order] = []

    def follow(self, loaded: LoadedConfig) -> None:
        """The configuration has changed: it counts for stations that are made from now on."""
        self._loaded = loaded

    def templates(self) -> list[str]:
        """The names of the templates, shipped ones included."""
        return sorted(self._files())

    def _files(self) -> dict[str, Path]:
        """Template files by name; a name that comes twice is that of the folder that is searched first."""
        found: dict[str, Path] = {}
        for folder in template_folders(self._loaded.path):
            for file in sorted(folder.glob(f"*{_ENDING}")):
                found.setdefault(file.name.removesuffix(_ENDING), file)
        for file in sorted(shipped_folder().glob(f"*{_ENDING}")):
            found.setdefault(file.name.removesuffix(_ENDING), file)
        return found

    def load(self, name: str, options: StationOptions) -> LoadedTemplate:
        """Read a template and apply the options. May take milliseconds: run it in a thread.

        :raises Failed: there is no such template, or the file or an option is wrong.
        """
        files = self._files()
        # Only names from the list: a client must not make the simulator read files of its choice.
        plain = name.removesuffix(".json").removesuffix(".station-template")
        if plain not in files:
            raise Failed(f"no template {name!r}; there are {', '.join(sorted(files))}")
        try:
            loaded = load_template(files[plain])
        except ConfigurationError as error:
            raise Failed(str(error).splitlines()[0]) from None
        changes: dict[str, Any] = {
            member: value for member in _OF_TEMPLATE if (value := getattr(options, member)) is not None
        }
        if options.persistent_configuration is not None:
            changes.update(dict.fromkeys(_PERSISTENT, options.persistent_configuration))
        if options.supervision_urls is not None:
            urls = options.supervision_urls
            changes["supervision_urls"] = (urls,) if isinstance(urls, str) else urls
            for url in changes["supervision_urls"]:
                check_url(url)
        return msgspec.structs.replace(loaded, template=msgspec.structs.replace(loaded.template, **changes))

    def make(
        self,
        loaded: LoadedTemplate,
        count: int,
        *,
        names: Collection[str],
        position: int,
        options: StationOptions,
    ) -> Iterator[tuple[StationInfo, str]]:
        """Stations of a template and where each connects to; each takes the lowest number that is free.

        :param names: of the stations that exist.
        :param position: of the first one in the fleet, for the distribution over several central systems.
        :param options: those that ``loaded`` was read with.
        :raises Failed: there is no central system, or the name is taken.
        """
        template = loaded.template
        entry = self._entry(loaded, count, options)
        order = _Order(options, entry, [])
        self._orders.append(order)
        hash_of = hash_ids(template)
        if template.fixed_name and (count > 1 or template.base_name in names):
            raise Failed(f"the template has fixedName: there can be only one station {template.base_name}")
        index = 0
        for number in range(count):
            index += 1
            while (name := station_id(template, index, self._environ)) in names:
                index += 1
            planned = PlannedStation(entry, index, position + number, name, hash_of(name))
            made = self.maker.make(planned)
            order.stations.append(planned)
            yield made

    def _entry(self, loaded: LoadedTemplate, count: int, options: StationOptions) -> FleetEntry:
        return FleetEntry(
            position=ADDED,
            file=loaded.name,
            number_of_stations=count,
            loaded=loaded,
            id_tags=self._tags(loaded),
            tag_file=None,
            supervision_urls=self._urls(loaded, own_urls=options.supervision_urls is not None),
            vehicles=self._vehicles(loaded),
        )

    # -- when files change -------------------------------------------------------------------------------------------

    def places(self) -> set[Path]:
        """Where the files are, or would be, of which stations were made."""
        folder, shipped, found = self._loaded.path.parent, shipped_folder(), set()
        for order in self._orders:
            template = order.entry.loaded.template
            found.add(order.entry.loaded.path)
            for name in (template.authorization_file, template.ev_profiles_file):
                if name is not None:
                    found.update(find_by_base_name(name, folder, shipped)[1])
        return found

    def replan(self, present: Container[str]) -> tuple[PlanChanges, list[str]]:
        """Read the files again of stations that were made; returns how these change, and what is wrong with files.

        Reads files: run it in a thread.
        :param present: hashIds of the stations that there still are.
        """
        changes, wrong = [], []
        for order in list(self._orders):
            before = [station for station in order.stations if station.hash_id in present]
            if not before:
                self._orders.remove(order)
                continue
            after = before
            try:
                loaded = self.load(order.entry.loaded.name, order.options)
                entry = self._entry(loaded, len(before), order.options)
                hash_of = hash_ids(loaded.template)
                names = [station_id(loaded.template, station.index, self._environ) for station in before]
                after = [
                    PlannedStation(entry, station.index, station.position, name, hash_of(name))
                    for station, name in zip(before, names, strict=True)
                ]
                order.entry = entry
            except Failed as failure:
                wrong.append(failure.message or "")
            order.stations = after
            changes.append(compare_plans(_plan(before), _plan(after)))
        merged = {name: tuple(chain.from_iterable(getattr(c, name) for c in changes)) for name in _CHANGES}
        return PlanChanges(**merged), wrong

    # -- what a template leaves to others ----------------------------------------------------------------------------

    def _urls(self, loaded: LoadedTemplate, *, own_urls: bool) -> tuple[str, ...]:
        if self._central_url is not None and not own_urls:
            return (self._central_url,)
        urls = loaded.template.supervision_urls or self._loaded.config.supervision_urls
        if not urls:
            raise Failed("nothing says where the stations connect to: give options.supervisionUrls")
        return urls

    def _tags(self, loaded: LoadedTemplate) -> tuple[str, ...]:
        found, _ = find_tag_list(loaded.template.authorization_file, self._loaded.path.parent, shipped_folder())
        if found is None:
            return ()
        try:
            return load_tags(found)[0]
        except ConfigurationError as error:
            raise Failed(str(error).splitlines()[0]) from None

    def _vehicles(self, loaded: LoadedTemplate) -> tuple[VehicleModel, ...] | None:
        name = loaded.template.ev_profiles_file
        if name is None:
            return None
        found, _ = find_by_base_name(name, self._loaded.path.parent, shipped_folder())
        if found is None:
            return None
        try:
            return load_vehicle_file(found)
        except ConfigurationError as error:
            raise Failed(str(error).splitlines()[0]) from None


_CHANGES = PlanChanges.__struct_fields__


def _plan(stations: Sequence[PlannedStation]) -> FleetPlan:
    return FleetPlan(tuple(stations), (), [])


def check_url(url: str) -> None:
    """:raises Failed: that is no URL of a central system."""
    problem = url_problem(url)
    if problem is not None:
        raise Failed(f"{show_url(url)!r}: {problem[0]}; {problem[1]}")
