"""What a station sees of its connection, and how connections end.

No network here: the protocol, the limits and the exceptions that every transport shares.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from http import HTTPStatus
from typing import NoReturn, Protocol, runtime_checkable

import msgspec

# Close codes of RFC 6455 §7.4.1 that the transports use themselves.
NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
NO_STATUS = 1005
ABNORMAL = 1006
INVALID_DATA = 1007
TOO_BIG = 1009
INTERNAL_ERROR = 1011


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one connection; times are wall seconds, sizes bytes."""

    send_buffer: int = 4 * 1024 * 1024
    """What may wait for a peer that reads slowly. A connection with more than this waiting ends at the next post."""
    send_timeout: float = 10.0
    """A peer that takes nothing at all for this long ends the connection."""
    receive_buffer: int = 4 * 1024 * 1024
    """Received messages that nobody has fetched yet. Above it nothing more is read from the network."""
    close_timeout: float = 5.0
    """From the decision to close to the end: flush, close frame, the peer's close frame."""


class ConnectionClosed(Exception):
    """The connection has ended.

    ``code`` and ``reason`` are the peer's when it closed first, ours when we did. 1005: the peer gave no code;
    1006: no close frame came, and ``reason`` says in our words what happened.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"connection closed ({self.code})" + (f": {self.reason}" if self.reason else "")


class OpenFailed(Exception):
    """No connection came about. ``str()`` is one line for a log.

    ``stage`` is how far it got: ``url``, ``resolve``, ``connect``, ``tls``, ``upgrade`` or ``subprotocol``;
    ``status`` the HTTP status of the answer to the upgrade, if there was one that was not 101.
    """

    def __init__(self, stage: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.stage = stage
        self.message = message
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether a central system is there and does not want us as we are: trying again soon is of no use."""
        return False


class OpenTimeout(OpenFailed):
    """The peer was too slow; ``stage`` tells where."""


class TlsFault(enum.Enum):
    """What a TLS handshake failed for."""

    #: The peer's certificate: its chain, its validity, its name.
    PEER_CERTIFICATE = "certificate of the central system"
    #: The peer does not take our certificate, or misses one.
    OWN_CERTIFICATE = "certificate of the station"
    #: No TLS version in common.
    VERSION = "TLS version"
    #: No cipher suite in common, or one that is too weak.
    CIPHER = "cipher suite"
    OTHER = "other"


class TlsFailed(OpenFailed):
    """The TLS handshake failed, here or at the peer, or the TLS options cannot be used."""

    def __init__(self, message: str, fault: TlsFault = TlsFault.OTHER) -> None:
        super().__init__("tls", message)
        self.fault = fault


class HandshakeRejected(OpenFailed):
    """The peer answered the upgrade with an HTTP status of its own."""

    def __init__(self, message: str, *, status: int, body: bytes = b"") -> None:
        super().__init__("upgrade", message, status=status)
        self.body = body

    @property
    def refused(self) -> bool:
        """True for client errors (401, 403, 404, …) except those that pass by themselves (408, 425, 429)."""
        return self.status is not None and 400 <= self.status < 500 and self.status not in (408, 425, 429)


class SubprotocolRefused(OpenFailed):
    """The peer chose none of the subprotocols we offered (OCPP-J 1.6 §3.1.2), or one we did not offer."""

    def __init__(self, message: str) -> None:
        super().__init__("subprotocol", message)

    @property
    def refused(self) -> bool:
        """Always: the peer does not speak our version."""
        return True


def status_line(status: int) -> str:
    """``401 Unauthorized``; the bare number where HTTP knows no phrase."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


@runtime_checkable
class Connection(Protocol):
    """An open WebSocket connection, whatever carries it.

    One task receives, any task of the same trio run may post.
    """

    subprotocol: str
    #: DER of the certificate authority that the peer's chain led to; empty without TLS or without a check.
    trust_anchor: bytes

    def post(self, text: str | bytes) -> None:
        """Queue one text message; never waits. Bytes are a text in UTF-8.

        A peer that takes nothing for ``Limits.send_timeout``, or lets more than ``Limits.send_buffer`` pile up, ends
        the connection with code 1006 and "peer does not read".

        :raises ConnectionClosed: once the connection is closed or closing.
        """

    async def receive(self) -> str | bytes:
        """Wait for the next message; text as str, binary as bytes. On cancel no message is lost.

        :raises ConnectionClosed: after the last message that came before a close by the peer; at once after a close
            by us.
        """

    async def receive_each(self, take: Callable[[str | bytes], object]) -> NoReturn:
        """Give every message to ``take``, in order, until the connection ends.

        The cheap way to receive: on a hub, messages are handed over where they are read, and no task wakes for them.
        ``take`` must not block. It may post, close the connection and start tasks; it may run in another task than
        the caller's. What it raises comes out here, and the messages after that one can still be received.

        :raises ConnectionClosed: as :meth:`receive`. On cancel no message is lost.
        """

    async def ping(self, timeout: float) -> float:
        """Send a ping and wait for its pong; returns the wall seconds between the two.

        Without a pong in ``timeout`` wall seconds the connection is dead: it is ended. On cancel it stays open.

        :raises ConnectionClosed: when the connection ends before the pong, also for want of one (code 1006).
        """

    async def aclose(self, code: int = NORMAL, reason: str = "") -> None:
        """Send what is queued and a close frame, and wait for the peer's, at most ``Limits.close_timeout``.

        Closing what is closed does nothing. On cancel the closing goes on in the background.
        """

    async def finish(self) -> None:
        """Close with 1000 if still open, and wait for the end, shielded: at most ``Limits.close_timeout``."""
