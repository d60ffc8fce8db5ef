"""An open connection and central systems that behave well, badly and worse."""

from __future__ import annotations

import base64
import socket
import struct
from typing import Any, Literal

import pytest
import trio

from simulator.config.ws_options import WebSocketOptions
from simulator.transport.connection import ConnectionClosed, Limits
from simulator.transport.server import ServerConnection, ServerOptions
from simulator.transport.websocket import Dialer
from tests.transport.peers import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    SHORT,
    TEXT,
    Peer,
    close_frame,
    echo,
    end_of,
    frame,
    header_of,
    make_dialer,
    open_connection,
    own_server,
    raw_server,
    settle,
    within,
)

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("either_transport")]


async def answer_close(peer: Peer) -> tuple[int, str]:
    """Wait for the client's close frame and echo it, as a good server does."""
    code, reason = await peer.read_close()
    await peer.send(close_frame(code))
    return code, reason


# -- closing ---------------------------------------------------------------------------------------------------------


@within(10)
async def test_a_ping_that_crosses_our_close_harms_nobody() -> None:
    bystander_ran_to_its_end = False

    async def ping_then_close(peer: Peer) -> None:
        await peer.accept()
        await peer.read_close()
        await peer.send(frame(PING, b"crossing") + frame(TEXT, b"too late"))
        await settle()
        await peer.send(close_frame(1000))

    async def bystander() -> None:
        nonlocal bystander_ran_to_its_end
        await trio.sleep(0.3)
        bystander_ran_to_its_end = True

    async def station(url: str) -> None:
        async with open_connection(url) as connection:
            await connection.aclose()
            with pytest.raises(ConnectionClosed):
                await connection.receive()

    async with raw_server(ping_then_close) as url, trio.open_nursery() as nursery:
        nursery.start_soon(bystander)
        for _ in range(3):
            nursery.start_soon(station, url)
    assert bystander_ran_to_its_end


@within(10)
async def test_a_peer_that_closes_without_ending_tcp_holds_nobody_up() -> None:
    replies = []

    async def close_only(peer: Peer) -> None:
        await peer.accept()
        await peer.send(close_frame(1001, "maintenance"))
        replies.append(await peer.read_close())
        await trio.sleep_forever()

    async with raw_server(close_only) as url:
        begun = trio.current_time()
        async with open_connection(url) as connection:
            closed = await end_of(connection)
        assert (closed.code, closed.reason) == (1001, "maintenance")
        assert str(closed) == "connection closed (1001): maintenance"
        assert trio.current_time() - begun < 2
        # The reply repeats the code and TCP is closed by us; both after the context was left.
        await settle()
    assert replies == [(1001, "maintenance")]


@within(10)
async def test_a_peer_that_never_answers_our_close_is_left_in_bounded_time() -> None:
    async def ignore(peer: Peer) -> None:
        await peer.accept()
        await peer.read_to_end()

    async with raw_server(ignore) as url:
        begun = trio.current_time()
        async with open_connection(url, make_dialer(SHORT)):
            pass
        assert 0.4 < trio.current_time() - begun < 2


@within(10)
async def test_our_own_close_code_is_what_everybody_sees() -> None:
    seen = []

    async def note(peer: Peer) -> None:
        await peer.accept()
        seen.append(await answer_close(peer))

    async with raw_server(note) as url, open_connection(url) as connection:
        await connection.aclose(4100, "reset")
        await connection.aclose(1000, "again")
        with pytest.raises(ConnectionClosed) as caught:
            await connection.receive()
        with pytest.raises(ConnectionClosed):
            connection.post("late")
        with pytest.raises(ConnectionClosed):
            await connection.ping(1)
    assert (caught.value.code, caught.value.reason) == (4100, "reset")
    assert seen == [(4100, "reset")]


@within(10)
async def test_what_was_posted_before_a_close_arrives() -> None:
    received = []

    async def collect(connection: ServerConnection) -> None:
        try:
            while True:
                received.append(await connection.receive())
        except ConnectionClosed as closed:
            received.append(str(closed.code))

    async with own_server(collect) as url:
        async with open_connection(url) as connection:
            for number in range(5000):
                connection.post(f"message {number} {'x' * 100}")
        await settle()
    assert len(received) == 5001
    assert all(str(text).startswith(f"message {number} ") for number, text in enumerate(received[:-1]))
    assert received[-1] == "1000"


