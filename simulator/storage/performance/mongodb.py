"""Performance records in MongoDB or what speaks its protocol: the collection ``performance_records``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from simulator.config.storage_uris import install_hint
from simulator.storage.performance.records import Record, Refused, Unavailable, Unusable

COLLECTION = "performance_records"
#: The database where the URI names none.
DATABASE = "simulator"

#: Wall milliseconds to find a server, to connect, and to wait for an answer.
_PATIENCE = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 5000, "socketTimeoutMS": 15_000}

#: A document of that ``_id`` is there already.
_DUPLICATE = 11000


class MongoStore:
    """A MongoDB server, or one that speaks its protocol."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client: Any = None
        self._collection: Any = None

    def load(self) -> None:
        """Import the driver. :raises Unusable: it is missing, or the URI is none."""
        try:
            from pymongo.errors import ConfigurationError, InvalidURI
            from pymongo.uri_parser import parse_uri
        except ImportError:
            raise Unusable(f"no driver of mongodb is installed: {install_hint('mongodb')}") from None
        if self._uri.startswith("mongodb+srv"):  # reading it asks the name server
            return
        try:
            parse_uri(self._uri)
        except (InvalidURI, ConfigurationError, ValueError) as error:
            # The reason may repeat what is wrong, a password for example.
            raise Unusable(f"no URI of a MongoDB server ({type(error).__name__})") from None

    def open(self) -> None:
        """Connect."""
        from pymongo import MongoClient
        from pymongo.errors import PyMongoError

        try:
            self._client = MongoClient(self._uri, appname="ocpp-fleet-simulator", **_PATIENCE)
            self._client.admin.command("ping")
            self._collection = self._client.get_default_database(DATABASE)[COLLECTION]
        except (PyMongoError, OSError) as error:
            raise Unavailable(_reason(error)) from None

    def write(self, records: Sequence[Record]) -> None:
        """Insert records; those that an earlier attempt has inserted are told by their ``_id``."""
        from bson.errors import BSONError
        from pymongo.errors import BulkWriteError, PyMongoError

        try:
            self._collection.insert_many([_document(record) for record in records], ordered=False)
        except BulkWriteError as error:
            failures = [each for each in error.details["writeErrors"] if each.get("code") != _DUPLICATE]
            if failures:
                raise Refused(str(failures[0].get("errmsg", ""))) from None
            if error.details.get("writeConcernErrors"):
                raise Unavailable("the write concern was not met") from None
        except PyMongoError as error:
            raise Unavailable(_reason(error)) from None
        except (BSONError, OverflowError) as error:
            raise Refused(_reason(error)) from None

    def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.close()


def _document(record: Record) -> dict[str, Any]:
    document = {"_id": record.key, **record.document(), "createdAt": datetime.fromisoformat(record.created_at)}
    if record.updated_at is not None:
        document["updatedAt"] = datetime.fromisoformat(record.updated_at)
    document["statisticsData"] = msgspec.json.decode(record.statistics)
    return document


def _reason(error: BaseException) -> str:
    # The topology that follows is long.
    return str(error).partition(", Timeout:")[0].partition("\n")[0] or type(error).__name__
