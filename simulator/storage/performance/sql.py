"""Performance records in an SQL database, by SQLAlchemy: the table ``performance_records``, one row per record."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from simulator.config.model import PerformanceStorageConfig
from simulator.config.storage_uris import file_of, install_hint, with_driver
from simulator.storage.performance.files import file_trouble
from simulator.storage.performance.records import Record, Refused, Unavailable, Unusable

TABLE = "performance_records"

#: Wall seconds that the drivers wait for a connection, and for an answer.
CONNECT_WITHIN = 5
ANSWER_WITHIN = 15

#: How each driver is told so.
_PATIENCE: Mapping[str, Mapping[str, Any]] = {
    "psycopg": {"connect_timeout": CONNECT_WITHIN, "tcp_user_timeout": ANSWER_WITHIN * 1000},
    "psycopg2": {"connect_timeout": CONNECT_WITHIN, "tcp_user_timeout": ANSWER_WITHIN * 1000},
    "pg8000": {"timeout": ANSWER_WITHIN},
    "pymysql": {
        "connect_timeout": CONNECT_WITHIN,
        "read_timeout": ANSWER_WITHIN,
        "write_timeout": ANSWER_WITHIN,
    },
    "pysqlite": {"timeout": CONNECT_WITHIN},
}
#: The name of an option; what else stands there may be the rest of a password.
_NAME = re.compile("[A-Za-z_]{1,40}")

#: Dialects that have a type for JSON; elsewhere it is kept as text.
_WITH_JSON = ("postgresql", "mysql", "mariadb", "sqlite")


class SqlStore:
    """A database that SQLAlchemy has a dialect for.

    :param directory: where SQLite files with relative paths are.
    """

    def __init__(self, storage: PerformanceStorageConfig, directory: Path) -> None:
        self._storage = storage
        self._file = file_of(storage, directory) if storage.type == "sqlite" else None
        self._engine: Any = None
        self._connection: Any = None
        self._table: Any = None
        #: Whether an earlier attempt may have stored some of what comes next.
        self._uncertain = False

    def load(self) -> None:
        """Import SQLAlchemy and the driver.

        :raises Unusable: one is missing, the URI is none or has an option that the driver does not know, or the file of
            SQLite can never be written.
        """
        if self._file is not None and (trouble := file_trouble(self._file)) is not None:
            raise Unusable(trouble)
        try:
            from sqlalchemy import create_engine, make_url
            from sqlalchemy.exc import ArgumentError
        except ImportError:
            raise Unusable("SQLAlchemy is not installed: pip install sqlalchemy") from None
        uri = with_driver(self._storage.uri) if self._file is None else f"sqlite:///{self._file}"
        scheme = uri.partition("+")[0].partition(":")[0]
        try:
            url = make_url(uri)
            arguments = _PATIENCE.get(url.get_driver_name(), {})
            self._engine = create_engine(
                url,
                connect_args={name: value for name, value in arguments.items() if name not in url.query},
                hide_parameters=True,
                json_serializer=_as_it_is,
            )
        except ImportError as error:
            raise Unusable(f"the driver of {scheme} cannot be loaded ({error}): {install_hint(scheme)}") from None
        except ArgumentError as error:
            reason = str(error).partition("\n")[0]
            raise Unusable(f"no URL of a database that SQLAlchemy knows ({reason})") from None
        except Exception as error:
            # Whatever a driver thinks of the options in the URL; the reason may repeat them.
            raise Unusable(f"the URL of the database cannot be used ({type(error).__name__})") from None
        if (wrong := _unknown_option(self._engine)) is not None:
            shown = f'the option "{wrong}"' if _NAME.fullmatch(wrong) else "an option"
            raise Unusable(f"{shown} behind the ? is unknown to the driver {url.get_driver_name()}: take it out")

    def open(self) -> None:
        """Connect, and make the table if need be."""
        with self._failures():
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._engine.connect()
            if self._file is not None:
                self._connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                self._connection.commit()
            self._table = _table(self._engine.dialect.name)
            self._table.metadata.create_all(self._connection)
            self._connection.commit()

    def write(self, records: Sequence[Record]) -> None:
        """Insert records in one transaction."""
        rows = [self._row(record) for record in records]
        uncertain, self._uncertain = self._uncertain, True
        with self._failures(), self._connection.begin():
            if uncertain:
                rows = self._without_stored(rows)
            if rows:
                self._connection.execute(self._table.insert(), rows)
        self._uncertain = False

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        for closing in (connection, self._engine):
            with contextlib.suppress(Exception):
                if closing is self._engine:
                    closing.dispose()
                elif closing is not None:
                    closing.close()

    def _row(self, record: Record) -> dict[str, Any]:
        return {
            "record": record.key,
            "id": record.id,
            "name": record.name,
            "uri": record.uri,
            "createdAt": datetime.fromisoformat(record.created_at).replace(tzinfo=None),
            "updatedAt": record.updated_at and datetime.fromisoformat(record.updated_at).replace(tzinfo=None),
            "statisticsData": record.statistics.decode(),
        }

    def _without_stored(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        from sqlalchemy import select

        column = self._table.c.record
        found = self._connection.execute(select(column).where(column.in_([row["record"] for row in rows])))
        stored = {key for (key,) in found}
        return [row for row in rows if row["record"] not in stored]

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Tell what the database never takes from what it does not take now."""
        from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError

        try:
            yield
        except DataError as error:
            raise Refused(_reason(error.orig)) from None
        except DBAPIError as error:
            raise Unavailable(_reason(error.orig)) from None
        except (SQLAlchemyError, OSError) as error:
            raise Unavailable(_reason(error)) from None


def _unknown_option(engine: Any) -> str | None:
    """The first option of the URL that the driver would not take; None if all are fine, or nobody can tell."""
    dialect = engine.dialect
    try:
        parameters = inspect.signature(dialect.loaded_dbapi.connect).parameters
        _, options = dialect.create_connect_args(engine.url)
    except (TypeError, ValueError):
        return None
    known = set(parameters)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        if engine.url.get_driver_name() != "psycopg":
            return None
        from psycopg import pq

        known |= {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    return next((name for name in options if name not in known), None)


def _table(dialect: str) -> Any:
    """The table, for a dialect. The instants are in UTC."""
    from sqlalchemy import JSON, Column, DateTime, MetaData, String, Table, Text
    from sqlalchemy.dialects.mysql import DATETIME
    from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

    instant = (
        DateTime().with_variant(DATETIME(fsp=3), "mysql", "mariadb").with_variant(TIMESTAMP(precision=3), "postgresql")
    )
    data: Any = JSON().with_variant(JSONB(), "postgresql") if dialect in _WITH_JSON else Text()
    return Table(
        TABLE,
        MetaData(),
        Column("record", String(64), primary_key=True),
        Column("id", String(128), nullable=False, index=True),
        Column("name", String(255), nullable=False),
        Column("uri", Text, nullable=False),
        Column("createdAt", instant, nullable=False),
        Column("updatedAt", instant, index=True),
        Column("statisticsData", data, nullable=False),
    )


def _as_it_is(text: str) -> str:
    """What is to be stored as JSON is JSON already."""
    return text


def _reason(error: BaseException | None) -> str:
    """The first line of what a driver says; some say it as (number, text) or as a mapping."""
    arguments: Sequence[Any] = getattr(error, "args", ())
    if arguments and isinstance(arguments[0], Mapping):
        text = str(arguments[0].get("M", arguments[0]))
    elif len(arguments) == 2 and isinstance(arguments[1], str):
        text = arguments[1]
    else:
        text = str(error)
    return text.strip().partition("\n")[0] or type(error).__name__
