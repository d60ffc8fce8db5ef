"""Opening a connection to central systems that fail, refuse, stay silent or speak something else."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio

from simulator.config.ws_options import WebSocketOptions
from simulator.transport.connection import HandshakeRejected, OpenFailed, OpenTimeout, SubprotocolRefused
from tests.transport.peers import Peer, close_frame, open_connection, raw_server, silence, within

pytestmark = [pytest.mark.timeout(30), pytest.mark.usefixtures("either_transport")]


async def failure(url: str, **arguments: Any) -> OpenFailed:
    """The error of an attempt to connect, and the certainty that it took no time."""
    begun = trio.current_time()
    with pytest.raises(OpenFailed) as caught:
        async with open_connection(url, **arguments):
            raise AssertionError("opened")
    assert trio.current_time() - begun < 5
    assert "\n" not in str(caught.value)
    return caught.value


def test_refused_says_whether_trying_again_soon_is_of_use() -> None:
    assert [HandshakeRejected("", status=status).refused for status in (401, 403, 404, 429, 500, 503, 200)] == [
        *[True] * 3,
        *[False] * 4,
    ]


@within(10)
async def test_silence_after_tcp_ends_at_the_open_timeout() -> None:
    async with raw_server(silence) as url:
        error = await failure(url, open_timeout=0.3)
    assert isinstance(error, OpenTimeout)
    assert error.stage == "upgrade"
    assert "no answer to the WebSocket upgrade within 0.3 s" in str(error)


@within(10)
async def test_a_shorter_handshake_timeout_of_the_options_wins() -> None:
    async with raw_server(silence) as url:
        error = await failure(url, options=WebSocketOptions(handshake_timeout=200))
    assert isinstance(error, OpenTimeout)


@within(10)
async def test_silence_in_place_of_tls_ends_at_the_open_timeout() -> None:
    async with raw_server(silence) as url:
        error = await failure(url.replace("ws:", "wss:"), open_timeout=0.3)
    assert isinstance(error, OpenTimeout)
    assert error.stage == "tls"


@within(10)
async def test_end_of_stream_before_the_answer_fails_at_once() -> None:
    async def hang_up(peer: Peer) -> None:
        pass

    async with raw_server(hang_up) as url:
        error = await failure(url)
    assert error.stage == "upgrade"


@within(10)
async def test_end_of_stream_in_the_middle_of_the_answer_fails_at_once() -> None:
    async def hang_up(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 101 Switching Pro")

    async with raw_server(hang_up) as url:
        error = await failure(url)
    assert error.stage == "upgrade"
    assert "the peer closed the TCP connection" in str(error)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found", "500 Internal Server Error"])
@within(10)
async def test_a_refusal_without_length_on_an_open_connection_is_told_at_once(status: str) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(f"HTTP/1.1 {status}\r\n\r\n".encode())
        await peer.read_to_end()

    async with raw_server(refuse) as url:
        error = await failure(url)
    assert isinstance(error, HandshakeRejected)
    assert error.status == int(status[:3])
    assert f"answered HTTP {status}" in str(error)


@within(10)
async def test_the_first_line_of_a_refusal_is_in_the_message() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 28\r\n\r\nunknown charge point\ndetails")
        await peer.read_to_end()

    async with raw_server(refuse) as url:
        error = await failure(url)
    assert isinstance(error, HandshakeRejected)
    assert str(error).endswith("HTTP 404 Not Found: unknown charge point")
    assert error.body.startswith(b"unknown charge point\n")


@within(10)
async def test_an_ordinary_page_in_answer_is_no_connection() -> None:
    async def page(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>")

    async with raw_server(page) as url:
        error = await failure(url)
    assert isinstance(error, HandshakeRejected)
    assert error.status == 200


@within(10)
async def test_a_redirect_is_told_with_its_target() -> None:
    async def redirect(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 301 Moved Permanently\r\nLocation: wss://other/\r\nContent-Length: 0\r\n\r\n")
        await peer.read_to_end()

    async with raw_server(redirect) as url:
        assert "(to wss://other/)" in str(await failure(url))


@within(10)
async def test_an_endless_refusal_is_cut() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        while True:
            await peer.send(b"x" * 65536)

    async with raw_server(refuse) as url:
        error = await failure(url)
    assert isinstance(error, HandshakeRejected)
    assert len(error.body) <= 4096


@within(10)
async def test_a_subprotocol_that_was_not_offered_is_refused() -> None:
    async def choose(peer: Peer) -> None:
        await peer.accept("ocpp2.0.1")
        await peer.read_to_end()

    async with raw_server(choose) as url:
        error = await failure(url)
    assert isinstance(error, SubprotocolRefused)
    assert error.refused
    assert "ocpp2.0.1, which was not offered" in str(error)


@within(10)
async def test_without_a_subprotocol_the_connection_is_closed_and_refused() -> None:
    closes = []

    async def choose_none(peer: Peer) -> None:
        await peer.accept(None)
        closes.append(await peer.read_close())
        await peer.send(b"\x88\x02\x03\xea")

    async with raw_server(choose_none) as url:
        error = await failure(url)
        assert isinstance(error, SubprotocolRefused)
        assert "chose none of the subprotocols ocpp1.6" in str(error)
    assert closes == [(1002, "no subprotocol")]


@within(10)
async def test_without_subprotocols_none_is_asked_for() -> None:
    async def accept(peer: Peer) -> None:
        await peer.accept(None)
        await peer.read_close()
        await peer.send(close_frame(1000))

    async with raw_server(accept) as url, open_connection(url, subprotocols=()) as connection:
        assert connection.subprotocol == ""


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x00\xff\x00\xff" * 20,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm9uc2Vuc2U=\r\n\r\n",
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: \xff\xfe\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 101 " + b"x" * 200_000,
    ],
)
@within(10)
async def test_an_answer_that_is_no_handshake_fails_at_once(answer: bytes) -> None:
    async def babble(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(answer)
        await peer.read_to_end()

    async with raw_server(babble) as url:
        error = await failure(url)
    assert error.stage == "upgrade"


@within(10)
async def test_an_extension_that_was_not_offered_is_refused() -> None:
    async def compress(peer: Peer) -> None:
        await peer.accept(extra="Sec-WebSocket-Extensions: permessage-deflate\r\n")
        await peer.read_to_end()

    async with raw_server(compress) as url:
        assert "extension" in str(await failure(url))


@within(10)
async def test_broken_parameters_of_an_extension_fail_at_once() -> None:
    async def compress(peer: Peer) -> None:
        await peer.accept(extra="Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
        await peer.read_to_end()

    async with raw_server(compress) as url:
        error = await failure(url, options=WebSocketOptions(per_message_deflate=True))
    assert error.stage == "upgrade"


@within(10)
async def test_nobody_listening_is_told_in_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    error = await failure(f"ws://127.0.0.1:{port}/CS-1")
    assert error.stage == "connect"
    assert str(error) == f"ws://127.0.0.1:{port}/CS-1: cannot connect: connection refused"


class _NoNames(trio.abc.HostnameResolver):
    async def getaddrinfo(self, *args: object, **kwargs: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def getnameinfo(self, *args: object) -> Any:
        raise AssertionError


@pytest.mark.parametrize("family", [0, 4])
@within(10)
async def test_an_unknown_host_is_told_in_one_line(family: Any) -> None:
    trio.socket.set_custom_hostname_resolver(_NoNames())
    error = await failure("ws://csms.invalid/CS-1", options=WebSocketOptions(family=family))
    assert error.stage == "resolve"
    assert "cannot resolve csms.invalid: Name or service not known" in str(error)


@within(10)
async def test_a_local_address_that_is_not_ours_is_told() -> None:
    async with raw_server(lambda peer: peer.read_to_end()) as url:
        error = await failure(url, options=WebSocketOptions(local_address=("192.0.2.1",)))
    assert error.stage == "connect"
    assert "192.0.2.1" in str(error)


@within(10)
async def test_the_ip_version_of_the_options_is_used() -> None:
    async with raw_server(lambda peer: peer.read_to_end()) as url:
        error = await failure(url, options=WebSocketOptions(family=6))
    assert error.stage in ("resolve", "connect")


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://host/CS-1", "starts with ws:// or wss://"),
        ("host:9000/CS-1", "starts with ws:// or wss://"),
        ("ws:///CS-1", "names no host"),
        ("ws://host:99999/CS-1", "not a URL"),
        ("ws://user:secret@host:port/CS-1", "not a URL"),
    ],
)
@within(10)
async def test_what_is_no_url_is_told_without_its_password(url: str, part: str) -> None:
    error = await failure(url)
    assert error.stage == "url"
    assert part in str(error)
    assert "secret" not in str(error)


@within(10)
async def test_a_header_that_http_does_not_allow_is_named_without_its_value() -> None:
    async with raw_server(lambda peer: peer.read_to_end()) as url:
        error = await failure(url, options=WebSocketOptions(headers={"X-Token": "secret\r\nX-Other: 1"}))
    assert "X-Token" in str(error)
    assert "secret" not in str(error)
