"""What the other tests here rest on: a real socket to each station, and a clock that waits for what is under way."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import trio

from simulator.transport.hub import AVAILABLE
from tests.acceptance.bench import bench
from tests.fakes.loopback import look, settle
from tests.fakes.socket_net import SocketNetwork


async def test_a_station_is_connected_by_a_socket() -> None:
    async with bench() as world:
        assert isinstance(world.network, SocketNetwork)
        await world.ready()
        assert [type(line.server).__name__ for line in world.network.lines] == ["SocketLine"]
        if AVAILABLE:
            ports = {port for ends in look().sockets for _, port in ends}
            assert world.network.port in ports
            assert len(look().sockets) == 2
        world.go_offline()
        await world.settle()
        assert look().sockets == {}
        with trio.socket.socket() as sock, pytest.raises(ConnectionRefusedError):
            await sock.connect(("127.0.0.1", world.network.port))


async def test_no_time_passes_while_bytes_are_under_way() -> None:
    """More than the buffers of the kernel hold, in pieces, with a deadline that is close."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    size, came = 8_000_000, bytearray()

    async def take() -> None:
        async with await listener.accept() as stream, listener:
            async for piece in stream:
                came.extend(piece)

    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        host, port = listener.socket.getsockname()
        sock = trio.socket.socket()
        await sock.connect((host, port))
        with trio.fail_after(0.001):
            async with trio.SocketStream(sock) as stream:
                await stream.send_all(bytes(size))
            await settle()
            assert len(came) == size
    assert trio.current_time() == begun
    await trio.sleep(1000)
    assert trio.current_time() == begun + 1000


async def test_no_time_passes_while_a_thread_is_at_work() -> None:
    """It works until the clock has been asked several times whether time may pass."""
    go_on = threading.Event()
    looks = 0

    class Counting(trio.abc.Instrument):
        def before_io_wait(self, timeout: float) -> None:
            nonlocal looks
            looks += 1
            if looks == 10:
                go_on.set()

    counting = Counting()
    trio.lowlevel.add_instrument(counting)
    with trio.fail_after(0.001):
        assert await trio.to_thread.run_sync(partial(go_on.wait, 30))
    trio.lowlevel.remove_instrument(counting)