@within(10)
async def test_messages_before_a_close_are_received_first() -> None:
    async def send_and_close(peer: Peer) -> None:
        await peer.accept(then=frame(TEXT, b"one") + frame(TEXT, b"two") + frame(0x8))
        await peer.read_to_end()

    async with raw_server(send_and_close) as url, open_connection(url) as connection:
        await settle()
        assert [await connection.receive(), await connection.receive()] == ["one", "two"]
        with pytest.raises(ConnectionClosed) as caught:
            await connection.receive()
        assert (caught.value.code, caught.value.reason) == (1005, "")
        with pytest.raises(ConnectionClosed):
            connection.post("late")


@within(10)
async def test_an_end_of_tcp_without_close_is_1006_with_its_cause() -> None:
    async def vanish(peer: Peer) -> None:
        await peer.accept()

    async def reset(peer: Peer) -> None:
        await peer.accept()
        assert isinstance(peer.stream, trio.SocketStream)
        peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    for behaviour, reason in ((vanish, "the peer closed the TCP connection"), (reset, "connection reset by peer")):
        async with raw_server(behaviour) as url, open_connection(url) as connection:
            closed = await end_of(connection)
        assert (closed.code, closed.reason) == (1006, reason)


@within(30)
async def test_cancelled_stations_say_goodbye() -> None:
    codes: list[int] = []

    async def note(connection: ServerConnection) -> None:
        codes.append((await end_of(connection)).code)

    async def station(url: str, dialer: Dialer, opened: list[trio.CancelScope]) -> None:
        with trio.CancelScope() as scope:
            async with open_connection(url, dialer) as connection:
                opened.append(scope)
                connection.post("hello")
                await connection.receive()

    async with own_server(note) as url:
        scopes: list[trio.CancelScope] = []
        async with trio.open_nursery() as nursery:
            dialer = make_dialer()
            for _ in range(200):
                nursery.start_soon(station, url, dialer, scopes)
            await settle()
            assert len(scopes) == 200
            begun = trio.current_time()
            for scope in scopes:
                scope.cancel()
        assert trio.current_time() - begun < 4
        await settle()
    assert codes == [1000] * 200


# -- what comes out of the context -----------------------------------------------------------------------------------


@within(10)
async def test_an_exception_in_the_body_comes_out_as_it_was() -> None:
    error = KeyError("mine")
    seen = []

    async def note(peer: Peer) -> None:
        await peer.accept()
        seen.append((await answer_close(peer))[0])

    async with raw_server(note) as url:
        with pytest.raises(KeyError) as caught:
            async with open_connection(url):
                raise error
    assert caught.value is error
    assert seen == [1000]


@within(10)
async def test_a_closed_connection_comes_out_as_it_was() -> None:
    async def close_at_once(peer: Peer) -> None:
        await peer.accept(then=close_frame(1012, "restart"))
        await peer.read_to_end()

    async with raw_server(close_at_once) as url:
        with pytest.raises(ConnectionClosed) as caught:
            await hold(url)
    assert caught.value.code == 1012


@within(10)
async def test_a_timeout_around_a_connection_is_the_users_own() -> None:
    async with own_server(echo) as url:
        with trio.move_on_after(0.1) as scope:
            async with open_connection(url) as connection:
                await connection.receive()
        assert scope.cancelled_caught
        # Cancelled on the way in as well.
        with trio.move_on_after(0) as scope:
            async with open_connection(url):
                raise AssertionError
        assert scope.cancelled_caught


@within(10)
async def test_an_interrupt_in_a_task_of_the_connection_ends_the_program_and_is_no_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def greet(peer: Peer) -> None:
        await peer.accept(then=frame(TEXT, b"hello"))
        await answer_close(peer)

    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    # Where Ctrl-C strikes is chance: here in the reader.
    monkeypatch.setattr("simulator.transport.link.Link.on_message", interrupt)
    async with raw_server(greet) as url:
        with pytest.raises(KeyboardInterrupt):
            await hold(url, Dialer())


async def hold(url: str, dialer: Dialer | None = None) -> None:
    """Open a connection and receive until something ends it."""
    async with open_connection(url, dialer) as connection:
        while True:
            await connection.receive()


# -- pings -----------------------------------------------------------------------------------------------------------


