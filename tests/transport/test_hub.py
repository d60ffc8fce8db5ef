"""What only a hub can do wrong: one task, one epoll set and many connections."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.config.ws_options import WebSocketOptions
from simulator.outbox import Outbox
from simulator.transport.connection import ConnectionClosed, HandshakeRejected, Limits, OpenFailed
from simulator.transport.framing import FrameReader
from simulator.transport.hub import AVAILABLE, Hub, open_hub
from simulator.transport.hub_connection import HubConnection
from simulator.transport.server import ServerConnection
from simulator.transport.websocket import Dialer
from tests.transport.peers import (
    CONTINUATION,
    PING,
    SHORT,
    TEXT,
    Peer,
    close_frame,
    echo,
    end_of,
    frame,
    open_connection,
    own_server,
    raw_server,
    settle,
    within,
)

pytestmark = [pytest.mark.timeout(60), pytest.mark.skipif(not AVAILABLE, reason="the system has no epoll")]


def open_files() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


def adopt(
    hub: Hub, *, limits: Limits | None = None, max_payload: int = 1_000_000
) -> tuple[HubConnection, socket.socket]:
    """A connection of the hub and the other end of it."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    connection = hub.adopt(ours, subprotocol="", rest=b"", limits=limits or Limits(), max_payload=1_000_000)
    return connection, theirs


# -- the stream ------------------------------------------------------------------------------------------------------

messages = st.one_of(st.text(max_size=300), st.integers(0, 70_000).map(lambda length: "x" * length))
pieces = st.lists(st.integers(1, 3000), min_size=1, max_size=12)


def frames_of(text: str, cuts: list[int]) -> bytes:
    """A message in fragments with pings between them."""
    data = text.encode()
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    parts = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return frame(PING, b"!").join(
        frame(TEXT if index == 0 else CONTINUATION, part, fin=index == len(parts) - 1)
        for index, part in enumerate(parts)
    )


@settings(max_examples=60)
@given(st.lists(st.tuples(messages, st.lists(st.integers(0, 70_000), max_size=3)), max_size=5), pieces)
def test_however_the_network_cuts_it_every_message_arrives(sent: list[tuple[str, list[int]]], sizes: list[int]) -> None:
    data = b"".join(frames_of(*each) for each in sent) + close_frame(1000)

    async def feed(peer: socket.socket) -> None:
        rest, step = memoryview(data), 0
        while rest:
            with suppress(BlockingIOError):
                rest = rest[peer.send(rest[: sizes[step % len(sizes)] * (1 + step // 50)]) :]
            step += 1
            await trio.lowlevel.checkpoint()

    async def main() -> list[str | bytes]:
        received: list[str | bytes] = []
        with trio.fail_after(30):
            async with open_hub() as hub, trio.open_nursery() as nursery:
                connection, peer = adopt(hub)
                with peer:
                    nursery.start_soon(feed, peer)
                    with pytest.raises(ConnectionClosed) as caught:
                        await connection.receive_each(received.append)
                    assert caught.value.code == 1000
                    await connection.finish()
                    assert len(hub) == 0
        return received

    assert trio.run(main) == [text for text, _ in sent]


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=400), max_size=6))
def test_noise_ends_its_connection_and_no_other(noise: list[bytes]) -> None:
    async def main() -> None:
        with trio.fail_after(30):
            async with open_hub() as hub:
                noisy, noisy_peer = adopt(hub, limits=SHORT)
                calm, calm_peer = adopt(hub, limits=SHORT)
                with noisy_peer, calm_peer:
                    for piece in noise:
                        with suppress(OSError):
                            noisy_peer.send(piece)
                        await trio.lowlevel.checkpoint()
                    noisy_peer.shutdown(socket.SHUT_WR)
                    closed = await end_of(noisy)
                    assert 1000 <= closed.code <= 4999
                    await noisy.finish()
                    calm_peer.send(frame(TEXT, b"calm"))
                    assert await calm.receive() == "calm"
                    calm.fail(1006, "enough")

    trio.run(main)


# -- the hub ---------------------------------------------------------------------------------------------------------


@within(20)
async def test_a_fault_in_one_connection_stays_in_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed = FrameReader.feed

    def faulty(self: FrameReader, data: bytes) -> Any:
        if b"trip" in data:
            raise RuntimeError("a fault of ours")
        return feed(self, data)

    monkeypatch.setattr(FrameReader, "feed", faulty)
    async with open_hub() as hub:
        faulty_one, first = adopt(hub)
        other, second = adopt(hub)
        with first, second:
            first.send(frame(TEXT, b"trip", fin=False))
            second.send(frame(TEXT, b"on", fin=False) + frame(CONTINUATION, b"ward"))
            assert await other.receive() == "onward"
            closed = await end_of(faulty_one)
            assert (closed.code, closed.reason) == (1011, "internal error")
            assert "a fault of ours" in caplog.text
            assert len(hub) == 1
            other.fail(1006, "enough")


@within(20)
async def test_closing_the_hub_cuts_off_what_is_left() -> None:
    begun = open_files()
    async with open_hub() as hub:
        pairs = [adopt(hub) for _ in range(10)]
    for connection, peer in pairs:
        with pytest.raises(ConnectionClosed, match="closes its connections"):
            await connection.receive()
        assert peer.recv(100) == b""
        peer.close()
    assert open_files() == begun


@within(20)
async def test_a_cancellation_around_the_hub_lets_its_connections_say_goodbye() -> None:
    codes: list[int] = []

    async def note(connection: ServerConnection) -> None:
        codes.append((await end_of(connection)).code)

    async def station(dialer: Dialer, url: str) -> None:
        async with open_connection(url, dialer) as connection:
            await connection.receive()

    async with own_server(note) as url:
        with trio.CancelScope() as scope:
            async with open_hub() as hub, trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(station, Dialer(hub=hub), url)
                while len(hub) < 50:
                    await settle()
                scope.cancel()
        assert scope.cancelled_caught
        await settle()
    assert codes == [1000] * 50


@within(20)
async def test_an_interrupt_in_the_hub_ends_the_program_and_is_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HubConnection, "readable", interrupt)

    async def run() -> None:
        async with open_hub() as hub:
            connection, peer = adopt(hub)
            with peer:
                peer.send(frame(TEXT, b"now"))
                await connection.receive()

    with pytest.raises(KeyboardInterrupt):
        await run()


