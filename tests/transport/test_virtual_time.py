"""Both ends in one run over streams in memory, with a clock that jumps: long times in none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from simulator.transport.connection import ConnectionClosed, OpenTimeout
from simulator.transport.server import Handler, ServerConnection, serve_stream
from simulator.transport.websocket import Dialer
from tests.transport.peers import OCPP, Peer, close_frame, echo, end_of, open_connection

pytestmark = pytest.mark.timeout(20)

Pair = Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]]


@asynccontextmanager
async def memory_dialer(handler: Handler) -> AsyncIterator[Dialer]:
    """A dialer whose connections end at ``handler`` in this very run."""
    async with trio.open_nursery() as nursery:

        async def connect(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(partial(serve_stream, theirs, handler, subprotocols=OCPP))
            return ours

        yield Dialer(open_stream=connect)


def dialer_to(peer: trio.abc.Stream) -> Dialer:
    """A dialer that hands out this stream."""

    async def connect(host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return peer

    return Dialer(open_stream=connect)


async def test_a_day_of_heartbeats(autojump_clock: trio.testing.MockClock) -> None:
    beats = 0

    async def count(connection: ServerConnection) -> None:
        nonlocal beats
        while True:
            connection.post(str(await connection.receive()))
            beats += 1

    begun = trio.current_time()
    async with memory_dialer(count) as dialer, open_connection("ws://csms/CS-1", dialer) as connection:
        for beat in range(96):
            await trio.sleep(900)
            connection.post(f"heartbeat {beat}")
            assert await connection.receive() == f"heartbeat {beat}"
            assert await connection.ping(30) < 1
    assert trio.current_time() - begun >= 24 * 3600
    assert beats == 96


async def test_the_open_timeout_is_exact(autojump_clock: trio.testing.MockClock) -> None:
    async def never(host: str, port: int) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    ours, _silent = trio.testing.memory_stream_pair()
    for dialer, stage in ((Dialer(open_stream=never), "connect"), (dialer_to(ours), "upgrade")):
        begun = trio.current_time()
        with pytest.raises(OpenTimeout) as caught:
            async with open_connection("ws://csms/CS-1", dialer, open_timeout=30):
                raise AssertionError
        assert caught.value.stage == stage
        assert trio.current_time() - begun == pytest.approx(30)


async def test_a_missing_pong_is_noticed_after_its_time(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()

    async def mute() -> None:
        await Peer(theirs).accept()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(mute)
        async with open_connection("ws://csms/CS-1", dialer_to(ours)) as connection:
            begun = trio.current_time()
            with pytest.raises(ConnectionClosed, match="no pong within 60 s"):
                await connection.ping(60)
            assert trio.current_time() - begun == pytest.approx(60)
        # Nobody is there: no time is spent on a closing handshake.
        assert trio.current_time() - begun == pytest.approx(60)


async def test_a_peer_that_reads_nothing_is_given_10_seconds(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    peer = Peer(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.accept)
        async with open_connection("ws://csms/CS-1", dialer_to(ours)) as connection:
            begun = trio.current_time()
            connection.post("hello?")
            closed = await end_of(connection)
            assert (closed.code, closed.reason) == (1006, "peer does not read")
            assert trio.current_time() - begun == pytest.approx(10)


async def test_a_slow_peer_that_does_read_stays_connected(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    read = 0

    async def slow() -> None:
        nonlocal read
        peer = Peer(theirs)
        await peer.accept()
        while read < 200_000:
            read += len(await theirs.receive_some(16384))
            await trio.sleep(8)
        await peer.send(close_frame(1000, "at last"))
        await peer.read_to_end()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(slow)
        async with open_connection("ws://csms/CS-1", dialer_to(ours)) as connection:
            connection.post("x" * 200_000)
            assert (await end_of(connection)).reason == "at last"
    assert trio.current_time() > 80


async def test_a_close_that_nobody_answers_takes_5_seconds(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Peer(theirs).accept)
        with trio.CancelScope() as scope:
            async with open_connection("ws://csms/CS-1", dialer_to(ours)):
                begun = trio.current_time()
                scope.cancel()
        assert trio.current_time() - begun == pytest.approx(5)


async def test_many_connections_in_memory(autojump_clock: trio.testing.MockClock) -> None:
    finished = []

    async def station(dialer: Dialer, number: int) -> None:
        async with open_connection(f"ws://csms/CS-{number}", dialer) as connection:
            for _ in range(20):
                connection.post("beat")
                await connection.receive()
                await trio.sleep(300)
        finished.append(number)

    async with memory_dialer(echo) as dialer, trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(station, dialer, number)
    assert sorted(finished) == list(range(100))
