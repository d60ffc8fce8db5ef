"""Makes stations while the simulator runs: from which templates, under which names, towards which central system."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from simulator.config.load import LoadedConfig
from simulator.config.problems import ConfigurationError
from simulator.config.urls import show_url, url_problem
from simulator.control.fanout import Failed
from simulator.energy.vehicle import VehicleModel
from simulator.templates.fleet import choose_supervision_url, shipped_folder, template_folders
from simulator.templates.identity import hash_ids, station_id
from simulator.templates.info import StationInfo, resolve_station
from simulator.templates.load import LoadedTemplate, load_template
from simulator.templates.model import StationTemplate
from simulator.templates.tags import find_by_base_name, find_tag_list, load_tags
from simulator.templates.vehicles import load_vehicle_file
from ui_protocol.requests import StationOptions

_ENDING = ".station-template.json"

#: Members of the options that go into the template under the same name.
_OF_TEMPLATE = (
    "auto_register",
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


class Provisioner:
    """Makes stations of the templates that the configuration can reach.

    :param random_of: the randomness for the facts of the station with that hashId.
    :param kept: what an earlier run has drawn for a station of that template with that hashId.
    :param central_url: where the embedded central system listens; stations connect to it if there is one.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        *,
        environ: Mapping[str, str],
        random_of: Callable[[str], random.Random],
        central_url: Callable[[], str | None] = lambda: None,
        kept: Callable[[StationTemplate, str], Mapping[str, Any]] = lambda template, hash_id: {},
    ) -> None:
        self._loaded = loaded
        self._environ = environ
        self._random_of = random_of
        self._central_url = central_url
        self._kept = kept

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
        own_urls: bool,
    ) -> Iterator[tuple[StationInfo, str]]:
        """Stations of a template and where each connects to; each takes the lowest number that is free.

        :param names: of the stations that exist.
        :param position: of the first one in the fleet, for the distribution over several central systems.
        :param own_urls: whether the request named the central systems.
        :raises Failed: there is no central system, or the name is taken.
        """
        template = loaded.template
        urls = self._urls(loaded, own_urls=own_urls)
        tags, vehicles = self._tags(loaded), self._vehicles(loaded)
        hash_of = hash_ids(template)
        if template.fixed_name and (count > 1 or template.base_name in names):
            raise Failed(f"the template has fixedName: there can be only one station {template.base_name}")
        index = 0
        for number in range(count):
            index += 1
            while (name := station_id(template, index, self._environ)) in names:
                index += 1
            hash_id = hash_of(name)
            rng = self._random_of(hash_id)
            info = resolve_station(
                loaded,
                index,
                station_id=name,
                hash_id=hash_id,
                rng=rng,
                id_tags=tags,
                vehicles=vehicles,
                fallback_supervision_urls=urls,
                kept=self._kept(template, hash_id),
            )
            url = choose_supervision_url(
                urls,
                self._loaded.config.supervision_url_distribution,
                index=index,
                position=position + number,
                rng=rng,
            )
            yield info, url

    def _urls(self, loaded: LoadedTemplate, *, own_urls: bool) -> tuple[str, ...]:
        central = self._central_url()
        if central is not None and not own_urls:
            return (central,)
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


def check_url(url: str) -> None:
    """:raises Failed: that is no URL of a central system."""
    problem = url_problem(url)
    if problem is not None:
        raise Failed(f"{show_url(url)!r}: {problem[0]}; {problem[1]}")