@within(20)
async def test_an_exception_in_the_body_comes_out_as_it_was() -> None:
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with open_hub():
            raise error
    assert caught.value is error


@within(20)
async def test_a_reset_while_nobody_receives_costs_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = 0
    reset = trio.Event()
    serve = Hub._round

    def counted(self: Hub) -> int:
        nonlocal rounds
        rounds += 1
        return serve(self)

    monkeypatch.setattr(Hub, "_round", counted)

    async def flood_and_reset(peer: Peer) -> None:
        assert isinstance(peer.stream, trio.SocketStream)
        await peer.accept()
        with trio.move_on_after(0.3):
            while True:
                await peer.send(frame(TEXT, b"x" * 10_000))
        peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.stream.socket.close()
        reset.set()

    async with (
        open_hub() as hub,
        raw_server(flood_and_reset) as url,
        open_connection(url, Dialer(hub=hub, limits=SHORT)) as connection,
    ):
        await reset.wait()
        await settle()
        before = rounds
        await trio.sleep(0.3)
        assert rounds - before < 5
        assert (await end_of(connection)).code == 1006


@within(60)
async def test_many_connections_come_and_go_and_leave_nothing_behind() -> None:
    begun = open_files()
    finished = 0

    async def station(dialer: Dialer, url: str, number: int) -> None:
        nonlocal finished
        async with open_connection(url, dialer) as connection:
            connection.post(f"hello {number}")
            assert await connection.receive() == f"hello {number}"
        finished += 1

    async with own_server(echo) as url, open_hub() as hub:
        dialer = Dialer(hub=hub)
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for number in range(100):
                    nursery.start_soon(station, dialer, url, number)
            assert len(hub) == 0
    assert finished == 300
    await settle()
    assert open_files() == begun


@within(20)
async def test_openings_that_fail_leave_no_file_open() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await peer.read_to_end()

    async def silent(peer: Peer) -> None:
        await peer.read_to_end()

    async with open_hub() as hub:
        dialer = Dialer(hub=hub)
        begun = open_files()
        async with raw_server(refuse) as url:
            with pytest.raises(HandshakeRejected):
                async with open_connection(url, dialer):
                    raise AssertionError
        async with raw_server(silent) as url:
            with pytest.raises(OpenFailed):
                async with open_connection(url, dialer, open_timeout=0.1):
                    raise AssertionError
            with trio.move_on_after(0.1) as scope:
                async with open_connection(url, dialer):
                    raise AssertionError
            assert scope.cancelled_caught
        await settle()
        assert open_files() == begun


@within(20)
async def test_only_the_hub_is_only_the_hub() -> None:
    async with open_hub() as hub:
        dialer = Dialer(hub=hub, hub_only=True)
        for url, options in (
            ("wss://127.0.0.1:1/CS-1", WebSocketOptions()),
            ("ws://127.0.0.1:1/CS-1", WebSocketOptions(per_message_deflate=True)),
        ):
            with pytest.raises(OpenFailed, match="the transport is hub") as caught:
                async with open_connection(url, dialer, options=options):
                    raise AssertionError
            assert caught.value.stage == "url"


