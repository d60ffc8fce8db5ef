"""TCP connections to central systems, from as many local addresses as they need.

A connection takes a local port that no other connection to the same central system from the same address has: some
28,000 by default (``net.ipv4.ip_local_port_range``). Larger fleets need several addresses.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count

import trio

# The kernel chooses the port when it knows the peer, and so shares ports among peers; Python has the name since 3.12.
_BIND_ADDRESS_NO_PORT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24 if sys.platform == "linux" else None)

_NO_PORT_LEFT = (errno.EADDRNOTAVAIL, errno.EADDRINUSE)
_PORTS_MEND = (
    " (the local ports are used up: list more addresses of this machine in wsOptions.localAddress, "
    "or widen net.ipv4.ip_local_port_range)"
)
_MENDS = {
    errno.EADDRNOTAVAIL: _PORTS_MEND,
    errno.EADDRINUSE: _PORTS_MEND,
    errno.EMFILE: " (this process may open no more: raise the limit, ulimit -n or LimitNOFILE)",
    errno.ENFILE: " (this machine may open no more: raise fs.file-max)",
}
# On Linux every address of 127.0.0.0/8 is this machine's. So many are tried at once; each has its own ports.
_LOOPBACK_SOURCES = 253
_SOURCES_AT_ONCE = 8


class Sources:
    """Connects, and keeps in mind which local addresses still have ports. One per process."""

    def __init__(self) -> None:
        self._turns = count()
        # How many loopback addresses have run out of ports: the next connection comes from the one after them.
        self._used_up = 0

    async def connect(self, host: str, port: int, *, family: int, local: Sequence[str]) -> trio.SocketStream:
        """Connect to a central system. On cancel nothing stays open.

        :param family: the IP version, 4, 6 or 0 for either.
        :param local: addresses to connect from, in turn; without any the system chooses, and to a loopback address
            others are taken once its ports are used up.
        :raises OSError, ValueError: as trio and the operating system say it.
        """
        address = literal(host)
        if address is None and (family or len(local) > 1):
            return await self._by_name(host, port, family, local)
        if address is None:
            try:
                return await trio.open_tcp_stream(host, port, local_address=local[0] if local else None)
            except OSError as error:
                if host != "localhost" or local or not _no_port_left(error):
                    raise
            address = ipaddress.IPv4Address("127.0.0.1")
        if family and family != address.version:
            raise OSError(f"{host} is no IPv{family} address")
        return await self._to_address(address, port, local)

    def begin(self, host: str, port: int, *, family: int, local: Sequence[str]) -> socket.socket | None:
        """Begin to connect where that needs no waiting: to an address, from the one that the system chooses.

        Returns None where it takes more than that, and :meth:`connect` has to be asked.
        :raises OSError: as the operating system says it.
        """
        address = literal(host)
        if address is None or local or self._used_up or family not in (0, address.version) or "%" in host:
            return None
        try:
            return _begin(socket.AF_INET if address.version == 4 else socket.AF_INET6, (str(address), port))
        except OSError as error:
            if error.errno in _NO_PORT_LEFT:
                return None
            raise

    async def _by_name(self, host: str, port: int, family: int, local: Sequence[str]) -> trio.SocketStream:
        """The addresses of a name in the resolver's order."""
        kind = {4: socket.AF_INET, 6: socket.AF_INET6}.get(family, socket.AF_UNSPEC)
        found = await trio.socket.getaddrinfo(host, port, kind, socket.SOCK_STREAM)
        failed: OSError | None = None
        for *_, address in found:
            try:
                return await self._to_address(ipaddress.ip_address(str(address[0])), port, local)
            except OSError as error:
                failed = failed or error
        raise failed or OSError(f"{host} has no IPv{family} address")

    async def _to_address(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, local: Sequence[str]
    ) -> trio.SocketStream:
        failed: OSError | None = None
        for source in self._sources(address, local):
            try:
                return await _connect(address, port, source)
            except OSError as error:
                if error.errno not in _NO_PORT_LEFT:
                    raise
                failed = error
        assert failed is not None
        raise failed

    def _sources(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, local: Sequence[str]
    ) -> Iterator[str | None]:
        """Where to connect from. The next one is asked for when the last has no port left."""
        if local:
            first = next(self._turns)
            yield from (local[(first + step) % len(local)] for step in range(len(local)))
        elif address.version == 4 and address.is_loopback and sys.platform == "linux":
            for _ in range(_SOURCES_AT_ONCE):
                number = self._used_up
                yield _loopback(number)
                # Of all that connect at the same time, only the first moves on.
                if number == self._used_up:
                    self._used_up = (number + 1) % (_LOOPBACK_SOURCES + 1)
            # The first may have ports again.
            yield None
        else:
            yield None


def _loopback(number: int) -> str | None:
    """127.0.0.2 and so on; before them the system's choice, which is 127.0.0.1."""
    return f"127.0.0.{number + 1}" if number else None


@lru_cache(maxsize=256)
def literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


async def _connect(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, source: str | None
) -> trio.SocketStream:
    sock = trio.socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        if source is not None:
            await _bind(sock, source)
        await sock.connect((str(address), port))
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


def _begin(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    """A non-blocking socket that connects."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with suppress(OSError):
            # As trio has it for its streams.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2**14)
        with suppress(BlockingIOError):
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _bind(sock: trio.socket.SocketType, source: str) -> None:
    if _BIND_ADDRESS_NO_PORT is not None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
    try:
        await sock.bind((source, 0))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise
        # Not the errno: this is no lack of ports.
        reason = (error.strerror or str(error)).lower()
        raise OSError(f"the local address {source} cannot be used: {reason}") from error


def _no_port_left(error: OSError) -> bool:
    return any(isinstance(each, OSError) and each.errno in _NO_PORT_LEFT for each in _causes(error))


def connect_fault(error: OSError | ValueError) -> str:
    """The distinct reasons why no address of a host could be connected to, and what to do if the machine is full."""
    reasons = []
    for each in _causes(error):
        number = each.errno if isinstance(each, OSError) else None
        reason = os.strerror(number).lower() if number else str(each)
        reasons.append(reason + _MENDS.get(number or 0, ""))
    return "; ".join(dict.fromkeys(reasons))


def _causes(error: BaseException) -> Sequence[BaseException]:
    cause = error.__cause__
    return cause.exceptions if isinstance(cause, BaseExceptionGroup) else (error,)
