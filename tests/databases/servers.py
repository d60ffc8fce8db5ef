"""Database servers of their own for tests: real ones, in a temporary folder, on a free port of the loopback interface.

They come from Debian's packages `postgresql` and `mariadb-server` or from the PATH, and FerretDB, which speaks the
protocol of MongoDB, is built with Go. A server refuses to run as root: then it runs as the user of its package.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from simulator.timestamps import format_timestamp

PASSWORD = "hunter2-and-more"
#: Wall seconds for a server to start, or to stop, on a busy machine.
PATIENCE = 60.0


class NotHere(Exception):
    """The server cannot be had on this machine; the text says why."""


def program(name: str, *folders: str) -> str:
    """The path of a program of a server. :raises NotHere: it is not installed."""
    found = shutil.which(name)
    for pattern in folders:
        # Packages of several versions: the newest.
        candidates = sorted(Path("/").glob(f"{pattern.lstrip('/')}/{name}"))
        found = str(candidates[-1]) if candidates else found
    if found is None:
        raise NotHere(f"{name} is not installed")
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A server that can be started, stopped and started again with what it has stored.

    :param user: who it runs as if this process is root's.
    """

    kind = ""

    def __init__(self, user: str) -> None:
        self._as: dict[str, Any] = {}
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            self._as = {"user": _known_user(user, "nobody"), "group": _known_group(user), "extra_groups": []}
        self.port = free_port()
        # Where root's own temporary folders are, nobody else may look.
        self.folder = Path(tempfile.mkdtemp(prefix=f"simulator-{self.kind}-", dir="/tmp" if self._as else None))
        self._as["env"] = {**os.environ, "TMPDIR": str(self.folder)}
        self._log = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._give(self.folder)

    def _give(self, path: Path) -> None:
        """Make it the server's own."""
        if "user" in self._as:
            shutil.chown(path, self._as["user"], self._as["group"])

    # -- what each kind says -----------------------------------------------------------------------------------------

    def command(self) -> Sequence[str]:
        """The command that serves until a signal."""
        raise NotImplementedError

    def ping(self) -> None:
        """Reach the server with its own driver. Raises whatever the driver raises while it cannot be."""
        raise NotImplementedError

    def uri(self, scheme: str = "") -> str:
        """The URI of its database, with user and password."""
        raise NotImplementedError

    def records(self) -> list[dict[str, Any]]:
        """What it holds: the documents of records by key, instants as RFC 3339."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget all records."""
        raise NotImplementedError

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self._as
            )
        self._until(self.ping)

    def stop(self) -> None:
        """Stop it, and wait for its end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT if self.kind == "postgresql" else signal.SIGTERM)
            self._process.wait(PATIENCE)
            self._process = None

    def discard(self) -> None:
        """End it, and delete what it stored."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str) -> None:
        """Run a command of the server's to its end, as its user."""
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, timeout=PATIENCE, **self._as)
        if done.returncode:
            raise AssertionError(f"{command[0]} failed: {done.stdout}{done.stderr}")

    def _until(self, met: Callable[[], None]) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return met()
            except Exception as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{self.kind} does not start ({error}): {self._log.read_text()}") from error
            time.sleep(0.1)


class PostgreSql(Server):
    """PostgreSQL."""

    kind = "postgresql"

    def __init__(self) -> None:
        initdb = program("initdb", "/usr/lib/postgresql/*/bin")
        self._postgres = program("postgres", "/usr/lib/postgresql/*/bin")
        super().__init__("postgres")
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        options = ("-U", "simulator", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-sync")
        self.run(initdb, "-D", str(self.folder / "data"), "--locale=C", *options)
        self.start()
        with self._connect("postgres") as connection:
            connection.autocommit = True
            connection.execute("CREATE DATABASE simulator")

    def command(self) -> Sequence[str]:
        """Without a socket in the file system."""
        listen = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off")
        return (self._postgres, "-D", str(self.folder / "data"), "-p", str(self.port), *listen)

    def _connect(self, database: str) -> Any:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="simulator", password=PASSWORD, dbname=database, connect_timeout=5
        )

    def ping(self) -> None:
        """Connect."""
        self._connect("postgres").close()

    def uri(self, scheme: str = "") -> str:
        """``scheme``: with a driver."""
        return f"{scheme or self.kind}://simulator:{PASSWORD}@127.0.0.1:{self.port}/simulator"

    def records(self) -> list[dict[str, Any]]:
        """By psycopg."""
        columns = 'record, id, name, uri, "createdAt", "updatedAt", "statisticsData"'
        with self._connect("simulator") as connection:
            rows = connection.execute(f"SELECT {columns} FROM performance_records ORDER BY record").fetchall()
        return [_document(*row) for row in rows]

    def clear(self) -> None:
        """Drop the table."""
        with self._connect("simulator") as connection:
            connection.execute("DROP TABLE IF EXISTS performance_records")


