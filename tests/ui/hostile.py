"""What clients that mean no good send: openings that are none, and the bytes of a WebSocket that is used badly."""

from __future__ import annotations

import json
import uuid
from typing import Any


def upgrade(extra: bytes = b"", *, path: bytes = b"/") -> bytes:
    """A right opening handshake; ``extra`` are further header lines with their ends."""
    return (
        b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: ui0.0.1\r\n" + extra + b"\r\n"
    )


def request_frame(procedure: str, payload: Any = None) -> bytes:
    """A request with an identity of its own, as a text frame; masked with zeros, which mask nothing."""
    text = json.dumps([str(uuid.uuid4()), procedure, {} if payload is None else payload]).encode()
    # The shortest form that fits: anything else ends the session (RFC 6455 §5.2), which would prove nothing here.
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return b"\x81" + length + b"\0\0\0\0" + text


MALFORMED = {
    "upgrade and one byte more": upgrade() + b"x",
    "upgrade and a frame more": upgrade() + b"\x81\x80\x00\x00\x00\x00",
    "upgrade without a key": upgrade().replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
    "upgrade with an old version": upgrade().replace(b"Version: 13", b"Version: 7"),
    "upgrade with a path that is no text": upgrade(path=b"/%ff%fe"),
    "upgrade to HTTP/2": b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "no HTTP at all": b"\x00\x01\x02\x03\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "endless header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000,
    "unmasked frame": upgrade() + b"\x81\x02{}",
    "two hosts": b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "broken chunk": b"POST /ui/0.0.1/heartbeat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}
