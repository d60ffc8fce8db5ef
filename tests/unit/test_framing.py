"""Frames against wsproto, which knows the rules as well."""

from __future__ import annotations

import struct

import pytest
import wsproto.events as ws
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.utilities import LocalProtocolError

from simulator.transport.framing import (
    BINARY,
    BREACH,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    TOO_LARGE,
    Event,
    FrameReader,
    client_frame,
    close_payload,
    whole_text,
)

LIMIT = 100_000


def server_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = False, longer: int = 0
) -> bytes:
    """One frame of a server; the keywords break it."""
    first, bit = (0x80 if fin else 0) | reserved << 4 | opcode, 0x80 if masked else 0
    size = max(longer, 1 if len(payload) < 126 else 2 if len(payload) < 65536 else 8)
    if size == 1:
        head = bytes([first, bit | len(payload)])
    elif size == 2:
        head = bytes([first, bit | 126]) + struct.pack("!H", len(payload))
    else:
        head = bytes([first, bit | 127]) + struct.pack("!Q", len(payload))
    return head + (b"\0\0\0\0" if masked else b"") + payload


def read(reader: FrameReader, data: bytes, cuts: list[int]) -> list[Event]:
    """What a reader makes of bytes that come in pieces."""
    events: list[Event] = []
    start = 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        events += reader.feed(data[start:cut])
        start = cut
        if events and events[-1][0] in (CLOSE, BREACH):
            break
    return events


def oracle(data: bytes) -> list[Event]:
    """What wsproto makes of the same bytes."""
    connection = Connection(ConnectionType.CLIENT)
    connection.receive_data(data)
    events: list[Event] = []
    pieces: list[str | bytes] = []
    breach = True
    try:
        for event in connection.events():
            if isinstance(event, ws.TextMessage | ws.BytesMessage):
                pieces.append(event.data if isinstance(event, ws.TextMessage) else bytes(event.data))
                if event.message_finished:
                    text = isinstance(event, ws.TextMessage)
                    whole = "".join(map(str, pieces)) if text else b"".join(p for p in pieces if isinstance(p, bytes))
                    events.append((TEXT if text else BINARY, whole))
                    pieces = []
            elif isinstance(event, ws.Ping | ws.Pong):
                events.append((PING if isinstance(event, ws.Ping) else PONG, bytes(event.payload)))
            elif isinstance(event, ws.CloseConnection):
                # Without a close frame it is wsproto's own verdict on what it cannot read.
                breach = connection.state.name == "OPEN"
                events.append((BREACH if breach else CLOSE, (int(event.code), event.reason or "")))
    except LocalProtocolError:
        # It goes on after a breach; we do not.
        pass
    return events


def without_reasons(events: list[Event]) -> list[object]:
    """Events up to the first breach, of which only the code counts: everybody words the reasons their own way."""
    shown: list[object] = []
    for kind, value in events:
        if kind == BREACH:
            return [*shown, ("breach", value[0])]
        shown.append((kind, value))
        if kind == CLOSE:
            break
    return shown


def utf8_pieces(text: bytes, cuts: list[int]) -> bytes:
    """A text message in fragments that are cut anywhere."""
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    return b"".join(
        server_frame(TEXT if index == 0 else CONTINUATION, piece, fin=index == len(pieces) - 1)
        for index, piece in enumerate(pieces)
    )


payloads = st.one_of(
    st.binary(max_size=140),
    st.text(max_size=60).map(str.encode),
    st.integers(120, 130).map(lambda length: b"x" * length),
    st.integers(65_530, 65_540).map(lambda length: b"y" * length),
)
cuts = st.lists(st.integers(0, 200_000), max_size=12)
good = st.one_of(
    st.builds(server_frame, st.just(TEXT), st.text(max_size=200).map(str.encode)),
    st.builds(server_frame, st.just(BINARY), payloads),
    st.builds(server_frame, st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    st.builds(utf8_pieces, st.text(max_size=80).map(str.encode), cuts),
)
any_frame = st.builds(
    server_frame,
    st.sampled_from([CONTINUATION, TEXT, TEXT, BINARY, CLOSE, PING, PONG, 3, 7, 11, 15]),
    payloads,
    fin=st.sampled_from([True, True, True, False]),
    reserved=st.sampled_from([0, 0, 0, 0, 0, 1, 2, 4]),
    masked=st.sampled_from([False, False, False, False, True]),
    longer=st.sampled_from([0, 0, 0, 0, 2, 8]),
)
closes = st.builds(
    lambda code, reason: server_frame(CLOSE, struct.pack("!H", code) + reason),
    # 1014 has been registered since wsproto's list was made.
    st.integers(0, 0xFFFF).filter(lambda code: code != 1014),
    st.one_of(st.text(max_size=30).map(str.encode), st.binary(max_size=120)),
)
streams = st.lists(st.one_of(good, good, any_frame, closes), max_size=8).map(b"".join)


@given(streams, cuts)
def test_every_stream_of_frames_is_read_as_wsproto_reads_it(data: bytes, cuts: list[int]) -> None:
    assert without_reasons(read(FrameReader(2**62), data, cuts)) == without_reasons(oracle(data))


HEADS = [
    *[bytes([length]) + b"x" * length for length in (0, 1, 2, 125)],
    b"\x7e\x00\x7d" + b"x" * 125,
    b"\x7e\x00\x7e" + b"x" * 126,
    b"\x7f" + struct.pack("!Q", 65_535) + b"x" * 65_535,
    b"\x7f" + struct.pack("!Q", 65_536) + b"x" * 65_536,
    b"\x7f" + struct.pack("!Q", 2**63),
    b"\x80\0\0\0\0",
    b"\xfe\x00\x7e\0\0\0\0" + b"x" * 126,
]


@pytest.mark.parametrize("before", [b"", server_frame(TEXT, b"beg", fin=False), server_frame(BINARY, b"", fin=False)])
@pytest.mark.parametrize("head", HEADS, ids=lambda head: head[:4].hex())
def test_every_first_byte_is_judged_as_wsproto_judges_it(before: bytes, head: bytes) -> None:
    for first in range(256):
        data = before + bytes([first]) + head + server_frame(CONTINUATION, b"in") + server_frame(PING, b"p")
        ours, theirs = (without_reasons(events) for events in (FrameReader(2**62).feed(data), oracle(data)))
        assert ours == theirs, f"{data[:20].hex()}"


@pytest.mark.parametrize(
    "code", [0, 999, *range(1000, 1014), 1015, 1016, 1100, 1999, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65_535]
)
@pytest.mark.parametrize("reason", [b"", b"because", "weil's wär".encode(), b"\xff", b"cut \xc3"])
def test_close_codes_and_reasons_are_judged_as_wsproto_judges_them(code: int, reason: bytes) -> None:
    data = server_frame(CLOSE, struct.pack("!H", code) + reason)
    assert without_reasons(FrameReader(LIMIT).feed(data)) == without_reasons(oracle(data))


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82\xac"]
)
@pytest.mark.parametrize("cut", range(5))
def test_texts_are_judged_as_wsproto_judges_them(text: bytes, cut: int) -> None:
    for data in (server_frame(TEXT, text), utf8_pieces(text, [cut])):
        assert without_reasons(FrameReader(LIMIT).feed(data)) == without_reasons(oracle(data))


