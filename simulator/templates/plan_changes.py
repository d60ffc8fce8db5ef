"""From one plan of a fleet to the next: which stations go, come, or are others now. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from simulator.config.model import Distribution
from simulator.templates.fleet import FleetEntry, FleetPlan, PlannedStation


class Change(msgspec.Struct, frozen=True):
    """A station of both plans. ``urls``: the central systems that it may connect to, or the way to choose, differ."""

    before: PlannedStation
    after: PlannedStation
    urls: bool = False


class PlanChanges(msgspec.Struct, frozen=True):
    """What to do, in this order; stations in the order of their plan.

    ``renamed`` stations have the same name and another hashId: their boot data have changed. ``changed`` ones have the
    same hashId, and their template, tags, vehicles or central systems differ.
    """

    removed: tuple[PlannedStation, ...] = ()
    renamed: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    added: tuple[PlannedStation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.removed or self.renamed or self.changed or self.added)


def compare_plans(
    before: FleetPlan,
    after: FleetPlan,
    *,
    distributions: tuple[Distribution, Distribution] = ("charging-station-affinity", "charging-station-affinity"),
) -> PlanChanges:
    """The changes from one plan to the next.

    :param distributions: ``supervisionUrlDistribution`` of both. Another place in the fleet alone moves no station to
        another central system: a new entry would else move all that come after it.
    """
    known = {station.hash_id: station for station in before.stations}
    wanted = {station.hash_id: station for station in after.stations}
    gone = [station for station in before.stations if station.hash_id not in wanted]
    new = [station for station in after.stations if station.hash_id not in known]
    renamed = _renamed(gone, new)
    left = {change.before.hash_id for change in renamed}
    taken = {change.after.hash_id for change in renamed}
    chooses_anew = distributions[0] != distributions[1]
    same: dict[tuple[int, int], bool] = {}
    changed = []
    for station in after.stations:
        former = known.get(station.hash_id)
        if former is None:
            continue
        urls = chooses_anew or former.entry.supervision_urls != station.entry.supervision_urls
        pair = (id(former.entry), id(station.entry))
        if pair not in same:
            same[pair] = _same(former.entry, station.entry)
        if urls or not same[pair] or former.index != station.index:
            changed.append(Change(former, station, urls))
    return PlanChanges(
        tuple(station for station in gone if station.hash_id not in left),
        tuple(renamed),
        tuple(changed),
        tuple(station for station in new if station.hash_id not in taken),
    )


def _renamed(gone: Iterable[PlannedStation], new: Iterable[PlannedStation]) -> list[Change]:
    """Stations that go and come under one name; of several, first those of the same entry."""
    by_name: dict[str, list[PlannedStation]] = {}
    for station in gone:
        by_name.setdefault(station.station_id, []).append(station)
    pairs = []
    for station in new:
        candidates = by_name.get(station.station_id)
        if candidates:
            candidates.sort(key=lambda former: former.entry.file != station.entry.file)
            former = candidates.pop(0)
            pairs.append(Change(former, station, former.entry.supervision_urls != station.entry.supervision_urls))
    return pairs


def _same(before: FleetEntry, after: FleetEntry) -> bool:
    """Whether the stations of two entries are alike."""
    return (
        before.loaded.path == after.loaded.path
        and before.loaded.template_hash == after.loaded.template_hash
        and before.loaded.template == after.loaded.template
        and before.id_tags == after.id_tags
        and before.vehicles == after.vehicles
    )
