"""The database servers of a session. What cannot be had is skipped with the reason, unless it is required.

``DATABASES_REQUIRED`` names the kinds that must be there, for example ``postgresql,mariadb``; ``DATABASES_CACHE`` is a
folder in which what is built for the tests is kept.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.databases.servers import KINDS, FerretDb, NotHere, Server, start_build

#: Wall seconds for Go, which compiles a database with all that it needs.
BUILD_WITHIN = 180.0

#: What the tests themselves read the databases with.
DRIVERS = {"postgresql": "psycopg", "mariadb": "pymysql", "mongodb": "pymongo"}

Building = Callable[[], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """FerretDB takes a while to build: its tests come last."""
    items.sort(key=lambda item: "[mongodb" in item.name)


@pytest.fixture(scope="session", autouse=True)
def building() -> Iterator[Building]:
    """FerretDB is built while the tests with the other servers run. Gives what waits for the end of it."""
    with tempfile.TemporaryDirectory(prefix="simulator-build-") as temporary:
        cache = Path(os.environ.get("DATABASES_CACHE") or temporary)
        try:
            process, built = start_build(cache)
        except NotHere as error:
            reason = str(error)

            def fail() -> Path:
                raise NotHere(reason)

            yield fail
            return

        def wait() -> Path:
            try:
                failed = process.wait(BUILD_WITHIN)
            except subprocess.TimeoutExpired:
                raise NotHere(f"go build takes longer than {BUILD_WITHIN:g} s") from None
            if failed:
                raise NotHere(f"go build failed: {(cache / 'build.log').read_text().strip()[-500:]}")
            return built

        yield wait
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def servers(building: Building) -> Iterator[Callable[[str], Server]]:
    """Starts each kind of server once. What it takes to have it is told where it cannot be had."""
    running: dict[str, Server] = {}
    required = [kind for kind in os.environ.get("DATABASES_REQUIRED", "").split(",") if kind]
    missing: dict[str, str] = {}

    def start(kind: str) -> Server:
        if kind not in running and kind not in missing:
            try:
                if find_spec(DRIVERS[kind]) is None:
                    raise NotHere(f"the Python package {DRIVERS[kind]} is not installed")
                running[kind] = FerretDb(building()) if kind == "mongodb" else KINDS[kind]()
            except NotHere as error:
                missing[kind] = str(error)
        if kind in missing:
            reason = f"no server of {kind} on this machine: {missing[kind]}"
            if kind in required:
                pytest.fail(reason)
            pytest.skip(reason)
        return running[kind]

    yield start
    for server in running.values():
        server.discard()


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Callable[[str], Server]) -> Server:
    """The server of a kind, without records."""
    found = servers(request.param)
    found.clear()
    return found