@given(st.binary(max_size=300), cuts)
def test_noise_is_read_as_wsproto_reads_it(data: bytes, cuts: list[int]) -> None:
    ours, theirs = (without_reasons(events) for events in (read(FrameReader(2**62), data, cuts), oracle(data)))
    # wsproto looks into a text before its frame is complete; we do not.
    if theirs[-1:] == [("breach", 1007)] and ours == theirs[:-1]:
        return
    assert ours == theirs


@given(st.lists(good, min_size=1, max_size=6), cuts)
def test_pieces_change_nothing_and_leave_nothing_behind(frames: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frames)
    whole, pieced = FrameReader(LIMIT), FrameReader(LIMIT)
    assert read(whole, data, []) == read(pieced, data, cuts)
    assert whole.at_rest
    assert pieced.at_rest


@given(st.one_of(good, any_frame))
def test_the_short_way_agrees_with_the_long_one(data: bytes) -> None:
    events = FrameReader(LIMIT).feed(data)
    try:
        text = whole_text(data, LIMIT)
    except UnicodeDecodeError:
        assert without_reasons(events) == [("breach", 1007)]
    else:
        assert text is None or events == [(TEXT, text)]


@given(st.binary(max_size=3000))
def test_a_frame_is_masked_by_the_key_that_it_carries(payload: bytes) -> None:
    frame = client_frame(TEXT, payload)
    head = 2 if len(payload) < 126 else 4
    key = frame[head : head + 4]
    assert frame[head + 4 :] == bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def test_no_two_frames_have_the_same_key() -> None:
    # The key follows the head of two bytes.
    keys = [client_frame(TEXT, b"")[2:6] for _ in range(3000)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "frames",
    [
        server_frame(TEXT, b"x" * 101),
        server_frame(BINARY, b"x" * 70_000),
        server_frame(TEXT, b"x" * 60, fin=False) + server_frame(CONTINUATION, b"x" * 41),
        server_frame(TEXT, b"x" * 60, fin=False) + server_frame(CONTINUATION, b"x" * 41, fin=False),
        b"\x81\x7f" + struct.pack("!Q", 2**40),
    ],
)
@pytest.mark.parametrize("pieces", [1, 7])
def test_too_much_is_told_when_it_is_announced_and_the_close_after_it_is_still_read(frames: bytes, pieces: int) -> None:
    reader = FrameReader(100)
    events: list[Event] = []
    for start in range(0, len(frames), pieces):
        events += reader.feed(frames[start : start + pieces])
    assert events == [(TOO_LARGE, (1009, "message larger than 100 bytes"))]
    # As much as the announcement said is to come; nothing of it is kept.
    missing = 2**40 if frames[1] == 0x7F and len(frames) == 10 else 0
    if not missing:
        rest = server_frame(PING, b"still there") + server_frame(CLOSE, struct.pack("!H", 1009))
        assert reader.feed(rest) == [(PING, b"still there"), (CLOSE, (1009, ""))]
    assert not reader.at_rest


def test_a_message_as_large_as_allowed_passes() -> None:
    reader = FrameReader(100)
    parts = server_frame(TEXT, b"x" * 60, fin=False) + server_frame(CONTINUATION, b"x" * 40)
    assert reader.feed(parts + server_frame(TEXT, b"y" * 100)) == [(TEXT, "x" * 60 + "x" * 40), (TEXT, "y" * 100)]
    assert reader.at_rest


def test_the_registered_code_that_wsproto_does_not_know_is_taken() -> None:
    assert FrameReader(LIMIT).feed(server_frame(CLOSE, struct.pack("!H", 1014))) == [(CLOSE, (1014, ""))]


def test_a_long_reason_is_cut_between_two_characters() -> None:
    payload = close_payload(4000, "ü" * 80)
    assert len(payload) == 2 + 122
    assert payload[2:].decode() == "ü" * 61
    assert close_payload(1005, "never sent") == b""