@within(20)
async def test_an_idle_connection_keeps_no_buffers() -> None:
    async with own_server(echo) as url, open_hub() as hub, open_connection(url, Dialer(hub=hub)) as connection:
        connection.post("x" * 1_000_000)
        assert len(await connection.receive()) == 1_000_000
        assert await connection.ping(10) < 10
        assert isinstance(connection, HubConnection)
        for name in ("_out", "_reader", "_messages", "_pings"):
            assert getattr(connection, name) is None


# -- time ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Dialer, Peer]]:
    """A dialer whose connection leads to a peer in this very run, so that the clock may jump."""
    ours, theirs = trio.socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    async def connect(host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return trio.SocketStream(ours)

    async with open_hub() as hub, trio.SocketStream(theirs) as stream:
        yield Dialer(open_stream=connect, hub=hub), Peer(stream)


async def test_a_missing_pong_is_noticed_after_its_time(autojump_clock: trio.testing.MockClock) -> None:
    async with pair() as (dialer, peer), trio.open_nursery() as nursery:
        nursery.start_soon(peer.accept)
        async with open_connection("ws://csms/CS-1", dialer) as connection:
            begun = trio.current_time()
            with pytest.raises(ConnectionClosed, match="no pong within 60 s"):
                await connection.ping(60)
            assert trio.current_time() - begun == pytest.approx(60)


async def test_a_peer_that_reads_nothing_is_given_10_seconds(autojump_clock: trio.testing.MockClock) -> None:
    async with pair() as (dialer, peer), trio.open_nursery() as nursery:
        nursery.start_soon(peer.accept)
        async with open_connection("ws://csms/CS-1", dialer) as connection:
            begun = trio.current_time()
            connection.post("x" * 1_000_000)
            closed = await end_of(connection)
            assert (closed.code, closed.reason) == (1006, "peer does not read")
            assert trio.current_time() - begun == pytest.approx(10)


async def test_a_slow_peer_that_does_read_stays_connected(autojump_clock: trio.testing.MockClock) -> None:
    async def slow(peer: Peer) -> None:
        await peer.accept()
        read = 0
        while read < 400_000:
            read += len(await peer.stream.receive_some(16_384))
            await trio.sleep(8)
        await peer.send(close_frame(1000, "at last"))
        await peer.read_to_end()

    async with pair() as (dialer, peer), trio.open_nursery() as nursery:
        nursery.start_soon(slow, peer)
        async with open_connection("ws://csms/CS-1", dialer) as connection:
            connection.post("x" * 400_000)
            assert (await end_of(connection)).reason == "at last"
    assert trio.current_time() > 80


async def test_a_close_that_nobody_answers_takes_5_seconds(autojump_clock: trio.testing.MockClock) -> None:
    async with pair() as (dialer, peer), trio.open_nursery() as nursery:
        nursery.start_soon(peer.accept)
        with trio.CancelScope() as scope:
            async with open_connection("ws://csms/CS-1", dialer):
                begun = trio.current_time()
                scope.cancel()
        assert trio.current_time() - begun == pytest.approx(5)


async def test_a_server_that_sends_on_while_we_close_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    codes = []

    async def chatter(peer: Peer) -> None:
        await peer.accept()
        codes.append(await peer.read_close())
        for _ in range(20):
            await peer.send(frame(TEXT, b"x" * 5000) + frame(PING, b"still here"))
            await trio.sleep(0.1)
        await peer.send(close_frame(1000))
        assert await peer.read_to_end() == b""

    async with pair() as (dialer, peer), trio.open_nursery() as nursery:
        nursery.start_soon(chatter, peer)
        async with open_connection("ws://csms/CS-1", dialer) as connection:
            await connection.aclose(4000, "done")
            assert trio.current_time() == pytest.approx(2, abs=0.2)
    assert codes == [(4000, "done")]


async def test_an_answer_goes_before_the_close_that_came_with_its_question() -> None:
    outbox = Outbox()
    async with open_hub(outbox) as hub, trio.open_nursery() as nursery:
        connection, theirs = adopt(hub)

        async def receive() -> None:
            with pytest.raises(ConnectionClosed):
                await connection.receive_each(lambda _: outbox.put(connection, '[3,"1",{}]'))

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        with theirs:
            theirs.send(frame(TEXT, b'[2,"1","Reset",{}]') + close_frame(1000))
            with trio.fail_after(10):
                await trio.lowlevel.wait_readable(theirs)
                await connection.finish()
            got, opcodes = theirs.recv(4096), []
            while got:
                opcodes.append(got[0] & 0x0F)
                got = got[6 + (got[1] & 0x7F) :]
    assert opcodes == [0x1, 0x8]
