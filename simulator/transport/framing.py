"""WebSocket frames at the client's end (RFC 6455 §5), without input or output.

Outwards :func:`client_frame`; inwards one :class:`FrameReader` per connection, or none while nothing is half-received:
:func:`whole_text` reads the one short frame that almost every read of a station consists of.
"""

from __future__ import annotations

import os
from codecs import getincrementaldecoder
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled form of it for this machine
    from websockets.utils import apply_mask

from simulator.transport.connection import INVALID_DATA, NO_STATUS, PROTOCOL_ERROR, TOO_BIG

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
# Two that are no opcodes. The peer broke the protocol, and nothing after it can be read:
BREACH: Final = 0x10
# A message is larger than allowed; it and all that follow are left out, control frames are not:
TOO_LARGE: Final = 0x11

#: What came: (TEXT, str), (BINARY, bytes), (PING or PONG, bytes), (CLOSE, BREACH or TOO_LARGE, (code, reason)).
Event = tuple[int, "str | bytes | tuple[int, str]"]

_FIN = 0x80
_MASKED = 0x80
_CONTROL_LIMIT = 125

_Utf8 = getincrementaldecoder("utf-8")


def _keys() -> Iterator[bytes]:
    """Masking keys: four bytes of the operating system's randomness each (RFC 6455 §5.3), a thousand per fetch."""
    while True:
        pool = os.urandom(4096)
        for at in range(0, len(pool), 4):
            yield pool[at : at + 4]


_next_key = _keys().__next__


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A whole message or a control frame, masked."""
    length = len(payload)
    key = _next_key()
    if length < 126:
        head = bytes((_FIN | opcode, _MASKED | length))
    elif length < 0x10000:
        head = bytes((_FIN | opcode, _MASKED | 126, length >> 8, length & 0xFF))
    else:
        head = bytes((_FIN | opcode, _MASKED | 127)) + length.to_bytes(8, "big")
    return b"%b%b%b" % (head, key, apply_mask(payload, key))


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame; none for 1005. The reason is cut to what a control frame holds."""
    if code == NO_STATUS:
        return b""
    # A character that the cut goes through is left out.
    text = reason.encode()[: _CONTROL_LIMIT - 2].decode("utf-8", "ignore")
    return code.to_bytes(2, "big") + text.encode()


def whole_text(data: bytes, max_payload: int) -> str | None:
    """The text of ``data`` if it is one unfragmented text frame of less than 64 KiB and nothing else.

    :raises UnicodeDecodeError: it is one, but its text is not UTF-8.
    """
    size = len(data)
    if size < 2 or data[0] != _FIN | TEXT:
        return None
    length = data[1]
    if length == 126 and size > 4:
        length = data[2] << 8 | data[3]
        if size != length + 4 or length < 126 or length > max_payload:
            return None
        return data[4:].decode()
    if length > 125 or size != length + 2 or length > max_payload:
        return None
    return data[2:].decode()


