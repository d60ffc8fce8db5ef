"""Lines that may carry TLS or plain text, and what an upgrade request showed."""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from simulator.transport.server import ServerConnection

#: The first byte of a TLS handshake (RFC 8446 §5.1, ContentType 22).
_HANDSHAKE = 0x16


class Upgrade(msgspec.Struct, frozen=True):
    """A connection as it was opened. ``certificate``: what the station showed, as ``getpeercert`` tells it."""

    station_id: str
    secure: bool
    authorization: str | None
    certificate: dict[str, Any] | None

    @property
    def common_name(self) -> str | None:
        """The CN of the station's certificate."""
        subject = (self.certificate or {}).get("subject", ())
        return next((value for part in subject for name, value in part if name == "commonName"), None)


def upgrade_of(station_id: str, connection: ServerConnection) -> Upgrade:
    """What a connection showed."""
    headers = dict(connection.headers)
    stream = getattr(getattr(connection, "stream", None), "stream", None)
    secure = isinstance(stream, trio.SSLStream)
    certificate = stream.getpeercert() if isinstance(stream, trio.SSLStream) else None
    return Upgrade(station_id, secure, headers.get("authorization"), certificate or None)


class Peeked(trio.abc.Stream):
    """A stream whose first bytes have been looked at already."""

    def __init__(self, stream: trio.abc.Stream, seen: bytes) -> None:
        self._stream = stream
        self._seen = seen

    @classmethod
    async def at(cls, stream: trio.abc.Stream) -> Peeked:
        """Wait for the first bytes."""
        return cls(stream, bytes(await stream.receive_some()))

    @property
    def begins_tls(self) -> bool:
        """Whether the peer has begun a TLS handshake."""
        return self._seen[:1] == bytes([_HANDSHAKE])

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._seen:
            await trio.lowlevel.checkpoint()
            seen, self._seen = self._seen[:max_bytes], self._seen[max_bytes:] if max_bytes else b""
            return seen
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
