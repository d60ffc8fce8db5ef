"""Connections while the hub opens them: every stage has its deadline, and nothing is left of those that end there."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import trio

from simulator.transport.connection import OpenFailed, OpenTimeout
from simulator.transport.dialing import Sources
from simulator.transport.hub import AVAILABLE, Hub, open_hub
from simulator.transport.websocket import Dialer
from tests.transport.peers import OCPP, TEXT, Peer, frame, open_connection, raw_server, settle, silence, within

pytestmark = [pytest.mark.timeout(30), pytest.mark.skipif(not AVAILABLE, reason="the system has no epoll")]


def open_files() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def full_server() -> Iterator[str]:
    """A server that is too busy to take connections: those that come now wait for TCP."""
    with ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/CS-1"


async def opens(dialer: Dialer, url: str, *, open_timeout: float = 20.0) -> None:
    """Open a connection."""
    async with open_connection(url, dialer, open_timeout=open_timeout):
        raise AssertionError("opened")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    while not condition():
        await settle()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full backlog refuses")
@pytest.mark.usefixtures("either_transport")
@within(20)
async def test_tcp_that_does_not_come_about_ends_at_the_open_timeout() -> None:
    with full_server() as url, pytest.raises(OpenTimeout) as caught:
        async with open_connection(url, open_timeout=0.3):
            raise AssertionError("opened")
    assert caught.value.stage == "connect"
    assert str(caught.value) == f"{url}: no TCP connection within 0.3 s"


@pytest.mark.usefixtures("either_transport")
@within(20)
async def test_a_port_where_nobody_listens_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/CS-1"
    with pytest.raises(OpenFailed) as caught:
        async with open_connection(url):
            raise AssertionError("opened")
    assert caught.value.stage == "connect"
    assert str(caught.value) == f"{url}: cannot connect: connection refused"


@within(20)
async def test_each_has_its_own_deadline() -> None:
    ended: list[float] = []

    async def station(dialer: Dialer, url: str, timeout: float) -> None:
        with pytest.raises(OpenTimeout, match=f"within {timeout:g} s"):
            await opens(dialer, url, open_timeout=timeout)
        ended.append(timeout)

    async with raw_server(silence) as url, open_hub() as hub, trio.open_nursery() as nursery:
        for timeout in (30.0, 0.6, 0.2, 0.4):
            nursery.start_soon(station, Dialer(hub=hub), url, timeout)
        await until(lambda: len(ended) == 3)
        assert hub.dialing == 1
        nursery.cancel_scope.cancel()
    assert ended == [0.2, 0.4, 0.6]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full backlog refuses")
@within(20)
async def test_a_cancellation_leaves_nothing_of_any_stage() -> None:
    async with raw_server(silence) as silent, open_hub() as hub:
        with full_server() as full:
            begun = open_files()
            async with trio.open_nursery() as nursery:
                dialer = Dialer(hub=hub)
                for url in (full, silent, full):
                    nursery.start_soon(opens, dialer, url)
                await until(lambda: hub.dialing == 3)
                nursery.cancel_scope.cancel()
            assert (hub.dialing, len(hub)) == (0, 0)
            await until(lambda: open_files() <= begun + 1)  # the other end of the silent one is the server's


@within(20)
async def test_an_answer_may_come_byte_by_byte_with_a_message_behind_it() -> None:
    async def dribble(peer: Peer) -> None:
        answer = peer.accepting(await peer.read_head(), OCPP[0]) + frame(TEXT, b"at once")
        for place in range(len(answer)):
            await peer.send(answer[place : place + 1])
        await peer.read_to_end()

    async with raw_server(dribble) as url, open_hub() as hub, open_connection(url, Dialer(hub=hub)) as connection:
        assert connection.subprotocol == OCPP[0]
        assert (len(hub), hub.dialing) == (1, 0)
        assert await connection.receive() == "at once"


@within(20)
async def test_a_hub_that_is_closed_ends_what_is_being_opened() -> None:
    async with raw_server(silence) as url:
        hub = Hub()
        async with trio.open_nursery() as nursery:

            async def station() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await opens(Dialer(hub=hub), url)

            nursery.start_soon(station)
            await until(lambda: hub.dialing == 1)
            hub.close()


@pytest.mark.parametrize(
    ("host", "family", "local"),
    [
        ("localhost", 0, ()),
        ("127.0.0.1", 6, ()),
        ("::1", 4, ()),
        ("127.0.0.1", 0, ("127.0.0.2",)),
        ("fe80::1%lo", 0, ()),
    ],
)
def test_what_takes_more_than_an_address_is_left_to_others(host: str, family: int, local: tuple[str, ...]) -> None:
    assert Sources().begin(host, 9, family=family, local=local) is None


@within(20)
async def test_only_plain_addresses_are_opened_on_the_spot() -> None:
    async with open_hub() as hub:
        with_hub = Dialer(hub=hub)
        assert [with_hub.opens_on_the_spot(f"{url}/x") for url in ("ws://10.0.0.1:80", "ws://[::1]")] == [True, True]
        for url in ("wss://10.0.0.1/x", "ws://central.example/x", "ws://", "http://10.0.0.1/", "ws://[x/"):
            assert not with_hub.opens_on_the_spot(url)
        assert not Dialer().opens_on_the_spot("ws://10.0.0.1/x")
