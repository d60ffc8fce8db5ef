"""Opens 35 connections where each address has ten ports; for a network namespace of its own.

Prints how many came from which address, and what is said where a connection may come from one address only.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import sys
from collections import Counter
from pathlib import Path

import trio

from simulator.transport.dialing import Sources, connect_fault

_SIOCSIFFLAGS = 0x8914
_UP_AND_RUNNING = 0x41


def loopback_up() -> None:
    """Switch on the loopback interface, which is off in a new namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))


async def main() -> None:
    """Connect."""
    listeners = await trio.open_tcp_listeners(9000, host="127.0.0.1", backlog=100)
    sources, streams, told = Sources(), [], ""
    for number in range(35):
        host = "localhost" if number % 2 else "127.0.0.1"
        streams.append(await sources.connect(host, 9000, family=0, local=()))
    try:
        await sources.connect("127.0.0.1", 9000, family=0, local=("127.0.0.1",))
    except OSError as error:
        told = connect_fault(error)
    found = Counter(stream.socket.getsockname()[0] for stream in streams)
    sys.stdout.write(json.dumps([found, told]))
    for resource in (*streams, *listeners):
        await resource.aclose()


loopback_up()
Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40009", encoding="ascii")
trio.run(main)
