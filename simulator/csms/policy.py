"""What the central system decides: who may register, and whose tag is good. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from simulator.timestamps import parse_timestamp


class BootPolicy(msgspec.Struct, frozen=True):
    """The answer to BootNotification: ``Accepted``, ``Pending`` or ``Rejected``, and an interval in seconds."""

    status: str = "Accepted"
    interval: int = 300


class TagEntry(msgspec.Struct, frozen=True):
    """What is known of an idTag. ``expiry_date`` is an RFC 3339 instant; from then on the tag is ``Expired``."""

    status: str = "Accepted"
    parent_id_tag: str | None = None
    expiry_date: str | None = None

    def id_tag_info(self, now: float) -> dict[str, str]:
        """The ``idTagInfo`` of an answer at POSIX second ``now``."""
        status = self.status
        if self.expiry_date is not None and status == "Accepted" and parse_timestamp(self.expiry_date)[0] <= now:
            status = "Expired"
        info = {"status": status}
        if self.parent_id_tag is not None:
            info["parentIdTag"] = self.parent_id_tag
        if self.expiry_date is not None:
            info["expiryDate"] = self.expiry_date
        return info


class TagTable:
    """Entries by idTag, compared without case as CiString asks (OCPP 1.6 §7.1), and one for every other tag."""

    __slots__ = ("_entries", "others")

    def __init__(self, entries: Mapping[str, TagEntry] | None = None, *, others: TagEntry | None = None) -> None:
        self._entries: dict[str, TagEntry] = {}
        self.others = TagEntry() if others is None else others
        for tag, entry in (entries or {}).items():
            self[tag] = entry

    def __setitem__(self, id_tag: str, entry: TagEntry) -> None:
        self._entries[id_tag.casefold()] = entry

    def __delitem__(self, id_tag: str) -> None:
        del self._entries[id_tag.casefold()]

    def __getitem__(self, id_tag: str) -> TagEntry:
        """The tag's entry, or the one of all others."""
        return self._entries.get(id_tag.casefold(), self.others)
