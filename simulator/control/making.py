"""Settles what a plan leaves open for a station: its facts, and the central system that it connects to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from simulator.config.model import Distribution
from simulator.station.memory import StationStore
from simulator.station.memory_parts import kept_info, station_info
from simulator.station.station import ChargingStation, station_random
from simulator.templates.fleet import PlannedStation, choose_supervision_url
from simulator.templates.identity import other_hash_ids
from simulator.templates.info import StationInfo, resolve_station

#: The position of an entry that no configuration has: its stations were added while the simulator ran.
ADDED = -1

#: Members of a template from which the connectors of a station are dealt.
_DEALT = ("number_of_connectors", "use_connector_id0", "random_connectors", "connectors")


class Maker:
    """Makes the facts of stations, for one run.

    :param seed: of the run; None: every draw is a new one.
    :param store: what earlier runs have left.
    :param distribution: how stations are spread over several central systems, as the configuration says now.
    :param central_url: of the embedded central system, to which all stations of the configuration connect then.
    """

    def __init__(
        self,
        *,
        seed: int | None,
        store: StationStore,
        distribution: Callable[[], Distribution],
        central_url: str | None = None,
    ) -> None:
        self._seed = seed
        self._store = store
        self._distribution = distribution
        self._central_url = central_url

    def make(self, planned: PlannedStation) -> tuple[StationInfo, str]:
        """A station that is not there yet, and where it connects to."""
        template = planned.entry.loaded.template
        self._store.inherit(planned.hash_id, lambda: other_hash_ids(template)(planned.station_id))
        kept = kept_info(self._store, template, planned.hash_id)
        return self._settle(planned, kept)

    def make_anew(self, planned: PlannedStation, station: ChargingStation, *, urls: bool) -> tuple[StationInfo, str]:
        """The same for a station that is there: what it has drawn stays as long as the template allows it.

        :param urls: whether it may have to go to another central system. Where somebody has moved it to stays.
        """
        info, url = self._settle(planned, station_info(station.info))
        present = station.configured_url
        stays = self._distribution() == "random" and present in self.urls(planned)
        return keep_connectors(station.info, info), url if urls and not (stays or station.moved) else present

    def urls(self, planned: PlannedStation) -> tuple[str, ...]:
        """The central systems that a station may connect to."""
        embedded = self._central_url is not None and planned.entry.position != ADDED
        return (self._central_url,) if embedded and self._central_url else planned.entry.supervision_urls

    def _settle(self, planned: PlannedStation, kept: Mapping[str, Any]) -> tuple[StationInfo, str]:
        entry, urls = planned.entry, self.urls(planned)
        rng = station_random(self._seed, f"{planned.hash_id}:info")
        info = resolve_station(
            entry.loaded,
            planned.index,
            station_id=planned.station_id,
            hash_id=planned.hash_id,
            rng=rng,
            id_tags=entry.id_tags,
            vehicles=entry.vehicles,
            fallback_supervision_urls=urls,
            kept=kept,
        )
        url = choose_supervision_url(
            urls, self._distribution(), index=planned.index, position=planned.position, rng=rng
        )
        return info, url


def keep_connectors(before: StationInfo, after: StationInfo) -> StationInfo:
    """``after`` with the connectors that were dealt to the station before, where the cards are the same."""
    if any(getattr(before.template, name) != getattr(after.template, name) for name in _DEALT):
        return after
    return msgspec.structs.replace(
        after, connectors=before.connectors, number_of_connectors=before.number_of_connectors
    )