@within(10)
async def test_a_ping_measures_the_round_trip() -> None:
    async def slow_pong(peer: Peer) -> None:
        await peer.accept()
        opcode, payload = await peer.read_frame()
        assert opcode == PING
        await trio.sleep(0.1)
        await peer.send(frame(PONG, payload))
        await answer_close(peer)

    async with raw_server(slow_pong) as url, open_connection(url) as connection:
        assert 0.09 < await connection.ping(5) < 1


@within(10)
async def test_a_missing_pong_ends_the_connection() -> None:
    async def no_pong(peer: Peer) -> None:
        await peer.accept()
        await peer.send(frame(PONG, b"unasked"))
        await peer.read_to_end()

    async with raw_server(no_pong) as url, open_connection(url) as connection:
        with pytest.raises(ConnectionClosed) as caught:
            await connection.ping(0.1)
        assert (caught.value.code, caught.value.reason) == (1006, "no pong within 0.1 s")
        with pytest.raises(ConnectionClosed):
            await connection.receive()


@within(10)
async def test_a_ping_ends_with_its_connection() -> None:
    async def vanish(peer: Peer) -> None:
        await peer.accept()
        await peer.read_frame()

    async with raw_server(vanish) as url, open_connection(url) as connection:
        begun = trio.current_time()
        with pytest.raises(ConnectionClosed):
            await connection.ping(60)
        assert trio.current_time() - begun < 2


@within(10)
async def test_a_cancelled_ping_leaves_the_connection_usable() -> None:
    async with own_server(echo) as url, open_connection(url) as connection:
        with trio.move_on_after(0):
            await connection.ping(60)
        connection.post("still here")
        assert await connection.receive() == "still here"
        assert await connection.ping(5) < 5


# -- receiving -------------------------------------------------------------------------------------------------------


@within(10)
async def test_pings_are_answered_and_the_close_is_noticed_while_nobody_receives() -> None:
    done = trio.Event()

    async def pile_up(peer: Peer) -> None:
        await peer.accept()
        for number in range(1000):
            await peer.send(frame(TEXT, b"message %d" % number))
        await peer.send(frame(PING, b"there?"))
        assert await peer.read_frame() == (PONG, b"there?")
        await peer.send(close_frame(1001))
        await peer.read_close()
        done.set()

    async with raw_server(pile_up) as url, open_connection(url) as connection:
        await done.wait()
        with pytest.raises(ConnectionClosed):
            connection.post("late")
        assert [await connection.receive() for _ in range(1000)] == [f"message {number}" for number in range(1000)]
        assert (await end_of(connection)).code == 1001


@within(20)
async def test_unread_messages_hold_the_peer_back_and_none_is_lost() -> None:
    sent = 0
    payload = b"x" * 20_000

    async def flood(peer: Peer) -> None:
        nonlocal sent
        await peer.accept()
        for number in range(2000):
            await peer.send(frame(TEXT, b"%d " % number + payload))
            sent += 1
        await answer_close(peer)

    async with raw_server(flood) as url, open_connection(url, make_dialer(SHORT)) as connection:
        await settle()
        # What TCP buffers on the way is not ours to bound.
        assert sent < 2000
        for number in range(2000):
            assert str(await connection.receive()).startswith(f"{number} ")


@within(10)
async def test_closing_does_not_wait_for_those_who_do_not_receive() -> None:
    async def flood(peer: Peer) -> None:
        await peer.accept()
        while True:
            await peer.send(frame(TEXT, b"x" * 20_000))

    async with raw_server(flood) as url:
        begun = trio.current_time()
        async with open_connection(url, make_dialer(SHORT)):
            await settle()
        assert trio.current_time() - begun < 2


@within(20)
async def test_large_messages_pass_and_larger_ones_than_allowed_end_with_1009() -> None:
    codes = []

    async def send_large(peer: Peer) -> None:
        await peer.accept()
        await peer.send(frame(TEXT, b"x" * 3_000_000))
        await peer.send(frame(TEXT, "ü".encode() * 2_500_001))
        codes.append((await peer.read_close())[0])
        await peer.send(close_frame(1009))

    options = WebSocketOptions(max_payload=5_000_000)
    async with raw_server(send_large) as url, open_connection(url, options=options) as connection:
        assert len(await connection.receive()) == 3_000_000
        closed = await end_of(connection)
    assert (closed.code, closed.reason) == (1009, "message larger than 5000000 bytes")
    assert codes == [1009]


