"""What a station knows from process to process: its keys, its registers, its lists, and who it is.

Whoever has something to keep is a :class:`Remembers` and gives itself to the station's memory when it is made; it gets
back then and there what an earlier process kept. Three switches of the template turn off the keeping: what is switched
off is neither read nor written.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

#: Wall seconds until a change is stored: what somebody has been told is so (the central system by an Accepted, a
#: user), what is learnt on the way, and counters that only ever grow.
PROMISED = 0.5
SOON = 10.0
LATER = 300.0

#: Members of what is kept that have their place beside the sections.
KEYS = "configurationKey"
INFO = "stationInfo"
SECTIONS = "memory"


class Switch(enum.Enum):
    """What turns the keeping of a part off: a member of the template."""

    OCPP = "ocpp_persistent_configuration"
    STATION = "station_info_persistent_configuration"
    GENERATOR = "automatic_transaction_generator_persistent_configuration"


class Remembers(Protocol):
    """A part of a station that is kept."""

    @property
    def name(self) -> str:
        """Under which it is kept."""
        ...

    def to_memory(self) -> Any:
        """Plain JSON types, not shared with the living part; None where there is nothing to keep."""
        ...

    def from_memory(self, kept: Any) -> None:
        """Take what :meth:`to_memory` gave once. :raises ValueError, TypeError, LookupError: that cannot be used."""
        ...


class Part(msgspec.Struct, frozen=True):
    """A :class:`Remembers` made of functions."""

    name: str
    to_memory: Callable[[], Any]
    from_memory: Callable[[Any], None]


class StationStore(Protocol):
    """Where memories are kept. Nothing here blocks for long or raises."""

    def recall(self, hash_id: str) -> Mapping[str, Any]:
        """What is kept of a station; empty where there is nothing that can be read."""
        ...

    def inherit(self, hash_id: str, other: Callable[[], str]) -> None:
        """Where nothing is kept of a station, take what is kept under another hashId, by which others know it."""
        ...

    def join(self, hash_id: str, whole: Callable[[], Mapping[str, Any]]) -> None:
        """Take a station in. ``whole`` gives all that is to be kept, whenever the store asks."""
        ...

    def leave(self, hash_id: str) -> None:
        """The station is no more in this process; what is kept of it stays."""
        ...

    def changed(self, hash_id: str, within: float) -> None:
        """Something is new: ask for it within so many wall seconds, or a little later."""
        ...


class NoStore:
    """Keeps nothing."""

    def recall(self, hash_id: str) -> Mapping[str, Any]:
        """There is nothing."""
        return {}

    def inherit(self, hash_id: str, other: Callable[[], str]) -> None:
        """There is nothing under any."""

    def join(self, hash_id: str, whole: Callable[[], Mapping[str, Any]]) -> None:
        """Nobody will ask."""

    def leave(self, hash_id: str) -> None:
        """Nothing stays."""

    def changed(self, hash_id: str, within: float) -> None:
        """Nobody is told."""


PartsOf: TypeAlias = Callable[["ChargingStation"], Iterable[tuple[Remembers, Switch]]]


def _no_parts(_: ChargingStation) -> Iterable[tuple[Remembers, Switch]]:
    return ()


class StationMemory:
    """The memory of one station. What the central system gave goes by one switch of the template, what the station
    itself is by another, its generator by the third.
    """

    __slots__ = ("_carried", "_hash_id", "_joined", "_kept", "_log", "_parts", "_station", "_store")

    def __init__(self, station: ChargingStation, carried: Mapping[str, Any] | None = None) -> None:
        """:param carried: what :meth:`carry` of the same station gave, in place of what is in the store."""
        self._station = station
        self._log = station.log
        self._hash_id = station.info.hash_id
        self._store = station.services.store
        self._parts: PartsOf = _no_parts
        self._carried = carried is not None
        self._joined = False
        self._kept: Mapping[str, Any] = {}
        if carried is not None:
            self._kept = carried
        elif self.keeps_anything:
            self._kept = self._store.recall(self._hash_id)

    @property
    def foreign(self) -> bool:
        """While parts are given back what was kept: whether the e-mobility charging stations simulator kept it."""
        return bool(self._kept) and not self._carried and "version" not in self._kept

    @property
    def keeps_anything(self) -> bool:
        """Whether any switch is on."""
        return any(map(self.keeps, Switch))

    def keeps(self, switch: Switch) -> bool:
        """Whether the template has that switch on."""
        return bool(getattr(self._station.info.template, switch.value))

    def give_back(self, part: Remembers, switch: Switch) -> None:
        """Give a part of the station what was kept of it, if its switch is on."""
        if not (self._carried or self.keeps(switch)):
            return
        kept = self._kept.get(part.name)
        if kept is None and isinstance(sections := self._kept.get(SECTIONS), Mapping):
            kept = sections.get(part.name)
        if kept is None:
            return
        try:
            part.from_memory(kept)
        except (ValueError, TypeError, LookupError) as error:
            self._log.warning("%s, kept from an earlier run, cannot be used (%s): it begins anew", part.name, error)

    def complete(self, parts: PartsOf) -> None:
        """Every part has been given back what was kept of it: what changes from now on is stored.

        :param parts: gives a station's parts with their switches, anew each time: kept for long they would take
            kilobytes.
        """
        self._parts = parts
        known = self._kept
        self._kept = {}
        if self._carried:
            self.follow()
        elif self.keeps_anything:
            self._join()
            if not known:
                self._store.changed(self._hash_id, SOON)  # after the rush of the start

    def _join(self) -> None:
        self._joined = True
        self._store.join(self._hash_id, self.whole)

    def follow(self) -> None:
        """The template has changed, and its switches may have."""
        if not self.keeps_anything:
            if self._joined:
                self._joined = False
                self._store.leave(self._hash_id)
            return
        if not self._joined:
            self._join()
        self._store.changed(self._hash_id, SOON)

    def changed(self, within: float = PROMISED) -> None:
        """Something that is kept has changed."""
        if self._joined:
            self._store.changed(self._hash_id, within)

    def whole(self) -> dict[str, Any]:
        """All that is to be kept, in plain JSON types."""
        return self._collect(self.keeps)

    def carry(self) -> dict[str, Any]:
        """The same whatever the switches say: for the station's own next life in this process."""
        return self._collect(lambda _: True)

    def _collect(self, wanted: Callable[[Switch], bool]) -> dict[str, Any]:
        top: dict[str, Any] = {}
        sections: dict[str, Any] = {}
        for part, switch in self._parts(self._station):
            kept = part.to_memory() if wanted(switch) else None
            if kept is not None:
                (top if part.name in {KEYS, INFO} else sections)[part.name] = kept
        return {**top, SECTIONS: sections} if sections else top
