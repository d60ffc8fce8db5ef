"""Tags that a station knows without asking: the local authorisation list and the cache (OCPP 1.6 §3.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from simulator.ocpp.v16.enums import AuthorizationStatus
from simulator.ocpp.v16.messages import AuthorizationData, IdTagInfo
from simulator.timestamps import parse_timestamp

#: Entries of the cache; beyond it invalid ones go first, then the oldest.
CACHE_SIZE = 1000


def current(info: IdTagInfo, now: float) -> IdTagInfo:
    """The entry as of ``now``: Accepted becomes Expired once its expiryDate has passed."""
    if info.status is AuthorizationStatus.ACCEPTED and info.expiry_date is not None:
        try:
            expired = parse_timestamp(info.expiry_date)[0] <= now
        except ValueError:
            expired = False
        if expired:
            return msgspec.structs.replace(info, status=AuthorizationStatus.EXPIRED)
    return info


class LocalList:
    """The local authorisation list of one station.

    Until the central system sends one (version 0), the tags of the template's list serve as entries.
    """

    __slots__ = ("_entries", "version")

    def __init__(self, id_tags: Iterable[str]) -> None:
        accepted = IdTagInfo(status=AuthorizationStatus.ACCEPTED)
        self.version = 0
        self._entries: dict[str, AuthorizationData] = {
            tag.casefold(): AuthorizationData(id_tag=tag, id_tag_info=accepted) for tag in id_tags
        }

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, id_tag: str) -> IdTagInfo | None:
        """What the list says of a tag."""
        entry = self._entries.get(id_tag.casefold())
        return None if entry is None else entry.id_tag_info

    def replace(self, version: int, entries: Iterable[AuthorizationData]) -> None:
        """A full update; an empty one clears the list and its version (OCPP 1.6 §5.16)."""
        self._entries = {entry.id_tag.casefold(): entry for entry in entries}
        self.version = version if self._entries else 0

    def follow(self, id_tags: Iterable[str]) -> None:
        """The template's list has changed; one that the central system has sent stays."""
        if self.version == 0:
            self._entries = LocalList(id_tags)._entries

    def size_after(self, entries: Iterable[AuthorizationData]) -> int:
        """How many entries a differential update would leave."""
        tags = set(self._entries)
        for entry in entries:
            (tags.add if entry.id_tag_info is not None else tags.discard)(entry.id_tag.casefold())
        return len(tags)

    def update(self, version: int, entries: Iterable[AuthorizationData]) -> None:
        """A differential update: entries with idTagInfo are stored, those without deleted."""
        for entry in entries:
            if entry.id_tag_info is not None:
                self._entries[entry.id_tag.casefold()] = entry
            else:
                self._entries.pop(entry.id_tag.casefold(), None)
        self.version = version

    def to_memory(self) -> dict[str, Any] | None:
        """What to keep over a restart; None while the central system has sent nothing."""
        if self.version == 0:
            return None
        return {"version": self.version, "entries": [msgspec.to_builtins(entry) for entry in self._entries.values()]}

    def from_memory(self, kept: Mapping[str, Any]) -> None:
        """Take what was kept."""
        entries = msgspec.convert(kept["entries"], tuple[AuthorizationData, ...])
        self.replace(int(kept["version"]), entries)


class AuthorizationCache:
    """What the central system has said of tags, newest last. Tags of the local list are never in it."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, IdTagInfo] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, id_tag: str) -> IdTagInfo | None:
        """What was last said of a tag."""
        return self._entries.get(id_tag.casefold())

    def learn(self, id_tag: str, info: IdTagInfo) -> None:
        """Remember the answer to a tag, valid or not."""
        tag = id_tag.casefold()
        self._entries.pop(tag, None)
        while len(self._entries) >= CACHE_SIZE:
            invalid = (known for known, each in self._entries.items() if each.status != AuthorizationStatus.ACCEPTED)
            del self._entries[next(invalid, next(iter(self._entries)))]
        self._entries[tag] = info

    def clear(self) -> None:
        """ClearCache."""
        self._entries.clear()

    def to_memory(self) -> dict[str, Any] | None:
        """What to keep over a restart."""
        return {tag: msgspec.to_builtins(info) for tag, info in self._entries.items()} or None

    def from_memory(self, kept: Mapping[str, Any]) -> None:
        """Take what was kept."""
        self._entries = {tag: msgspec.convert(info, IdTagInfo) for tag, info in kept.items()}