@within(10)
async def test_an_announced_giant_is_refused_before_it_has_come() -> None:
    async def announce(peer: Peer) -> None:
        await peer.accept()
        await peer.send(b"\x81\x7f" + struct.pack("!Q", 2**40))
        while True:
            await peer.send(b"x" * 65536)

    async with raw_server(announce) as url:
        dialer = make_dialer(SHORT)
        async with open_connection(url, dialer, options=WebSocketOptions(max_payload=1_000_000)) as connection:
            assert (await end_of(connection)).code == 1009


@within(20)
async def test_fragments_are_joined_with_pings_between_them() -> None:
    async def fragments(peer: Peer) -> None:
        await peer.accept()
        await peer.send(frame(TEXT, "Strö".encode()[:-1], fin=False))
        await peer.send(frame(PING, b"between"))
        await peer.send(frame(CONTINUATION, "ö".encode()[1:] + b"me", fin=False))
        for _ in range(20_000):
            await peer.send(frame(CONTINUATION, b"", fin=False))
        await peer.send(frame(CONTINUATION, b"!"))
        assert await peer.read_frame() == (PONG, b"between")
        await answer_close(peer)

    async with raw_server(fragments) as url, open_connection(url) as connection:
        assert await connection.receive() == "Ströme!"


@within(10)
async def test_binary_messages_arrive_as_bytes() -> None:
    async def binary(peer: Peer) -> None:
        await peer.accept()
        await peer.send(frame(BINARY, b"\x00\xff", fin=False) + frame(CONTINUATION, b"\x01") + frame(BINARY, b"\x02"))
        await answer_close(peer)

    async with raw_server(binary) as url, open_connection(url) as connection:
        assert [await connection.receive(), await connection.receive()] == [b"\x00\xff\x01", b"\x02"]


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\x28"), 1007),
        (frame(TEXT, b"masked", mask=True), 1002),
        (frame(0x3, b"reserved opcode"), 1002),
        (b"\xf1\x00", 1002),
        (frame(CONTINUATION, b"of nothing"), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(0x8, b"\x03"), 1002),
        (frame(0x8, struct.pack("!H", 1006)), 1002),
        (frame(0x8, struct.pack("!H", 1000) + b"\xff\xff"), 1007),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 1002),
        (b"\x00" * 5000, 1002),
    ],
)
@pytest.mark.parametrize("in_the_same_segment", [True, False])
@within(10)
async def test_what_is_no_websocket_ends_the_connection_and_says_so(
    garbage: bytes, code: int, in_the_same_segment: bool
) -> None:
    codes = []

    async def babble(peer: Peer) -> None:
        await peer.accept(then=garbage if in_the_same_segment else b"")
        if not in_the_same_segment:
            await peer.send(garbage)
        codes.append((await peer.read_close())[0])

    async with raw_server(babble) as url, open_connection(url) as connection:
        closed = await end_of(connection)
        await settle()
    assert closed.code == code
    assert closed.reason.startswith("peer broke the protocol: ")
    assert codes == [code]


@within(10)
async def test_messages_are_handed_over_in_order_until_the_end() -> None:
    async def count_down(connection: ServerConnection) -> None:
        for number in range(3):
            connection.post(str(number))
        await connection.receive()
        for number in range(3, 6):
            connection.post(str(number))
        await connection.aclose(1001, "maintenance")

    taken: list[str | bytes] = []

    async with own_server(count_down) as url, open_connection(url) as connection:

        def take(message: str | bytes) -> None:
            taken.append(message)
            if len(taken) == 3:
                connection.post("go on")

        with pytest.raises(ConnectionClosed) as caught:
            await connection.receive_each(take)
        assert (caught.value.code, caught.value.reason) == (1001, "maintenance")
        with pytest.raises(ConnectionClosed):
            await connection.receive_each(take)
    assert taken == ["0", "1", "2", "3", "4", "5"]


@within(10)
async def test_what_the_taker_of_messages_raises_comes_out_and_the_rest_can_be_received() -> None:
    async def three(connection: ServerConnection) -> None:
        for number in range(3):
            connection.post(str(number))
        await connection.receive()

    error = KeyError("mine")

    def take(message: str | bytes) -> None:
        if message == "1":
            raise error

    async with own_server(three) as url, open_connection(url) as connection:
        with pytest.raises(KeyError) as caught:
            await connection.receive_each(take)
        assert caught.value is error
        assert await connection.receive() == "2"
        connection.post("done")
        assert (await end_of(connection)).code == 1000


