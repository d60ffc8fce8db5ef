"""A performance record on its way into a store, and what a store is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

#: Bytes that a waiting record takes besides its texts.
_OVERHEAD = 400

_encode = msgspec.json.Encoder().encode


class Unusable(Exception):
    """A storage cannot be used as it is configured; the text is one line for the user."""


class Unavailable(Exception):
    """The store cannot be reached or written now; the text says why. What was to be written is not lost."""


class Refused(Exception):
    """The store takes some of the records never, whatever is tried; the text says why."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record. ``key`` is its own alone, so that writing it a second time can be told from writing another one.

    ``statistics`` is the JSON of ``statisticsData``; the instants are RFC 3339 texts in UTC.
    """

    key: str
    id: str
    name: str
    uri: str
    created_at: str
    updated_at: str | None
    statistics: bytes

    @classmethod
    def of(cls, key: str, record: Mapping[str, Any]) -> Record:
        """From a record of the statistics."""
        return cls(
            key=key,
            id=record["id"],
            name=record["name"],
            uri=record["uri"],
            created_at=record["createdAt"],
            updated_at=record.get("updatedAt"),
            statistics=_encode(record["statisticsData"]),
        )

    @property
    def size(self) -> int:
        """Bytes of memory that it takes, about."""
        return len(self.statistics) + len(self.uri) + len(self.name) + _OVERHEAD

    def document(self) -> dict[str, Any]:
        """With the member names of records, ``statisticsData`` as JSON (:class:`msgspec.Raw`)."""
        document: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "uri": self.uri,
            "createdAt": self.created_at,
        }
        if self.updated_at is not None:
            document["updatedAt"] = self.updated_at
        document["statisticsData"] = msgspec.Raw(self.statistics)
        return document


class Store(Protocol):
    """Where records go. All methods block, and are called by one thread at a time."""

    def load(self) -> None:
        """Get the driver ready, without reaching out. :raises Unusable: there is none."""
        ...

    def open(self) -> None:
        """Connect, and make what is missing. :raises Unavailable: not now."""
        ...

    def write(self, records: Sequence[Record]) -> None:
        """Store records, all or none; what an earlier attempt has stored of them is not stored again.

        :raises Unavailable: not now; the store is closed and opened before the next attempt.
        :raises Refused: some of them never.
        """
        ...

    def close(self) -> None:
        """Let go of everything, also after a failure. Raises nothing."""
        ...