class FrameReader:
    """Turns the bytes of a server into :data:`Event`.

    :param max_payload: the largest message, in bytes; a larger one is told as soon as it is announced.
    """

    __slots__ = ("_buffer", "_decoder", "_max_payload", "_message", "_need", "_opcode", "_size", "_skip", "discarding")

    def __init__(self, max_payload: int) -> None:
        self._max_payload = max_payload
        self._buffer = bytearray()
        #: Bytes that the buffer must hold before there is anything to read.
        self._need = 2
        # The fragmented message under way.
        self._opcode = CONTINUATION
        self._message: StringIO | BytesIO | None = None
        self._decoder = _Utf8()
        self._size = 0
        #: Bytes of a frame under way that nobody wants.
        self._skip = 0
        #: Whether messages are thrown away; control frames are still read.
        self.discarding = False

    @property
    def at_rest(self) -> bool:
        """Whether nothing is half-received, so that another reader could go on."""
        return not self._buffer and self._opcode == CONTINUATION and not self._skip and not self.discarding

    def discard(self) -> None:
        """Throw away the message under way and all that come; the size of messages no longer matters."""
        self.discarding = True
        self._message = None

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes; returns what they complete. After CLOSE or BREACH, which come last, the rest is of no meaning."""
        buffer = self._buffer
        if buffer:
            buffer += data
            if len(buffer) < self._need:
                return []
            data = bytes(buffer)
            buffer.clear()
        events: list[Event] = []
        at, end = 0, len(data)
        while True:
            if self._skip:
                skipped = min(self._skip, end - at)
                self._skip -= skipped
                at += skipped
            need = self._next_frame(data, at, end, events)
            if need <= 0:
                at -= need
                if not events or events[-1][0] not in (CLOSE, BREACH):
                    continue
                return events
            if at < end:
                buffer += data[at:end] if at else data
            self._need = need
            return events

    def _next_frame(self, data: bytes, at: int, end: int, events: list[Event]) -> int:
        """Read the frame at a place; returns the negative of its length, or how many bytes are needed to read it."""
        left = end - at
        if left < 2:
            return 2
        first, length = data[at], data[at + 1]
        opcode, final = first & 0x0F, first & _FIN != 0
        fault = self._fault(first, opcode, final, length)
        head = 2
        if not fault and length == 126:
            if left < 4:
                return 4
            head, length = 4, data[at + 2] << 8 | data[at + 3]
            fault = "the length could be written shorter" if length < 126 else ""
        elif not fault and length == 127:
            if left < 10:
                return 10
            head, length = 10, int.from_bytes(data[at + 2 : at + 10], "big")
            fault = "the length could be written shorter" if length < 0x10000 else ""
            fault = "the length has its highest bit set" if length >> 63 else fault
        if fault:
            return _breach(events, PROTOCOL_ERROR, fault)
        if opcode < CLOSE:
            if not self.discarding and self._size + length > self._max_payload:
                self.discard()
                events.append((TOO_LARGE, (TOO_BIG, f"message larger than {self._max_payload} bytes")))
            if self.discarding:
                self._opcode = CONTINUATION if final else (opcode or self._opcode)
                self._skip = length
                return -head
        if left < head + length:
            return head + length
        payload = data[at + head : at + head + length]
        if opcode >= CLOSE:
            if opcode != CLOSE:
                events.append((opcode, payload))
            elif fault := _read_close(payload, events):
                return _breach(events, PROTOCOL_ERROR, fault)
            return -(head + length)
        try:
            self._add(opcode, payload, final, events)
        except UnicodeDecodeError as error:
            return _breach(events, INVALID_DATA, f"a text is not UTF-8: {error.reason}")
        return -(head + length)

    def _fault(self, first: int, opcode: int, final: bool, length: int) -> str:
        if first & 0x70:
            return "a reserved bit is set"
        if length & _MASKED:
            return "a frame of a server is masked"
        if opcode >= CLOSE:
            if opcode > PONG:
                return f"unknown opcode {opcode:#x}"
            if not final:
                return "a control frame is fragmented"
            return "a control frame is longer than 125 bytes" if length > _CONTROL_LIMIT else ""
        if opcode > BINARY:
            return f"unknown opcode {opcode:#x}"
        if opcode == CONTINUATION:
            return "" if self._opcode else "a continuation of nothing"
        return "a new message within a fragmented one" if self._opcode else ""

    def _add(self, opcode: int, payload: bytes, final: bool, events: list[Event]) -> None:
        """Take a frame of a message."""
        if final and opcode:
            events.append((opcode, payload.decode() if opcode == TEXT else payload))
            return
        if opcode:
            self._opcode = opcode
            self._message = StringIO() if opcode == TEXT else BytesIO()
        self._size += len(payload)
        # A buffer rather than a list of pieces: a million empty pieces take no memory.
        if isinstance(self._message, StringIO):
            self._message.write(self._decoder.decode(payload, final))
        elif self._message is not None:
            self._message.write(payload)
        if final and self._message is not None:
            events.append((self._opcode, self._message.getvalue()))
            self._opcode, self._message, self._size = CONTINUATION, None, 0


def _breach(events: list[Event], code: int, reason: str) -> int:
    events.append((BREACH, (code, reason)))
    return 0


def _read_close(payload: bytes, events: list[Event]) -> str:
    """Add what a close frame says (RFC 6455 §5.5.1, §7.4); returns what is wrong with it, if its text is not."""
    if not payload:
        events.append((CLOSE, (NO_STATUS, "")))
        return ""
    if len(payload) == 1:
        return "a close frame with half a code"
    code = payload[0] << 8 | payload[1]
    # 1004 to 1006 and 1015 must not be sent; from 1016 to 2999 nothing is registered yet.
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        return f"the close code {code} may not be sent"
    try:
        events.append((CLOSE, (code, payload[2:].decode())))
    except UnicodeDecodeError as error:
        _breach(events, INVALID_DATA, f"the reason of a close is not UTF-8: {error.reason}")
    return ""
