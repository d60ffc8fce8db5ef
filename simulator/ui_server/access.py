"""From where the server may be used: hosts, origins, encryption, proxies. Decides; touches no network.

A page on any web site can make a browser send requests to a server on the user's machine. The browser says which page
it was (Origin), and a name that the attacker points to 127.0.0.1 shows in Host; so both are checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from simulator.ui_server.settings import UiSettings, is_loopback, read_address


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request comes from. ``peer``: the address at the other end; empty for a Unix socket."""

    peer: str
    encrypted: bool
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """The values of a header, whose name is in lower case."""
        return [value for header, value in self.headers if header == name]

    def one(self, name: str) -> str | None:
        """The only value of a header; None if there is none."""
        found = self.all(name)
        return found[0] if found else None


class Denied(Exception):
    """The request is not answered; the text says why in one line."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A request that may go on. ``client``: the address that counts, behind a trusted proxy the one that it names.

    ``cors``: the origin whose page may read the answer.
    """

    client: str
    encrypted: bool
    cors: str | None


class AccessPolicy:
    """The rules of one server."""

    def __init__(self, settings: UiSettings) -> None:
        self._settings = settings
        self._loopback = settings.loopback
        self._hosts = frozenset(_host_name(host) for host in settings.allowed_hosts)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.allowed_origins)
        self._proxies = frozenset(address for proxy in settings.trusted_proxies if (address := read_address(proxy)))

    def admit(self, visitor: Visitor) -> Admitted:
        """Let a request in. :raises Denied: with the HTTP status and the reason."""
        for name in ("host", "origin"):
            if len(visitor.all(name)) > 1:
                raise Denied(400, f"more than one {name.title()} header")
        client, encrypted = self._client(visitor)
        if self._settings.require_tls_for_non_loopback and not encrypted and client and not is_loopback(client):
            raise Denied(403, "other machines must use TLS (uiServer.accessPolicy.requireTlsForNonLoopback is true)")
        host = visitor.one("host") or ""
        self._check_host(host)
        return Admitted(
            client=client, encrypted=encrypted, cors=self._check_origin(visitor.one("origin"), host, encrypted)
        )

    # -- proxies -----------------------------------------------------------------------------------------------------

    def _client(self, visitor: Visitor) -> tuple[str, bool]:
        """The client's address, and whether its way was encrypted."""
        peer = read_address(visitor.peer)
        if peer is None or peer not in self._proxies:
            return visitor.peer, visitor.encrypted
        if peer.is_loopback and not self._settings.allow_loopback_proxy:
            return visitor.peer, visitor.encrypted
        named, schemes = visitor.all("x-forwarded-for"), visitor.all("x-forwarded-proto")
        if not named and not schemes:
            return visitor.peer, visitor.encrypted
        # One hop: of a list nobody can say which entries the client itself has made up.
        if len(named) != 1 or "," in named[0] or len(schemes) > 1 or visitor.all("forwarded"):
            raise Denied(400, "ambiguous forwarding headers: the proxy must send one X-Forwarded-For with one address")
        address = read_address(named[0])
        if address is None:
            raise Denied(400, "X-Forwarded-For is no address")
        return str(address), bool(schemes) and schemes[0].strip().lower() in {"https", "wss"}

    # -- host --------------------------------------------------------------------------------------------------------

    def _check_host(self, host: str) -> None:
        name = _host_name(host)
        if is_loopback(name) or name in self._hosts:
            return
        if self._settings.path is not None or (not name and self._loopback):
            return
        # Only names can be pointed elsewhere by others; who writes an address means it.
        if not self._loopback and (read_address(name) is not None or name == _host_name(self._settings.host)):
            return
        raise Denied(403, f"the host name {name[:100]!r} is not in uiServer.accessPolicy.allowedHosts")

    # -- origin ------------------------------------------------------------------------------------------------------

    def _check_origin(self, origin: str | None, host: str, encrypted: bool) -> str | None:
        if origin is None:
            return None
        plain = origin.strip().rstrip("/").lower()
        if plain in self._origins:
            return origin.strip()
        try:
            parts = urlsplit(plain)
            name, port = parts.hostname or "", parts.port
        except ValueError:
            name, port, parts = "", None, urlsplit("")
        if parts.scheme in {"http", "https"} and name:
            if self._loopback and is_loopback(name):
                return None
            authority = f"{_host_name(host)}:{_port(host) or (443 if encrypted else 80)}"
            if f"{name}:{port or (443 if parts.scheme == 'https' else 80)}" == authority:
                return None
        raise Denied(403, f"pages of {origin[:100]!r} are not in uiServer.accessPolicy.allowedOrigins")


def _host_name(host: str) -> str:
    """The name of a Host header without port and brackets, in lower case."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text


def _port(host: str) -> int | None:
    text = host.strip().rpartition("]")[2]
    port = text.rpartition(":")[2] if ":" in text else ""
    return int(port) if port.isascii() and port.isdecimal() else None


def lower_headers(headers: Iterable[tuple[bytes | str, bytes | str]]) -> tuple[tuple[str, str], ...]:
    """Headers with names in lower case, as :class:`Visitor` wants them."""
    return tuple((_text(name).lower(), _text(value)) for name, value in headers)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
