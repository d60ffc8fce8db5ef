"""The server: negotiation, refusals, and clients that must not harm each other."""

from __future__ import annotations

import logging
import struct
from functools import partial

import pytest
import trio

from simulator.transport.connection import ConnectionClosed, HandshakeRejected, Limits
from simulator.transport.server import HandshakeRequest, ServerConnection, ServerOptions, serve_websockets
from simulator.transport.websocket import Dialer
from tests.transport.peers import (
    SHORT,
    TEXT,
    close_frame,
    echo,
    end_of,
    frame,
    header_of,
    open_connection,
    own_server,
    raw_client,
    settle,
    upgrade_request,
    within,
)

pytestmark = pytest.mark.timeout(60)


@within(10)
async def test_the_clients_first_choice_among_ours_is_taken() -> None:
    async with own_server(echo, ServerOptions(subprotocols=("ocpp2.0.1",))) as url, raw_client(url) as client:
        # own_server speaks ocpp1.6: the parameter goes before the option of the same name.
        await client.send(upgrade_request(subprotocol="ocpp2.0.1, ocpp1.6"))
        head = await client.read_head()
        assert head.startswith("HTTP/1.1 101 ")
        assert header_of(head, "Sec-WebSocket-Protocol") == "ocpp1.6"


@pytest.mark.parametrize("offered", [None, "ocpp1.2", "ocpp2.0.1, ocpp2.1"])
@within(10)
async def test_without_a_common_subprotocol_the_upgrade_completes_and_the_connection_closes(
    offered: str | None,
) -> None:
    async def never(connection: ServerConnection) -> None:
        raise AssertionError("handled")

    async with own_server(never) as url, raw_client(url) as client:
        await client.send(upgrade_request(subprotocol=offered))
        head = await client.read_head()
        assert head.startswith("HTTP/1.1 101 ")
        assert header_of(head, "Sec-WebSocket-Protocol") is None
        assert await client.read_close() == (1002, "this server speaks ocpp1.6")


@within(10)
async def test_a_connection_knows_its_request() -> None:
    seen: list[ServerConnection] = []

    async def note(connection: ServerConnection) -> None:
        seen.append(connection)

    async with own_server(note) as url, raw_client(url) as client:
        await client.send(upgrade_request("/ocpp/RDAM%20123%2F4?x=1", extra="X-Tenant: 42\r\n"))
        await client.read_close()
        assert isinstance(client.stream, trio.SocketStream)
        local = client.stream.socket.getsockname()
    (connection,) = seen
    assert connection.path == "/ocpp/RDAM%20123%2F4?x=1"
    assert connection.subprotocol == "ocpp1.6"
    assert ("x-tenant", "42") in connection.headers
    assert ("host", "localhost") in connection.headers
    assert connection.remote == f"{local[0]}:{local[1]}"


@within(10)
async def test_authorization_refuses_with_a_status() -> None:
    def authorize(request: HandshakeRequest) -> tuple[int, str] | None:
        if request.path != "/known":
            return 404, f"unknown charge point {request.path}"
        if request.basic_auth() != ("known", b"\x00pass:word"):
            return 401, "wrong password"
        return None

    async with own_server(echo, ServerOptions(authorize=authorize)) as url:
        for name, password, status, text in (
            ("unknown", b"", 404, "unknown charge point /unknown"),
            ("known", b"guess", 401, "wrong password"),
        ):
            target = url.replace("CS-1", name)
            with pytest.raises(HandshakeRejected) as caught:
                async with open_connection(target, basic_auth=(name, password)):
                    pass
            assert caught.value.status == status
            assert caught.value.body == text.encode()
        async with raw_client(url) as client:
            await client.send(upgrade_request("/known"))
            head = await client.read_head()
            assert head.startswith("HTTP/1.1 401 ")
            assert header_of(head, "WWW-Authenticate") == 'Basic realm="OCPP"'
        async with open_connection(url.replace("CS-1", "known"), basic_auth=("known", b"\x00pass:word")) as connection:
            connection.post("in")
            assert await connection.receive() == "in"