@within(10)
async def test_a_taker_of_messages_may_close_the_connection_or_cancel_its_caller() -> None:
    async with own_server(echo) as url:
        async with open_connection(url) as connection:
            taken = []

            def cancel(message: str | bytes) -> None:
                taken.append(message)
                scope.cancel()

            with trio.CancelScope() as scope:
                connection.post("one")
                await connection.receive_each(cancel)
            assert taken == ["one"]
            connection.post("two")
            assert await connection.receive() == "two"
        async with open_connection(url) as connection, trio.open_nursery() as nursery:

            def close(message: str | bytes) -> None:
                taken.append(message)
                nursery.start_soon(connection.aclose, 4100, "enough")

            connection.post("three")
            with pytest.raises(ConnectionClosed) as caught:
                await connection.receive_each(close)
            assert caught.value.code == 4100
    assert taken == ["one", "three"]


@within(10)
async def test_a_cancelled_receive_loses_nothing() -> None:
    async with own_server(echo) as url, open_connection(url) as connection:
        connection.post("kept")
        await settle()
        with trio.move_on_after(0) as scope:
            await connection.receive()
        assert scope.cancelled_caught
        with trio.move_on_after(0) as scope:
            await connection.receive_each(print)
        assert scope.cancelled_caught
        assert await connection.receive() == "kept"


# -- sending ---------------------------------------------------------------------------------------------------------


async def read_nothing(peer: Peer) -> None:
    """Accept and never read again, with small buffers on the way."""
    assert isinstance(peer.stream, trio.SocketStream)
    peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await peer.accept()
    await trio.sleep_forever()


@within(20)
async def test_a_peer_that_does_not_read_ends_the_connection_when_too_much_waits() -> None:
    dialer = make_dialer(Limits(send_buffer=256 * 1024, send_timeout=60, close_timeout=0.5))
    async with raw_server(read_nothing) as url, open_connection(url, dialer) as connection:
        posted = 0
        closed = None
        while closed is None:
            try:
                connection.post("x" * 10_000)
                posted += 1
                await trio.lowlevel.checkpoint()
            except ConnectionClosed as error:
                closed = error
        assert (closed.code, closed.reason) == (1006, "peer does not read")
        assert posted > 20


@within(20)
async def test_a_peer_that_takes_nothing_for_too_long_ends_the_connection() -> None:
    dialer = make_dialer(Limits(send_timeout=0.3, send_buffer=100_000_000, close_timeout=0.5))
    async with raw_server(read_nothing) as url, open_connection(url, dialer) as connection:
        connection.post("x" * 20_000_000)
        begun = trio.current_time()
        closed = await end_of(connection)
        assert (closed.code, closed.reason) == (1006, "peer does not read")
        assert trio.current_time() - begun < 5


@within(20)
async def test_leaving_a_peer_that_does_not_read_is_bounded() -> None:
    async with raw_server(read_nothing) as url:
        async with open_connection(url, make_dialer(SHORT)) as connection:
            connection.post("x" * 20_000_000)
            begun = trio.current_time()
        assert trio.current_time() - begun < 2


@within(20)
async def test_a_peer_that_pings_and_does_not_read_does_not_fill_the_memory() -> None:
    async def ping_only(peer: Peer) -> None:
        await peer.accept()
        while True:
            await peer.send(frame(PING, b"x" * 125) * 500)

    dialer = make_dialer(Limits(send_buffer=100_000, send_timeout=60))
    async with raw_server(ping_only) as url, open_connection(url, dialer) as connection:
        closed = await end_of(connection)
        assert (closed.code, closed.reason) == (1006, "peer does not read")


@within(20)
async def test_one_message_larger_than_the_buffer_passes() -> None:
    dialer = make_dialer(SHORT)
    async with own_server(echo) as url, open_connection(url, dialer) as connection:
        text = "x" * 2_000_000
        connection.post(text)
        assert await connection.receive() == text


# -- the request -----------------------------------------------------------------------------------------------------


async def request_of(url_suffix: str = "", **arguments: object) -> str:
    """The upgrade request that a station sends."""
    requests = []

    async def note(peer: Peer) -> None:
        requests.append(await peer.accept())
        await answer_close(peer)

    async with raw_server(note) as url:
        host = url.removeprefix("ws://").removesuffix("/CS-1")
        url = url_suffix.replace("HOST", host) if url_suffix else url
        async with open_connection(url, **arguments):  # type: ignore[arg-type]
            pass
    return requests[0]


