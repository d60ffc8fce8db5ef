"""What HTTP and FTP transfers share: the URL taken apart, the limits, what was received, and how transfers fail."""

from __future__ import annotations

import enum
import hashlib
from typing import Protocol
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

import msgspec

#: Schemes and their ports; 990 is that of FTP inside TLS from the first byte on.
PORTS = {"http": 80, "https": 443, "ftp": 21, "ftps": 990}


class TransferLimits(msgspec.Struct, frozen=True):
    """Bounds of one transfer; times are wall seconds, sizes bytes."""

    connect_timeout: float = 30.0
    """To open a connection, TLS included."""
    idle_timeout: float = 30.0
    """Without a single byte passing."""
    total_timeout: float = 3600.0
    """From the first connection to the last byte."""
    max_size: int = 1024 * 1024 * 1024
    """A larger file is not downloaded to its end."""


class Fault(enum.Enum):
    """What kind of failure it was, for those who report a kind."""

    #: The URL cannot be used by anyone.
    BAD_URL = "bad URL"
    #: The URL's scheme is none that the station has.
    UNSUPPORTED = "unsupported"
    #: The server refuses us or our credentials.
    DENIED = "denied"
    #: Everything else: no server, no such file, a broken line.
    FAILED = "failed"


class TransferFailed(Exception):
    """A transfer did not come to its end; ``str()`` is one line for a log, without credentials."""

    def __init__(self, message: str, fault: Fault = Fault.FAILED) -> None:
        super().__init__(message)
        self.fault = fault


class Received(msgspec.Struct, frozen=True):
    """A downloaded file: its size in bytes and the SHA-256 digest of its content."""

    size: int
    sha256: bytes


class Writes(Protocol):
    """Where a download is kept: an open binary file."""

    def write(self, data: bytes, /) -> object:
        """Take the next piece."""


class Sink:
    """Takes the pieces of a download: counts and hashes them, and keeps them if somebody wants them."""

    def __init__(self, into: Writes | None, max_size: int) -> None:
        self._into = into
        self._max_size = max_size
        self._hash = hashlib.sha256()
        self._size = 0

    def take(self, piece: bytes) -> None:
        """Take one piece. :raises TransferFailed: the file is too large, or cannot be kept."""
        self._size += len(piece)
        if self._size > self._max_size:
            raise TransferFailed(f"the file is larger than {self._max_size} bytes")
        self._hash.update(piece)
        if self._into is not None:
            try:
                self._into.write(piece)
            except OSError as error:
                raise TransferFailed(f"cannot keep the file: {(error.strerror or str(error)).lower()}") from error

    @property
    def received(self) -> Received:
        """What has come so far."""
        return Received(self._size, self._hash.digest())


class Target:
    """A URL taken apart. :raises TransferFailed: it cannot be used."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url.strip())
            self.port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise TransferFailed(f"the URL cannot be read: {error}", Fault.BAD_URL) from None
        self.scheme = parts.scheme
        if self.scheme not in PORTS:
            name = self.scheme or "none"
            raise TransferFailed(
                f"the URL's scheme is {name[:20]}, and not one of {', '.join(PORTS)}", Fault.UNSUPPORTED
            )
        if not parts.hostname:
            raise TransferFailed("the URL names no host", Fault.BAD_URL)
        self.host = parts.hostname
        self.user = unquote(parts.username) if parts.username is not None else None
        self.password = unquote(parts.password or "")
        self.path = parts.path
        self.query = parts.query
        self._parts = parts

    @property
    def url(self) -> str:
        """The URL without credentials."""
        return urlunsplit(self._bare(self.path, self.query))

    @property
    def shown(self) -> str:
        """The URL for a log: a query may hold a key (signed URLs do), so it is left out."""
        return urlunsplit(self._bare(self.path, ""))

    def of_file(self, name: str) -> str:
        """Where an upload of ``name`` goes.

        A location is a directory (OCPP 1.6 §5.9), to which the name is added; a URL with a query stays as it is,
        because it was made for one file (signed URLs of object stores are such).
        """
        if self.query:
            return self.url
        return urlunsplit(self._bare(f"{self.path.rstrip('/')}/{quote(name, safe='')}", ""))

    def _bare(self, path: str, query: str) -> SplitResult:
        host = f"[{self.host}]" if ":" in self.host else self.host
        netloc = host if self._parts.port is None else f"{host}:{self.port}"
        return SplitResult(self.scheme, netloc, path, query, "")
