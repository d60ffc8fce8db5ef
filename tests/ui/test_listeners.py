"""What `uiServer.options` makes of the sockets that the UI server listens on."""

from __future__ import annotations

import socket
import stat
import struct
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulator.config.model import UiServerConfig
from simulator.ui_server.listeners import CannotListen, Listeners, listen
from simulator.ui_server.settings import UiSettings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes of files and Unix sockets are POSIX")

#: ``struct tcp_info`` of Linux: of a listening socket, ``tcpi_sacked`` is how many connections may wait.
_TCPI_SACKED = 28


async def listening(**options: Any) -> Listeners:
    config = msgspec.convert({"options": {"port": 0, **options}}, UiServerConfig)
    return await listen(UiSettings.of(config))


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells the backlog of a socket")
@pytest.mark.parametrize(("options", "waiting"), [({}, 128), ({"backlog": 7}, 7)])
async def test_so_many_connections_may_wait(options: dict[str, int], waiting: int) -> None:
    with await listening(host="127.0.0.1", **options) as listeners:
        (bound,) = listeners.sockets
        information = bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        assert struct.unpack_from("=I", information, _TCPI_SACKED)[0] == waiting


@pytest.mark.parametrize(("options", "taken"), [({}, True), ({"ipv6Only": True}, False)])
async def test_an_ipv6_address_takes_ipv4_connections_unless_told_otherwise(
    options: dict[str, bool], taken: bool
) -> None:
    try:
        listeners = await listening(host="::", **options)
    except CannotListen as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    with listeners:
        port = listeners.sockets[0].getsockname()[1]
        with socket.socket() as client:
            client.settimeout(5)
            assert (client.connect_ex(("127.0.0.1", port)) == 0) is taken


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, 0o600),
        ({"readableAll": True}, 0o644),
        ({"writableAll": True}, 0o622),
        ({"readableAll": True, "writableAll": True}, 0o666),
    ],
)
async def test_a_unix_socket_is_for_whom_the_options_say(tmp_path: Path, options: dict[str, bool], mode: int) -> None:
    path = tmp_path / "ui.sock"
    with await listening(path=str(path), **options):
        assert stat.S_IMODE(path.stat().st_mode) == mode