@within(10)
async def test_the_request_has_path_host_subprotocols_and_user_agent() -> None:
    request = await request_of("ws://HOST/ocpp/RDAM%20123%2F4?token=a%20b", subprotocols=("ocpp1.6", "ocpp1.5"))
    assert request.startswith("GET /ocpp/RDAM%20123%2F4?token=a%20b HTTP/1.1\r\n")
    assert (header_of(request, "Host") or "").startswith("127.0.0.1:")
    assert header_of(request, "Sec-WebSocket-Protocol") == "ocpp1.6, ocpp1.5"
    assert (header_of(request, "User-Agent") or "").startswith("ocpp-fleet-simulator/")
    for absent in ("Authorization", "Origin", "Sec-WebSocket-Extensions"):
        assert header_of(request, absent) is None


@within(10)
async def test_what_a_url_may_not_contain_is_encoded() -> None:
    request = await request_of("ws://HOST/Säule 1")
    assert request.startswith("GET /S%C3%A4ule%201 HTTP/1.1\r\n")


@within(10)
async def test_a_password_of_bytes_is_sent_as_it_is() -> None:
    # The example of OCPP-J 1.6 §6.2.
    request = await request_of(basic_auth=("AL1000", bytes([*range(8), *[255] * 12])))
    assert header_of(request, "Authorization") == "Basic QUwxMDAwOgABAgMEBQYH////////////////"


@pytest.mark.parametrize(
    ("basic_auth", "options", "credentials"),
    [
        (("station", "key"), WebSocketOptions(auth="option:o", headers={"authorization": "Custom 1"}), "station:key"),
        (None, WebSocketOptions(auth="option:with:colon"), "option:with:colon"),
        (None, WebSocketOptions(), "us@er:p w"),
    ],
)
@within(10)
async def test_credentials_in_their_order(
    basic_auth: tuple[str, str] | None, options: WebSocketOptions, credentials: str
) -> None:
    request = await request_of("ws://us%40er:p%20w@HOST/CS-1", basic_auth=basic_auth, options=options)
    assert header_of(request, "Authorization") == f"Basic {base64.b64encode(credentials.encode()).decode()}"


@within(10)
async def test_headers_and_origin_of_the_options_are_sent() -> None:
    options = WebSocketOptions(
        headers={"X-Tenant": "42", "user-agent": "Other/1", "Authorization": "Bearer t", "Sec-WebSocket-Key": "fake"},
        origin="https://example.com",
    )
    request = await request_of("ws://url:credentials@HOST/CS-1", options=options)
    assert header_of(request, "X-Tenant") == "42"
    assert header_of(request, "User-Agent") == "Other/1"
    assert header_of(request, "Origin") == "https://example.com"
    assert header_of(request, "Authorization") == "Bearer t"
    assert request.lower().count("sec-websocket-key") == 1
    assert "fake" not in request


@within(10)
async def test_the_local_address_of_the_options_is_used() -> None:
    remotes = []

    async def note(connection: ServerConnection) -> None:
        remotes.append(connection.remote)

    families: tuple[Literal[0, 4], ...] = (0, 4)
    async with own_server(note) as url:
        for family in families:
            options = WebSocketOptions(local_address=("127.0.0.2",), family=family)
            async with open_connection(url, options=options) as connection:
                await end_of(connection)
    assert [remote.partition(":")[0] for remote in remotes] == ["127.0.0.2"] * 2


# -- compression -----------------------------------------------------------------------------------------------------


@within(10)
async def test_compression_when_asked_for() -> None:
    extensions = []
    servers: list[Any] = []

    async def note(connection: ServerConnection) -> None:
        servers.append(connection)
        extensions.append(dict(connection.headers).get("sec-websocket-extensions"))
        await echo(connection)

    async with own_server(note, ServerOptions(compress=True)) as url:
        text = '{"measurand": "Energy"}' * 5000
        for compress in (True, False):
            options = WebSocketOptions(per_message_deflate=compress)
            async with open_connection(url, options=options) as connection:
                for _ in range(2):
                    connection.post(text)
                    assert await connection.receive() == text
                assert (servers[-1].stream.bytes_out < 5_000) is compress
        assert extensions == ["permessage-deflate; client_max_window_bits=15; server_max_window_bits=15", None]
