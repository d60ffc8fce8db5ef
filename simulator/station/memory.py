"""What a station knows from process to process: its keys, its registers, its lists, and who it is.

Whoever has something to keep is a :class:`Remembers` and gives itself to the station's memory when it is made; it gets
back then and there what an earlier process kept. Three switches of the template turn off the keeping: what is switched
off is neither read nor written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

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

    def join(self, hash_id: str, whole: Callable[[], Mapping[str, Any]]) -> None:
        """Nobody will ask."""

    def leave(self, hash_id: str) -> None:
        """Nothing stays."""

    def changed(self, hash_id: str, within: float) -> None:
        """Nobody is told."""


class StationMemory:
    """The memory of one station. What the central system gave goes by one switch of the template, what the station
    itself is by another, its generator by the third.
    """

    def __init__(self, station: ChargingStation) -> None:
        template = station.info.template
        self._log = station.log
        self._hash_id = station.info.hash_id
        self._store = station.services.store
        self._parts: list[Remembers] = []
        self.keeps_ocpp = template.ocpp_persistent_configuration
        self.keeps_station = template.station_info_persistent_configuration
        self.keeps_generator = template.automatic_transaction_generator_persistent_configuration
        self._kept = self._store.recall(self._hash_id) if self.keeps_anything else {}

    @property
    def keeps_anything(self) -> bool:
        """Whether any switch is on."""
        return self.keeps_ocpp or self.keeps_station or self.keeps_generator

    def add(self, part: Remembers, switch: bool) -> None:
        """Keep a part of the station from now on if its switch is on, and give it back what was kept of it."""
        if not switch:
            return
        self._parts.append(part)
        kept = self._kept.get(part.name)
        if kept is None and isinstance(sections := self._kept.get(SECTIONS), Mapping):
            kept = sections.get(part.name)
        if kept is None:
            return
        try:
            part.from_memory(kept)
        except (ValueError, TypeError, LookupError) as error:
            self._log.warning("%s, kept from an earlier run, cannot be used (%s): it begins anew", part.name, error)

    def complete(self) -> None:
        """Every part has been added: what changes from now on is stored."""
        known = self._kept
        self._kept = {}
        if self.keeps_anything:
            self._store.join(self._hash_id, self.whole)
            if not known:
                self._store.changed(self._hash_id, SOON)  # after the rush of the start

    def changed(self, within: float = PROMISED) -> None:
        """Something that is kept has changed."""
        if self._parts:
            self._store.changed(self._hash_id, within)

    def whole(self) -> dict[str, Any]:
        """All that is to be kept, in plain JSON types."""
        top: dict[str, Any] = {}
        sections: dict[str, Any] = {}
        for part in self._parts:
            kept = part.to_memory()
            if kept is not None:
                (top if part.name in {KEYS, INFO} else sections)[part.name] = kept
        return {**top, SECTIONS: sections} if sections else top