@pytest.mark.parametrize(
    "value", ["Basic", "Basic !!!", "Bearer abc", "Basic bm9jb2xvbg==", "Basic /////w==", "Basic ////Og=="]
)
def test_unreadable_credentials_are_none(value: str) -> None:
    assert HandshakeRequest("/", [("authorization", value)], (), "").basic_auth() is None


@within(10)
async def test_a_failing_authorization_is_a_500_and_no_end_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    def authorize(request: HandshakeRequest) -> None:
        if request.path == "/crash":
            raise KeyError("database")

    async with own_server(echo, ServerOptions(authorize=authorize)) as url:
        with caplog.at_level(logging.CRITICAL), pytest.raises(HandshakeRejected) as caught:
            async with open_connection(url.replace("CS-1", "crash")):
                pass
        assert caught.value.status == 500
        await still_serves(url)


async def still_serves(url: str) -> None:
    """Another client notices nothing."""
    async with open_connection(url) as connection:
        connection.post("hello")
        assert await connection.receive() == "hello"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 426),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n", 426),
        (b"POST /CS-1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000, 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, 400),
        (upgrade_request().replace(b"Version: 13", b"Version: 8"), 426),
        (upgrade_request().replace(b"Sec-WebSocket-Key", b"X-Key"), 400),
        (upgrade_request(extra="X-Large: " + "x" * 200_000 + "\r\n"), 400),
        (upgrade_request().replace(b"Host: localhost", b"Host: " + b"x" * 70 + b"\xc3\xa4"), 400),
        (upgrade_request("/s\xe4ule").replace(b"\xc3\xa4", b"\xe4"), 400),
    ],
)
@within(10)
async def test_what_is_no_upgrade_gets_a_short_http_answer(request_text: bytes, status: int) -> None:
    async with own_server(echo) as url:
        async with raw_client(url) as client:
            await client.send(request_text)
            answer = await client.read_to_end()
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert len(answer) < 1000
        await still_serves(url)


