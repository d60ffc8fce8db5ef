"""A stream that passes everything through and remembers what went by and how it broke."""

from __future__ import annotations

import ssl
from typing import Final

import trio

#: A break that is none: the end of the stream.
ENDED: Final = "the peer closed the TCP connection"


def describe(error: BaseException) -> str:
    """Why a stream broke, in the words of the layer that knows: TLS, then the operating system, then trio."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"certificate verify failed: {found.verify_message}"
        if isinstance(found, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return ENDED
        if isinstance(found, ssl.SSLError):
            return (found.reason or str(found)).replace("_", " ").lower()
        if isinstance(found, OSError) and (found.errno or found.__cause__ is None):
            return (found.strerror or str(found)).lower()
        if isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
            continue
        found = found.__cause__ or found.__context__
    return str(error) or type(error).__name__


class Tap(trio.abc.Stream):
    """Counts the bytes of both directions and keeps the cause of a break, which trio's own exceptions bury."""

    __slots__ = ("broken_by", "bytes_in", "bytes_out", "stream")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.bytes_in = 0
        self.bytes_out = 0
        self.broken_by: BaseException | None = None

    @property
    def fault(self) -> str:
        """What ended the stream: the error, or that the peer closed it."""
        return ENDED if self.broken_by is None else describe(self.broken_by)

    @property
    def tls_fault(self) -> bool:
        """Whether the break is TLS's doing, such as the alert of a peer that wants another certificate."""
        return self.broken_by is not None and isinstance(self.broken_by.__cause__, ssl.SSLError)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Pass on; the count and the cause of a break are kept."""
        try:
            data = bytes(await self.stream.receive_some(max_bytes))
        except trio.BrokenResourceError as error:
            self.broken_by = self.broken_by or error
            raise
        self.bytes_in += len(data)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Pass on; the count and the cause of a break are kept."""
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError as error:
            self.broken_by = self.broken_by or error
            raise
        self.bytes_out += len(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Pass on."""
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream underneath."""
        await self.stream.aclose()
