"""Where the server listens: sockets bound before anything else is set up, so that a mistake is one clear line."""

from __future__ import annotations

import contextlib
import os
import socket
import stat

import trio

from simulator.ui_server.settings import UiSettings

#: Attempts to find a port that is free on both loopback addresses.
_ATTEMPTS = 20


class CannotListen(Exception):
    """The address cannot be bound; the text is one line for the user."""


class Listeners:
    """The bound sockets of one server; a context manager that closes them."""

    def __init__(self, sockets: list[socket.socket], urls: list[str], path: str | None = None) -> None:
        self.sockets = sockets
        #: Where clients reach them.
        self.urls = urls
        self._path = path

    def __enter__(self) -> Listeners:
        return self

    def __exit__(self, *_: object) -> None:
        for bound in self.sockets:
            bound.close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


async def listen(settings: UiSettings) -> Listeners:
    """Bind what the settings name. ``localhost`` is 127.0.0.1 and, where there is one, ::1.

    :raises CannotListen: nothing can listen there.
    """
    if settings.path is not None:
        return _unix(settings, settings.path)
    scheme = "http" if settings.tls is None else "https"
    try:
        if settings.host.strip().rstrip(".").lower() == "localhost":
            sockets = _both_loopbacks(settings)
        else:
            sockets = await _resolved(settings)
    except OSError as error:
        raise CannotListen(
            f"{settings.host}:{settings.port}: the UI server cannot listen here ({error.strerror or error});"
            " choose another uiServer.options.host or port"
        ) from None
    return Listeners(sockets, [f"{scheme}://{_shown(bound)}" for bound in sockets])


def _both_loopbacks(settings: UiSettings) -> list[socket.socket]:
    for attempt in range(_ATTEMPTS):
        first = _bound(socket.AF_INET, ("127.0.0.1", settings.port), settings)
        port = first.getsockname()[1]
        try:
            return [first, _bound(socket.AF_INET6, ("::1", port), settings)]
        except OSError as error:
            if _is_taken(error):
                first.close()
                if settings.port == 0 and attempt < _ATTEMPTS - 1:
                    continue
                raise
            return [first]  # this machine has no IPv6
    raise AssertionError("not reached")


def _is_taken(error: OSError) -> bool:
    import errno

    return error.errno in {errno.EADDRINUSE, errno.EACCES}


async def _resolved(settings: UiSettings) -> list[socket.socket]:
    host = settings.host.strip().strip("[]")
    found = await trio.socket.getaddrinfo(host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            sockets.append(_bound(family, address, settings))
            if settings.port == 0:
                break
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bound(family: int, address: tuple[object, ...], settings: UiSettings) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        if os.name == "posix":  # elsewhere it would let two programs share the port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            only = settings.ipv6_only or address[0] == "::1"
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only))
        made.bind(address)
        made.listen(settings.backlog)
    except OSError:
        made.close()
        raise
    return made


def _unix(settings: UiSettings, path: str) -> Listeners:
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.unlink(path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            made.bind(path)
            mode = 0o600 | (0o044 if settings.readable_all else 0) | (0o022 if settings.writable_all else 0)
            os.chmod(path, mode)
            made.listen(settings.backlog)
        except OSError:
            made.close()
            raise
    except (OSError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "this system has no Unix sockets"
        raise CannotListen(f"{path}: the UI server cannot listen here ({reason})") from None
    return Listeners([made], [f"unix:{path}"], path)


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
