"""The opening handshake of a client, without a WebSocket library under it (RFC 6455 §4.1).

It costs a tenth of the general one, and thousands of stations open at once. Only the good case is done by hand; an
answer other than 101 is h11's to read.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import trio

if TYPE_CHECKING:
    import h11

#: As much of an answer's head as h11 takes.
HEAD_LIMIT = 16 * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*")


Headers = Sequence[tuple[bytes, bytes]]

#: So much of the body of an HTTP refusal is kept for the log.
REFUSAL_BODY = 4 * 1024


class UpgradeRequest(msgspec.Struct, frozen=True, gc=False):
    """What a client asks for: the opening handshake's request (RFC 6455 §4.1) without the headers that all have."""

    host: str
    target: str
    subprotocols: Sequence[str]
    extra_headers: Headers
    #: Whether compression is offered (RFC 7692).
    deflate: bool = False


class Refusal:
    """An HTTP answer other than 101 to our upgrade."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self.body = b""


class NoHandshake(Exception):
    """The peer's answer is none to an opening handshake."""


class EndOfStream(Exception):
    """The peer ended TCP before its answer was complete."""


class ForeignSubprotocol(Exception):
    """The peer chose a subprotocol that was not offered; the text is its name."""


class Opening:
    """One opening handshake, without input or output: send :attr:`request`, then feed what comes."""

    __slots__ = ("_buffer", "_h11", "_key", "_offered", "body", "headers", "request", "rest", "status", "subprotocol")

    def __init__(self, request: UpgradeRequest) -> None:
        self._key = base64.b64encode(os.urandom(16))
        self._offered = request.subprotocols
        #: The bytes to send.
        self.request = _request_bytes(request, self._key)
        self._buffer = b""
        self._h11: h11.Connection | None = None
        #: The subprotocol that the peer chose; empty for none.
        self.subprotocol = ""
        #: What came after the answer.
        self.rest = b""
        #: The status, headers and body of an answer other than 101.
        self.status = 0
        self.headers: Headers = ()
        self.body = b""

    def feed(self, data: bytes) -> bool:
        """Take bytes, or their end as ``b""``; returns whether the answer is complete: 101, or the head of another one.

        :raises NoHandshake, EndOfStream, ForeignSubprotocol: instead of an answer.
        """
        self._buffer += data
        start = b"HTTP/1."
        if self._buffer[: len(start)] != start[: len(self._buffer)]:
            raise NoHandshake("the answer is not HTTP")
        while True:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                if not data:
                    raise EndOfStream
                if len(self._buffer) > HEAD_LIMIT:
                    raise NoHandshake(f"the head of the answer is longer than {HEAD_LIMIT} bytes")
                return False
            line, *fields = head.split(b"\r\n")
            matched = _STATUS_LINE.fullmatch(line)
            if matched is None:
                raise NoHandshake("the answer is not HTTP")
            status = int(matched[1])
            if status == 101:
                self._accepted(fields)
                self.rest = rest
                return True
            if not 100 <= status < 200:
                self.status = status
                return True
            # An interim answer (RFC 9110 §15.2): the real one follows.
            self._buffer = rest

    def _accepted(self, fields: Sequence[bytes]) -> None:
        headers: dict[bytes, bytes] = {}
        for field in fields:
            matched = _HEADER.fullmatch(field)
            if matched is None:
                raise NoHandshake("a header of the answer is not readable")
            name = matched[1].lower()
            headers[name] = headers[name] + b", " + matched[2] if name in headers else matched[2]
        if headers.get(b"upgrade", b"").lower() != b"websocket":
            raise NoHandshake("the answer lacks the header Upgrade: websocket")
        if b"upgrade" not in [token.strip() for token in headers.get(b"connection", b"").lower().split(b",")]:
            raise NoHandshake("the answer lacks the header Connection: Upgrade")
        token = base64.b64encode(hashlib.sha1(self._key + _GUID, usedforsecurity=False).digest())
        if headers.get(b"sec-websocket-accept") != token:
            raise NoHandshake("Sec-WebSocket-Accept does not fit our key")
        if headers.get(b"sec-websocket-extensions"):
            name = headers[b"sec-websocket-extensions"].decode("latin-1")
            raise NoHandshake(f"the central system chose the extension {name}, which was not offered")
        self.subprotocol = headers.get(b"sec-websocket-protocol", b"").decode("latin-1")
        if self.subprotocol and self.subprotocol not in self._offered:
            raise ForeignSubprotocol(self.subprotocol)

    def refusal(self, data: bytes | None) -> bool:
        """Read an answer other than 101: first with None, then with what comes; returns whether it is complete.

        :raises NoHandshake: it is no HTTP.
        """
        # Hardly a fleet is ever refused.
        import h11

        try:
            if self._h11 is None:
                self._h11 = h11.Connection(h11.CLIENT)
                self._h11.send(h11.Request(method="GET", target="/", headers=[("Host", "-")]))
                self._h11.send(h11.EndOfMessage())
                data = self._buffer
            if data is not None:
                self._h11.receive_data(data)
            while True:
                event = self._h11.next_event()
                if isinstance(event, h11.Response):
                    self.headers = list(event.headers)
                elif isinstance(event, h11.Data):
                    self.body += bytes(event.data)
                else:
                    return event is not h11.NEED_DATA
        except h11.RemoteProtocolError as error:
            if self.headers or self.body:
                # The answer is clear; only its text is cut short.
                return True
            raise NoHandshake(str(error)) from None


async def read_refusal(stream: trio.SocketStream, opening: Opening, body_limit: int) -> None:
    """Read the body of an answer other than 101, as far as it comes. The caller bounds it.

    :raises NoHandshake: it is no HTTP.
    """
    data: bytes | None = None
    while not opening.refusal(data) and len(opening.body) < body_limit:
        try:
            data = bytes(await stream.receive_some(HEAD_LIMIT))
        except trio.BrokenResourceError:
            return


def _request_bytes(request: UpgradeRequest, key: bytes) -> bytes:
    try:
        host = request.host.encode("ascii")
    except UnicodeEncodeError:
        host = request.host.encode("idna")
    lines = [
        b"GET " + request.target.encode("ascii") + b" HTTP/1.1",
        b"Host: " + host,
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + key,
        b"Sec-WebSocket-Version: 13",
    ]
    if request.subprotocols:
        lines.append(b"Sec-WebSocket-Protocol: " + ", ".join(request.subprotocols).encode("ascii"))
    lines += [name + b": " + value for name, value in request.extra_headers]
    return b"\r\n".join([*lines, b"", b""])