class MariaDb(Server):
    """MariaDB."""

    kind = "mariadb"

    def __init__(self) -> None:
        install = program("mariadb-install-db")
        self._mariadbd = program("mariadbd", "/usr/sbin")
        super().__init__("mysql")
        options = ("--auth-root-authentication-method=normal", "--skip-test-db")
        self.run(install, "--no-defaults", f"--datadir={self.folder / 'data'}", *options)
        statements = (
            "CREATE DATABASE IF NOT EXISTS simulator",
            f"CREATE USER IF NOT EXISTS simulator@localhost IDENTIFIED BY '{PASSWORD}'",
            "GRANT ALL ON simulator.* TO simulator@localhost",
        )
        begin = self.folder / "begin.sql"
        begin.write_text(";\n".join(statements) + ";\n")
        begin.chmod(0o644)
        self.start()

    def command(self) -> Sequence[str]:
        """With a user of its own, and a socket in its folder."""
        where = (f"--datadir={self.folder / 'data'}", f"--socket={self.folder / 'socket'}")
        return (
            *(self._mariadbd, "--no-defaults", *where, f"--init-file={self.folder / 'begin.sql'}"),
            *("--bind-address=127.0.0.1", f"--port={self.port}", "--innodb-flush-log-at-trx-commit=0"),
        )

    def _connect(self) -> Any:
        import pymysql

        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="simulator",
            password=PASSWORD,
            database="simulator",
            connect_timeout=5,
        )

    def ping(self) -> None:
        """Connect."""
        self._connect().close()

    def uri(self, scheme: str = "") -> str:
        """``scheme``: with a driver."""
        return f"{scheme or self.kind}://simulator:{PASSWORD}@127.0.0.1:{self.port}/simulator"

    def records(self) -> list[dict[str, Any]]:
        """By PyMySQL."""
        columns = "record, id, name, uri, createdAt, updatedAt, statisticsData"
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM performance_records ORDER BY record")
            return [_document(*row[:-1], msgspec.json.decode(row[-1])) for row in cursor.fetchall()]

    def clear(self) -> None:
        """Drop the table."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS performance_records")


class FerretDb(Server):
    """FerretDB, which speaks the protocol of MongoDB. It asks nobody for a password."""

    kind = "mongodb"

    def __init__(self, built: Path) -> None:
        super().__init__("nobody")
        self._built = shutil.copy(built, self.folder / built.name)
        (self.folder / "data").mkdir()
        self._give(self.folder / "data")
        self.start()

    def command(self) -> Sequence[str]:
        """The program that was built."""
        return (str(self._built), f"127.0.0.1:{self.port}", str(self.folder / "data"))

    def _collection(self) -> Any:
        from pymongo import MongoClient

        client: Any = MongoClient(self.uri(), serverSelectionTimeoutMS=5000, tz_aware=True)
        return client, client.get_default_database()["performance_records"]

    def ping(self) -> None:
        """Ask for nothing."""
        client, _ = self._collection()
        with client:
            client.admin.command("ping")

    def uri(self, scheme: str = "") -> str:
        """Without user and password."""
        return f"mongodb://127.0.0.1:{self.port}/simulator"

    def records(self) -> list[dict[str, Any]]:
        """By PyMongo."""
        client, collection = self._collection()
        with client:
            found = list(collection.find().sort("_id"))
        members = ("_id", "id", "name", "uri", "createdAt", "updatedAt", "statisticsData")
        return [_document(*(document[member] for member in members)) for document in found]

    def clear(self) -> None:
        """Drop the collection."""
        client, collection = self._collection()
        with client:
            collection.drop()


def start_build(cache: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """Begin to build FerretDB in ``cache``, beside other things. :raises NotHere: there is no Go."""
    go = program("go", "/usr/local/go/bin", "/usr/lib/go-1.2*/bin")
    cache.mkdir(parents=True, exist_ok=True)
    built = cache / f"ferretdb{'.exe' if sys.platform == 'win32' else ''}"
    source = Path(__file__).parent / "ferretdb"
    environ = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
    with (cache / "build.log").open("wb") as log:
        command = [go, "build", "-C", str(source), "-o", str(built), "."]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ), built


def _document(key: str, *values: Any) -> dict[str, Any]:
    """A row as the document that it was."""
    document = dict(zip(("id", "name", "uri", "createdAt", "updatedAt", "statisticsData"), values, strict=True))
    for member in ("createdAt", "updatedAt"):
        moment: datetime = document[member]
        document[member] = format_timestamp((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return {"_key": key, **document}


def _known_user(*names: str) -> str:
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in names if name in known)


def _known_group(user: str) -> int:
    import pwd

    return pwd.getpwnam(_known_user(user, "nobody")).pw_gid


KINDS: Mapping[str, Callable[[], Server]] = {"postgresql": PostgreSql, "mariadb": MariaDb}
