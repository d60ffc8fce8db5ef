"""Stations' connections to their central systems: WebSocket over TCP or TLS, opened under one deadline."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit

import trio

from simulator import __version__
from simulator.config.ws_options import WebSocketOptions
from simulator.transport.connection import (
    PROTOCOL_ERROR,
    Connection,
    HandshakeRejected,
    Limits,
    OpenFailed,
    OpenTimeout,
    SubprotocolRefused,
    TlsFailed,
    status_line,
)
from simulator.transport.dialing import Sources, connect_fault, literal
from simulator.transport.hub import Hub
from simulator.transport.hub_connection import HubConnection
from simulator.transport.opening import (
    REFUSAL_BODY,
    EndOfStream,
    ForeignSubprotocol,
    NoHandshake,
    Opening,
    Refusal,
    UpgradeRequest,
    read_refusal,
)
from simulator.transport.tap import ENDED, describe
from simulator.transport.tls import TlsContexts, fault_of, trust_anchor

if TYPE_CHECKING:
    from simulator.transport.link import Link

USER_AGENT = f"ocpp-fleet-simulator/{__version__}"

# Headers that the opening handshake makes itself; as in Node's ws, those of the user do not override them.
_OWN_HEADERS = frozenset({"connection", "upgrade", "host"})
# How long the body of a refusal may lag behind its status before we do without it.
_REFUSAL_BODY_WITHIN = 0.5

_CREDENTIALS = re.compile(r"//[^/?#]*@")
# RFC 9110 §5.1 and §5.5.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")

OpenStream = Callable[[str, int], Awaitable[trio.abc.Stream]]


class Target:
    """Where a URL leads."""

    __slots__ = ("credentials", "host", "host_header", "port", "resource", "secure", "shown")

    def __init__(self, url: str) -> None:
        shown = _CREDENTIALS.sub("//", url)
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError as error:
            raise OpenFailed("url", f"{shown}: not a URL: {error}") from None
        if parts.scheme not in ("ws", "wss"):
            raise OpenFailed("url", f"{shown}: the URL of a central system starts with ws:// or wss://")
        if not parts.hostname:
            raise OpenFailed("url", f"{shown}: the URL names no host")
        self.secure = parts.scheme == "wss"
        self.host: str = parts.hostname
        self.port: int = port if port is not None else (443 if self.secure else 80)
        self.host_header = f"[{self.host}]" if ":" in self.host else self.host
        if port is not None and port != (443 if self.secure else 80):
            self.host_header += f":{port}"
        # What is percent-encoded stays; what may not stand in a request line is encoded.
        self.resource = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        #: For messages: neither credentials nor query.
        self.shown = f"{parts.scheme}://{self.host_header}{self.resource}"
        if parts.query:
            self.resource += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
        self.credentials = _userinfo(parts)


@lru_cache(maxsize=256)
def _plain_address(url: str) -> bool:
    try:
        target = Target(url)
    except OpenFailed:
        return False
    return not target.secure and literal(target.host) is not None


def _userinfo(parts: SplitResult) -> tuple[str, str] | None:
    if parts.username is None and parts.password is None:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")


class Dialer:
    """Opens connections. One per process, shared by all stations: it caches TLS contexts, which are expensive.

    :param open_stream: replaces TCP, given host and port; for tests over memory streams.
    :param limits: bounds of every connection.
    :param hub: serves the connections that it can: those over plain TCP without compression.
    :param hub_only: open no other connections.
    """

    def __init__(
        self,
        *,
        open_stream: OpenStream | None = None,
        limits: Limits | None = None,
        hub: Hub | None = None,
        hub_only: bool = False,
    ) -> None:
        self._open_stream = open_stream
        self._hub = hub
        self._hub_only = hub_only
        self._limits = limits or Limits()
        self._tls = TlsContexts()
        self._sources = Sources()

    def opens_on_the_spot(self, url: str) -> bool:
        """Whether connections to a central system are usually opened by the hub alone, at hardly any cost meanwhile."""
        return self._hub is not None and self._open_stream is None and _plain_address(url)

    @contextlib.asynccontextmanager
    async def open(
        self,
        url: str,
        *,
        subprotocols: Sequence[str],
        options: WebSocketOptions,
        basic_auth: tuple[str, str | bytes] | None = None,
        open_timeout: float = 30.0,
    ) -> AsyncIterator[Connection]:
        """Open a connection for the time of an ``async with``; parameters and failures as for :meth:`dial`.

        Leaving closes with 1000 within ``Limits.close_timeout``, also on cancel and on an exception, which comes out
        as it was raised. Nothing is ever raised into the body except by the connection's own methods.
        """
        failure: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                try:
                    connection = await self.dial(
                        url,
                        nursery=nursery,
                        subprotocols=subprotocols,
                        options=options,
                        basic_auth=basic_auth,
                        open_timeout=open_timeout,
                    )
                    try:
                        yield connection
                    finally:
                        await connection.finish()
                except BaseException as error:
                    # Raised again below, outside the nursery, which would wrap it in a group.
                    failure = error
        except BaseExceptionGroup as group:
            # A connection's tasks raise nothing. What gets here interrupts the process wherever it is:
            # KeyboardInterrupt.
            raise _first_leaf(group) from None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure

    async def dial(
        self,
        url: str,
        *,
        nursery: trio.Nursery,
        subprotocols: Sequence[str],
        options: WebSocketOptions,
        basic_auth: tuple[str, str | bytes] | None = None,
        open_timeout: float = 30.0,
    ) -> Connection:
        """Open a connection, for those who have many: whoever gets it must see to ``finish`` in the end.

        On cancel there is none.

        :param nursery: where the tasks of the connection run, if it has any; it must outlive ``finish``. A cancelled
            nursery does not end them, and they raise nothing.
        :param url: complete, ``ws://`` or ``wss://``; user and password in it are used as Basic credentials if
            neither ``basic_auth`` nor an Authorization header nor ``auth`` is in the options.
        :param subprotocols: in order of preference. The peer must choose one of them unless there are none.
        :param basic_auth: user and password of HTTP Basic authentication, sent unasked. A password of bytes is sent
            as it is (OCPP-J 1.6 §6.2).
        :param open_timeout: wall seconds for everything: name, TCP, TLS, upgrade. A shorter
            ``options.handshake_timeout`` wins.
        :raises OpenFailed: one of its kinds, when no connection comes about.
        """
        target = Target(url)
        if self._hub_only and (target.secure or options.per_message_deflate):
            raise OpenFailed("url", f"{target.shown}: the transport is hub: ws:// without compression; auto takes all")
        request = _request(target, subprotocols, options, basic_auth)
        if options.handshake_timeout is not None:
            open_timeout = min(open_timeout, options.handshake_timeout / 1000)
        hub = None if target.secure or options.per_message_deflate else self._hub
        if hub is None or self._open_stream is not None:
            # What the way of TLS and compression takes is imported and read by the first who goes it, before the peer's
            # time begins.
            from simulator.transport.link import Link
        context = self._tls.get(options) if target.secure else None
        deadline = trio.current_time() + open_timeout
        if hub is not None and self._open_stream is None:
            try:
                sock = self._sources.begin(target.host, target.port, family=options.family, local=options.local_address)
            except OSError as error:
                await trio.lowlevel.checkpoint()
                raise _cannot_connect(target, error) from error
            if sock is not None:
                return await self._open_on_hub(hub, sock, False, target, request, options, deadline, open_timeout)
        stream = await self._connect(target, options, context, deadline, open_timeout)
        if hub is not None and isinstance(stream, trio.SocketStream):
            sock = socket.socket(stream.socket.family, stream.socket.type, 0, stream.socket.detach())
            return await self._open_on_hub(hub, sock, True, target, request, options, deadline, open_timeout)
        link = Link(stream, nursery, request=request, limits=self._limits, max_payload=options.max_payload)
        try:
            if target.secure:
                link.trust_anchor = trust_anchor(stream)
            await _upgrade(link, target, subprotocols, deadline, open_timeout)
        except BaseException:
            await link.finish()
            raise
        return link

    async def _open_on_hub(
        self,
        hub: Hub,
        sock: socket.socket,
        connected: bool,
        target: Target,
        request: UpgradeRequest,
        options: WebSocketOptions,
        deadline: float,
        open_timeout: float,
    ) -> HubConnection:
        """The opening handshake, and TCP before it if need be, without a link; anything but success is raised."""
        try:
            opening = Opening(request)
        except UnicodeError as error:
            sock.close()
            raise OpenFailed("upgrade", f"{target.shown}: no upgrade request can be made of it: {error}") from error
        try:
            dialing = hub.dial(
                sock,
                opening,
                connected=connected,
                deadline=deadline,
                limits=self._limits,
                max_payload=options.max_payload,
            )
        except OSError as error:
            raise OpenFailed("connect", f"{target.shown}: {describe(error)}") from error
        try:
            connection: HubConnection | None = await trio.lowlevel.wait_task_rescheduled(dialing.abort)
        except trio.TooSlowError:
            raise (_no_answer if dialing.connected else _no_tcp)(target, open_timeout) from None
        except OSError as error:
            if dialing.connected:
                raise OpenFailed("upgrade", f"{target.shown}: {describe(error)}") from None
            raise _cannot_connect(target, error) from error
        except ForeignSubprotocol as error:
            raise _foreign_subprotocol(target, str(error)) from None
        except NoHandshake as error:
            raise _no_handshake(target, error) from None
        except EndOfStream:
            raise OpenFailed("upgrade", f"{target.shown}: {ENDED}") from None
        if connection is None:
            raise await _refusal(sock, opening, target, deadline)
        if request.subprotocols and not connection.subprotocol:
            connection.close_soon(PROTOCOL_ERROR, "no subprotocol")
            await connection.finish()
            raise _no_subprotocol(target, request.subprotocols)
        return connection

    async def _connect(
        self,
        target: Target,
        options: WebSocketOptions,
        context: ssl.SSLContext | None,
        deadline: float,
        open_timeout: float,
    ) -> trio.abc.Stream:
        stage = "connect"
        with trio.CancelScope(deadline=deadline):
            stream = await self._dial(target, options)
            if context is None:
                return stream
            stage = "tls"
            return await _secure(stream, context, target, options)
        if stage == "connect":
            raise _no_tcp(target, open_timeout)
        raise OpenTimeout(stage, f"{target.shown}: the TLS handshake did not finish within {open_timeout:g} s")

    async def _dial(self, target: Target, options: WebSocketOptions) -> trio.abc.Stream:
        try:
            if self._open_stream is not None:
                return await self._open_stream(target.host, target.port)
            return await self._sources.connect(
                target.host, target.port, family=options.family, local=options.local_address
            )
        except (socket.gaierror, UnicodeError) as error:
            reason = error.strerror if isinstance(error, socket.gaierror) else str(error)
            raise OpenFailed("resolve", f"{target.shown}: cannot resolve {target.host}: {reason}") from error
        except (OSError, ValueError) as error:
            raise _cannot_connect(target, error) from error


async def _secure(
    stream: trio.abc.Stream, context: ssl.SSLContext, target: Target, options: WebSocketOptions
) -> trio.abc.Stream:
    """TLS handshake; on failure and on cancel the TCP connection is closed."""
    secured = trio.SSLStream(stream, context, server_hostname=options.servername or target.host, https_compatible=True)
    try:
        await secured.do_handshake()
    except BaseException as error:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError | ssl.CertificateError | ValueError):
            raise TlsFailed(f"{target.shown}: TLS handshake failed: {describe(error)}", fault_of(error)) from error
        raise
    return secured


def _request(
    target: Target,
    subprotocols: Sequence[str],
    options: WebSocketOptions,
    basic_auth: tuple[str, str | bytes] | None,
) -> UpgradeRequest:
    headers = {"user-agent": ("User-Agent", USER_AGENT)}
    host = target.host_header
    if options.origin is not None:
        headers["origin"] = ("Origin", options.origin)
    for name, value in options.headers.items():
        if name.lower() == "host":
            host = value
        elif name.lower() not in _OWN_HEADERS and not name.lower().startswith("sec-websocket-"):
            headers[name.lower()] = (name, value)
    for name, value in [*headers.values(), ("Host", host)]:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            # The value stays out of the message: it may be a secret.
            raise OpenFailed("upgrade", f"wsOptions: the header {name!r} has characters that HTTP does not allow")
    credentials: tuple[str, str | bytes] | None = basic_auth
    if credentials is None and "authorization" not in headers:
        if options.auth is not None:
            user, _, password = options.auth.partition(":")
            credentials = (user, password)
        else:
            credentials = target.credentials
    if credentials is not None:
        headers["authorization"] = ("Authorization", _basic(*credentials))
    return UpgradeRequest(
        host=host,
        target=target.resource,
        subprotocols=subprotocols,
        extra_headers=[(name.encode(), value.strip().encode()) for name, value in headers.values()],
        deflate=options.per_message_deflate,
    )


def _basic(user: str, password: str | bytes) -> str:
    secret = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(user.encode() + b":" + secret).decode()


async def _upgrade(
    link: Link, target: Target, subprotocols: Sequence[str], deadline: float, open_timeout: float
) -> None:
    """Wait for the result of the opening handshake; anything but success is raised."""
    with trio.CancelScope(deadline=deadline) as scope:
        await link.opened.wait()
    if scope.cancelled_caught:
        raise _no_answer(target, open_timeout)
    if link.established:
        if subprotocols and not link.subprotocol:
            link.close_soon(PROTOCOL_ERROR, "no subprotocol")
            raise _no_subprotocol(target, subprotocols)
        return
    if link.refusal is not None:
        with trio.move_on_after(_REFUSAL_BODY_WITHIN):
            await link.done.wait()
        raise _rejected(target, link.refusal)
    if link.breach.startswith("unrecognized subprotocol"):
        raise _foreign_subprotocol(target, link.breach.rpartition(" ")[2])
    if link.stream.tls_fault:
        raise TlsFailed(
            f"{target.shown}: the central system refused the TLS connection: {link.stream.fault}",
            fault_of(link.stream.broken_by),
        )
    fault = f"not a WebSocket handshake: {link.breach}" if link.breach else link.stream.fault
    raise OpenFailed("upgrade", f"{target.shown}: {fault}")


async def _refusal(sock: socket.socket, opening: Opening, target: Target, deadline: float) -> OpenFailed:
    """What an answer other than 101 says."""
    async with trio.SocketStream(trio.socket.from_stdlib_socket(sock)) as stream:
        try:
            with trio.CancelScope(deadline=min(deadline, trio.current_time() + _REFUSAL_BODY_WITHIN)):
                await read_refusal(stream, opening, REFUSAL_BODY)
        except NoHandshake as error:
            return _no_handshake(target, error)
    refusal = Refusal(opening.status, opening.headers)
    refusal.body = opening.body[:REFUSAL_BODY]
    return _rejected(target, refusal)


def _no_tcp(target: Target, open_timeout: float) -> OpenTimeout:
    return OpenTimeout("connect", f"{target.shown}: no TCP connection within {open_timeout:g} s")


def _cannot_connect(target: Target, error: OSError | ValueError) -> OpenFailed:
    return OpenFailed("connect", f"{target.shown}: cannot connect: {connect_fault(error)}")


def _no_handshake(target: Target, error: NoHandshake) -> OpenFailed:
    return OpenFailed("upgrade", f"{target.shown}: not a WebSocket handshake: {error}")


def _no_answer(target: Target, open_timeout: float) -> OpenTimeout:
    return OpenTimeout("upgrade", f"{target.shown}: no answer to the WebSocket upgrade within {open_timeout:g} s")


def _no_subprotocol(target: Target, subprotocols: Sequence[str]) -> SubprotocolRefused:
    return SubprotocolRefused(
        f"{target.shown}: the central system chose none of the subprotocols {', '.join(subprotocols)}"
    )


def _foreign_subprotocol(target: Target, chosen: str) -> SubprotocolRefused:
    return SubprotocolRefused(
        f"{target.shown}: the central system chose the subprotocol {chosen}, which was not offered"
    )


def _rejected(target: Target, refusal: Refusal) -> HandshakeRejected:
    message = f"{target.shown}: the central system answered HTTP {status_line(refusal.status)}"
    location = next((value for name, value in refusal.headers if name.lower() == b"location"), b"")
    if 300 <= refusal.status < 400 and location:
        message += f" (to {location.decode('latin-1')})"
    first_line = refusal.body.decode("utf-8", "replace").strip().partition("\n")[0].strip()
    if first_line and first_line.isprintable():
        message += f": {first_line[:200]}"
    return HandshakeRejected(message, status=refusal.status, body=refusal.body)


def _first_leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