@pytest.mark.parametrize(
    "opening",
    [
        b"",
        b"GET",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        upgrade_request(extra="Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=many\r\n"),
        upgrade_request(extra="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n"),
        upgrade_request() + b"\xff" * 1000,
        upgrade_request(subprotocol="ocpp1.6, \xff"),
    ],
)
@within(10)
async def test_malformed_openings_harm_nobody(opening: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        async with own_server(echo, ServerOptions(compress=True)) as url:
            async with raw_client(url) as client:
                await client.send(opening)
            await still_serves(url)


@within(10)
async def test_a_client_that_never_finishes_its_request_is_dropped() -> None:
    async with own_server(echo, ServerOptions(handshake_timeout=0.2)) as url, raw_client(url) as client:
        await client.send(b"GET / HTTP/1.1\r\n")
        begun = trio.current_time()
        assert await client.read_to_end() == b""
        assert trio.current_time() - begun < 2


@within(10)
async def test_a_crash_of_a_handler_stays_in_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def crash(connection: ServerConnection) -> None:
        if connection.path == "/crash":
            await connection.receive()
            raise ValueError("a bug")
        await echo(connection)

    async with own_server(crash) as url, open_connection(url) as bystander:
        async with open_connection(url.replace("CS-1", "crash")) as connection:
            connection.post("go")
            closed = await end_of(connection)
        assert (closed.code, closed.reason) == (1011, "internal error")
        bystander.post("fine")
        assert await bystander.receive() == "fine"
    assert "the handler of /crash crashed: ValueError: a bug" in caplog.text


@within(10)
async def test_a_handler_that_returns_closes_with_1000_and_one_that_ends_with_its_connection_is_no_crash(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def answer_once(connection: ServerConnection) -> None:
        connection.post(str(await connection.receive()))

    async with own_server(answer_once) as url:
        async with open_connection(url) as connection:
            connection.post("hello")
            assert await connection.receive() == "hello"
            assert (await end_of(connection)).code == 1000
        async with open_connection(url):
            pass
        await settle()
    assert caplog.text == ""


@within(30)
async def test_the_end_of_the_server_closes_every_connection_with_1001() -> None:
    codes: list[int] = []

    async def station(url: str, dialer: Dialer, count: list[int]) -> None:
        async with open_connection(url, dialer) as connection:
            count.append(1)
            codes.append((await end_of(connection)).code)

    async with trio.open_nursery() as stations:
        async with own_server(echo) as url:
            dialer, opened = Dialer(), list[int]()
            for _ in range(200):
                stations.start_soon(station, url, dialer, opened)
            await settle()
            assert len(opened) == 200
            begun = trio.current_time()
        assert trio.current_time() - begun < 4
    assert codes == [1001] * 200


@within(10)
async def test_the_end_of_the_server_does_not_wait_for_clients_that_do_not_answer() -> None:
    begun = 0.0
    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(
            partial(
                serve_websockets,
                echo,
                host="127.0.0.1",
                port=0,
                subprotocols=("ocpp1.6",),
                options=ServerOptions(limits=SHORT),
            )
        )
        stream = await trio.open_tcp_stream(*addresses[0])
        await stream.send_all(upgrade_request())
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101")
        begun = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - begun < 2
    await stream.aclose()


@within(10)
async def test_a_client_gets_its_message_before_the_close() -> None:
    async def farewell(connection: ServerConnection) -> None:
        for number in range(1000):
            connection.post(f"message {number}")
        await connection.aclose(4000, "enough")

    async with own_server(farewell) as url, open_connection(url) as connection:
        received = [await connection.receive() for _ in range(1000)]
        assert received[-1] == "message 999"
        closed = await end_of(connection)
        assert (closed.code, closed.reason) == (4000, "enough")


@within(10)
async def test_the_server_bounds_what_a_client_sends_and_does_not_take() -> None:
    ends: list[ConnectionClosed] = []

    async def note(connection: ServerConnection) -> None:
        ends.append(await end_of(connection))

    async def flood(connection: ServerConnection) -> None:
        try:
            while True:
                connection.post("x" * 100_000)
                await trio.lowlevel.checkpoint()
        except ConnectionClosed as closed:
            ends.append(closed)

    async with own_server(note, ServerOptions(max_payload=1000)) as url, raw_client(url) as client:
        await client.send(upgrade_request())
        await client.read_head()
        await client.send(frame(TEXT, b"x" * 1001, mask=True))
        assert (await client.read_close())[0] == 1009
        await client.send(close_frame(1009, mask=True))
        assert await client.read_to_end() == b""
    limits = Limits(send_buffer=200_000, send_timeout=5, close_timeout=1)
    async with own_server(flood, ServerOptions(limits=limits)) as url, raw_client(url) as client:
        await client.send(upgrade_request())
        await client.read_head()
        while len(ends) < 2:
            await settle()
    assert [closed.code for closed in ends] == [1009, 1006]


@within(10)
async def test_unmasked_frames_of_a_client_are_a_breach() -> None:
    async with own_server(echo) as url, raw_client(url) as client:
        await client.send(upgrade_request())
        await client.read_head()
        await client.send(frame(TEXT, b"unmasked"))
        assert (await client.read_close())[0] == 1002


@within(10)
async def test_a_close_of_the_client_is_echoed_and_tcp_ended() -> None:
    async with own_server(echo) as url, raw_client(url) as client:
        await client.send(upgrade_request())
        await client.read_head()
        await client.send(close_frame(3999, "bye", mask=True))
        assert await client.read_to_end() == b"\x88\x05" + struct.pack("!H", 3999) + b"bye"


@within(10)
async def test_a_port_in_use_is_an_error_at_once() -> None:
    async with own_server(echo) as url:
        port = int(url.split(":")[2].partition("/")[0])
        with pytest.raises(OSError, match=r"[Aa]ddress"):
            await serve_websockets(echo, host="127.0.0.1", port=port)
