"""Where performance records are stored: is it a URI of that kind of storage, and is its driver here?"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import msgspec

from simulator.config.model import DEFAULT_PERFORMANCE_URI, PerformanceStorageConfig

#: The schemes of each type of storage, without a driver's name. The first is shown in examples.
SCHEMES: Mapping[str, tuple[str, ...]] = {
    "jsonfile": ("file",),
    "sqlite": ("sqlite", "file"),
    "postgresql": ("postgresql", "postgres"),
    "mariadb": ("mariadb", "mysql"),
    "mysql": ("mysql", "mariadb"),
    "mongodb": ("mongodb", "mongodb+srv"),
}
#: The drivers of a scheme, best first: as SQLAlchemy calls them, and the module to import.
DRIVERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "postgresql": (("psycopg", "psycopg"), ("pg8000", "pg8000"), ("psycopg2", "psycopg2")),
    "mysql": (("pymysql", "pymysql"), ("mysqldb", "MySQLdb"), ("mariadbconnector", "mariadb")),
    "mongodb": (("pymongo", "pymongo"),),
}
_SAME = {"postgres": "postgresql", "mariadb": "mysql", "mongodb+srv": "mongodb"}
#: What to install for a driver whose package has another name.
_PACKAGES = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "mysqldb": "mysqlclient",
    "mariadbconnector": "mariadb",
}
_FILE_NAMES = {"jsonfile": "performanceRecords.json", "sqlite": "performanceRecords.sqlite"}


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a storage: the key that says so, and the mend."""

    key: str
    message: str
    suggestion: str


def storage_problem(storage: PerformanceStorageConfig) -> Problem | None:
    """What is wrong with a storage that is switched on; None if nothing is."""
    if not storage.enabled or storage.type == "none":
        return None
    uri = storage.uri
    if any(character.isspace() for character in uri) and "://" in uri:
        return Problem("uri", "a URI cannot hold white space", "write %20 for a blank")
    if storage.type in _FILE_NAMES and (uri == DEFAULT_PERFORMANCE_URI or "://" not in uri):
        return None if uri else Problem("uri", "is empty", f"write {DEFAULT_PERFORMANCE_URI}")
    example = f"{SCHEMES.get(storage.type, ('oracle+oracledb',))[0]}://user:password@localhost/simulator"
    if uri in (DEFAULT_PERFORMANCE_URI, ""):
        return Problem("uri", f"is missing for the type {storage.type}", f"for example {example}")
    scheme, driver = _scheme(uri)
    if storage.type == "sql":
        wrong = "://" not in uri
        message, suggestion = "any SQLAlchemy URL begins with its dialect and ://", f"for example {example}"
    else:
        wanted = SCHEMES[storage.type]
        wrong = "://" not in uri or scheme not in wanted or (driver != "" and scheme == "file")
        message = f"a URI of {storage.type} does not begin with {wanted[0]}://"
        suggestion = f"write {wanted[0]}://…"
    if wrong:
        return Problem("uri", message, suggestion)
    return _network_problem(storage.type, uri, scheme) or _driver_problem(scheme, driver)


def _network_problem(kind: str, uri: str, scheme: str) -> Problem | None:
    if scheme in ("file", "sqlite") or kind == "sql":
        return None
    try:
        parts = urlsplit(uri)
        port = None if _SAME.get(scheme, scheme) == "mongodb" else parts.port
    except ValueError:
        mend = "in a password write %40 for @, %2F for /, %3A for :, %23 for # and %3F for ?"
        return Problem("uri", "host or port cannot be read", mend)
    if port == 0:
        return Problem("uri", "port 0 cannot be connected to", "take it out for the usual port")
    if kind in ("mysql", "mariadb") and not parts.path.strip("/"):
        return Problem("uri", "names no database", f"add one, for example …{parts.hostname or 'localhost'}/simulator")
    return None


def _driver_problem(scheme: str, driver: str) -> Problem | None:
    family = _SAME.get(scheme, scheme)
    if driver:
        module = dict(DRIVERS.get(family, ())).get(driver, "")
        if not module or find_spec(module) is not None:
            return None
        missing = f"the driver {driver} is not installed"
    elif family not in DRIVERS or best_driver(scheme) is not None:
        return None
    else:
        missing = f"no driver of {scheme} is installed"
    return Problem("uri", missing, install_hint(scheme, driver))


def best_driver(scheme: str) -> str | None:
    """The best driver of a scheme that is installed, as SQLAlchemy calls it; None if none is."""
    drivers = DRIVERS.get(_SAME.get(scheme, scheme), ())
    return next((name for name, module in drivers if find_spec(module) is not None), None)


def install_hint(scheme: str, driver: str = "") -> str:
    """What to type to get a driver, or the best driver of a scheme."""
    if not driver:
        driver = DRIVERS.get(_SAME.get(scheme, scheme), (("", ""),))[0][0]
    package = _PACKAGES.get(driver, driver) or f"the driver of {scheme}"
    return f'pip install "{package}"' if "[" in package else f"pip install {package}"


def _scheme(uri: str) -> tuple[str, str]:
    """The scheme and the driver that a URI names."""
    scheme = uri.partition("://")[0].lower()
    if scheme == "mongodb+srv":
        return scheme, ""
    name, _, driver = scheme.partition("+")
    return name, driver


def with_driver(uri: str) -> str:
    """A URI as SQLAlchemy takes it: with the best driver that is installed, where it names none."""
    scheme, driver = _scheme(uri)
    name = "postgresql" if scheme == "postgres" else scheme
    driver = driver or best_driver(scheme) or ""
    return f"{name}{'+' if driver else ''}{driver}://{uri.partition('://')[2]}"


def file_of(storage: PerformanceStorageConfig, directory: Path) -> Path:
    """The file of a storage that is one. A name alone, and a relative path, are in the data directory."""
    uri = storage.uri
    if uri == DEFAULT_PERFORMANCE_URI:
        return directory / _FILE_NAMES[storage.type]
    if uri.lower().startswith("sqlite"):
        # As SQLAlchemy has it: three slashes before a relative path, four before an absolute one.
        return directory / unquote(uri.partition("://")[2].partition("?")[0].removeprefix("/"))
    if not uri.lower().startswith("file:"):
        return directory / uri
    path = urlsplit(uri).path if "://" in uri else uri[len("file:") :]
    if len(PurePosixPath(path.lstrip("/")).parts) == 1:
        return directory / unquote(path.lstrip("/"))
    if os.name == "nt" and re.match("/[A-Za-z]:", path):
        path = path[1:]
    return directory / unquote(path)


def show_storage(storage: PerformanceStorageConfig, directory: Path) -> str:
    """Where a storage is, for people: its file, or its URI without user, password and options."""
    if storage.type in _FILE_NAMES:
        return str(file_of(storage, directory))
    uri = re.sub(r"[?#].*", "", storage.uri)
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() in ("file", "sqlite"):
        return uri
    # A password that should have been quoted may hold any of / ? #: whatever comes before the last @ is left out.
    place = storage.uri.partition("://")[2].rpartition("@")[2] if "@" in storage.uri else rest
    return f"{scheme}://{re.sub(r'[?#].*', '', place)}"
