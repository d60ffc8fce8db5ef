"""What local addresses connections come from, and what is said when there is no port, or no file, left."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio

from simulator.config.ws_options import WebSocketOptions
from simulator.transport import dialing
from simulator.transport.connection import OpenFailed
from simulator.transport.dialing import Sources
from tests.transport.peers import Peer, end_of, open_connection, own_server, raw_server, within

pytestmark = pytest.mark.timeout(30)

#: So many ports has each address in these tests.
PORTS = 3


class Kernel:
    """Hands out a few ports per local address, and counts how often it was asked in vain."""

    def __init__(self) -> None:
        self.used: Counter[str | None] = Counter()
        self.refused = 0

    async def connect(self, address: object, port: int, source: str | None) -> Any:
        await trio.lowlevel.checkpoint()
        if self.used[source] >= PORTS:
            self.refused += 1
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        self.used[source] += 1
        return source


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(dialing, "_connect", kernel.connect)
    return kernel


async def sources_of(sources: Sources, number: int, host: str = "127.0.0.1", local: tuple[str, ...] = ()) -> list[Any]:
    return [await sources.connect(host, 80, family=0, local=local) for _ in range(number)]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is nobody's address")
async def test_further_loopback_addresses_are_taken_when_ports_run_out(kernel: Kernel) -> None:
    sources = Sources()
    taken = await sources_of(sources, 3 * PORTS)
    assert taken == [None] * PORTS + ["127.0.0.2"] * PORTS + ["127.0.0.3"] * PORTS
    # An address that has run out is not asked again and again: that is what takes the kernel long.
    assert kernel.refused == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is nobody's address")
def test_further_loopback_addresses_are_taken_by_a_real_kernel() -> None:
    """In a network of its own, with ten ports for each address; skipped where a user may not make one."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot make a network namespace")
    script = Path(__file__).with_name("few_ports.py")
    environ = {**os.environ, "PYTHONPATH": str(script.parents[2])}
    command = [unshare, "-rn", sys.executable, str(script)]
    run = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=30, check=False)
    assert run.returncode == 0, run.stderr
    taken, told = json.loads(run.stdout)
    assert taken == {"127.0.0.1": 10, "127.0.0.2": 10, "127.0.0.3": 10, "127.0.0.4": 5}
    # Where no further address is this machine's without being asked: one line, with the mend.
    assert "wsOptions.localAddress" in told


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is nobody's address")
async def test_many_at_once_spread_as_well(kernel: Kernel) -> None:
    sources = Sources()
    taken: list[Any] = []

    async def one() -> None:
        taken.extend(await sources_of(sources, 1))

    async with trio.open_nursery() as nursery:
        for _ in range(6 * PORTS):
            nursery.start_soon(one)
    assert set(Counter(taken).values()) == {PORTS}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is nobody's address")
async def test_ports_that_are_free_again_are_found(kernel: Kernel) -> None:
    sources = Sources()
    await sources_of(sources, 2 * PORTS)
    kernel.used.update({f"127.0.0.{number}": PORTS for number in range(2, 255)})
    kernel.used[None] = 0
    assert await sources_of(sources, PORTS) == [None] * PORTS
    with pytest.raises(OSError, match="Cannot assign"):
        await sources_of(sources, 1)


async def test_the_addresses_of_the_options_take_turns_and_help_each_other_out(kernel: Kernel) -> None:
    sources = Sources()
    local = ("192.0.2.1", "192.0.2.2")
    assert await sources_of(sources, 4, "198.51.100.1", local) == [*local, *local]
    kernel.used["192.0.2.1"] = PORTS
    assert await sources_of(sources, 1, "198.51.100.1", local) == ["192.0.2.2"]
    with pytest.raises(OSError, match="Cannot assign") as caught:
        await sources_of(sources, 1, "198.51.100.1", local)
    assert caught.value.errno == errno.EADDRNOTAVAIL


async def test_other_hosts_are_connected_to_from_where_the_system_says(kernel: Kernel) -> None:
    sources = Sources()
    assert await sources_of(sources, PORTS, "198.51.100.1") == [None] * PORTS
    with pytest.raises(OSError, match="Cannot assign"):
        await sources_of(sources, 1, "198.51.100.1")


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (errno.EADDRNOTAVAIL, "list more addresses of this machine in wsOptions.localAddress"),
        (errno.EMFILE, "raise the limit, ulimit -n or LimitNOFILE"),
        (errno.ENFILE, "raise fs.file-max"),
    ],
)
@within(10)
async def test_a_full_machine_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, number: int, part: str) -> None:
    async def full(*_: object) -> Any:
        await trio.lowlevel.checkpoint()
        raise OSError(number, "as the system says")

    monkeypatch.setattr(dialing, "_connect", full)
    with pytest.raises(OpenFailed) as caught:
        async with open_connection("ws://198.51.100.1/CS-1"):
            raise AssertionError
    assert caught.value.stage == "connect"
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is nobody's address")
@within(10)
async def test_several_local_addresses_on_the_wire() -> None:
    remotes = []

    async def note(connection: Any) -> None:
        remotes.append(connection.remote.partition(":")[0])

    local = ("127.0.0.2", "127.0.0.3")
    async with own_server(note) as url:
        for host in ("127.0.0.1", "localhost"):
            named = url.replace("127.0.0.1", host)
            # The turns are those of one process, that is of one dialer.
            dialer_options = WebSocketOptions(local_address=local, family=4)
            async with open_connection(named, options=dialer_options) as connection:
                await end_of(connection)
    assert set(remotes) <= set(local)
    assert len(remotes) == 2


@within(10)
async def test_an_ip_version_that_the_address_is_not_of_is_told() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.read_to_end()

    async with raw_server(refuse) as url:
        with pytest.raises(OpenFailed, match=r"127\.0\.0\.1 is no IPv6 address"):
            async with open_connection(url, options=WebSocketOptions(family=6)):
                raise AssertionError
