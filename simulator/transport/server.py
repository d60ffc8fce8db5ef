"""A WebSocket server for the embedded central system and for tests: many connections, each on its own."""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec
import trio

from simulator.supervision import contained, leaves, one_line
from simulator.transport.connection import (
    GOING_AWAY,
    INTERNAL_ERROR,
    PROTOCOL_ERROR,
    Connection,
    ConnectionClosed,
    Limits,
)
from simulator.transport.link import DEFAULT_MAX_PAYLOAD, Link
from simulator.transport.tap import describe

log = logging.getLogger("simulator.transport.server")

# How long a failed TLS handshake may take to tell the client why.
_ALERT_WITHIN = 1.0


class HandshakeRequest:
    """What a client asks for, before it is answered."""

    __slots__ = ("headers", "path", "remote", "subprotocols")

    def __init__(self, path: str, headers: list[tuple[str, str]], subprotocols: tuple[str, ...], remote: str) -> None:
        #: As sent: percent-encoded, with its query.
        self.path = path
        #: Names in lower case.
        self.headers = headers
        #: In the client's order of preference.
        self.subprotocols = subprotocols
        #: ``127.0.0.1:50000``; empty when the stream is no socket.
        self.remote = remote

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def basic_auth(self) -> tuple[str, bytes] | None:
        """User and password of HTTP Basic authentication; None when there are none or they are not readable."""
        scheme, _, encoded = (self.header("authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, found, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
            return (user.decode(), password) if found else None
        except (binascii.Error, UnicodeDecodeError):
            return None


class ServerConnection(Connection, Protocol):
    """The server's end of a connection."""

    path: str
    headers: list[tuple[str, str]]
    remote: str


class _ServerLink(Link):
    """A link with what its request said."""

    __slots__ = ("headers", "path", "remote")

    path: str
    headers: list[tuple[str, str]]
    remote: str


Handler = Callable[[ServerConnection], Awaitable[None]]
Authorize = Callable[[HandshakeRequest], tuple[int, str] | None]


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How connections are accepted; times are wall seconds."""

    subprotocols: tuple[str, ...] = ()
    """What the server speaks. The client's first choice among them is taken; with none in common the connection is
    accepted without a subprotocol and closed at once (OCPP-J 1.6 §3.1.2). Empty: no subprotocol is asked for."""
    ssl_context: ssl.SSLContext | None = None
    authorize: Authorize | None = None
    """Looks at a request; a status and a body refuse it. 401 gets its ``WWW-Authenticate`` header."""
    handshake_timeout: float = 10.0
    """For TLS and the upgrade request together."""
    max_payload: int = DEFAULT_MAX_PAYLOAD
    compress: bool = False
    """Accept permessage-deflate (RFC 7692) when offered."""
    limits: Limits = Limits()


async def serve_websockets(
    handler: Handler,
    *,
    host: str | None,
    port: int,
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    authorize: Authorize | None = None,
    options: ServerOptions | None = None,
    task_status: trio.TaskStatus[list[tuple[str, int]]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; ``task_status.started`` gives the bound addresses.

    ``handler`` runs once per connection, in a task of its own. When it returns the connection is closed with 1000;
    when it raises, that is logged and the connection closed with 1011; no other connection notices. On cancel every
    handler is cancelled and its connection closed with 1001, all at the same time, within ``Limits.close_timeout``.

    :param host: address or name to bind, ``None`` for all interfaces.
    :param port: 0 for a free one.
    :param options: everything else; the parameters of the same name go first.
    :raises OSError: when the address cannot be bound.
    """
    settings = _settings(options, subprotocols, ssl_context, authorize)
    # trio asks the kernel for the longest backlog it allows, as thousands of stations connect at once.
    listeners = await trio.open_tcp_listeners(port, host=host)
    async with trio.open_nursery() as nursery:

        async def serve(stream: trio.SocketStream) -> None:
            await _serve_one(stream, nursery, handler, settings)

        await nursery.start(partial(trio.serve_listeners, serve, listeners))
        task_status.started([listener.socket.getsockname()[:2] for listener in listeners])


async def serve_stream(
    stream: trio.abc.Stream,
    handler: Handler,
    *,
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    authorize: Authorize | None = None,
    options: ServerOptions | None = None,
) -> None:
    """Serve one stream, which may be one in memory, to its end; otherwise as :func:`serve_websockets`."""
    settings = _settings(options, subprotocols, ssl_context, authorize)
    async with trio.open_nursery() as nursery:
        await _serve_one(stream, nursery, handler, settings)


def _settings(
    options: ServerOptions | None,
    subprotocols: Sequence[str],
    ssl_context: ssl.SSLContext | None,
    authorize: Authorize | None,
) -> ServerOptions:
    options = options or ServerOptions()
    return msgspec.structs.replace(
        options,
        subprotocols=tuple(subprotocols) or options.subprotocols,
        ssl_context=ssl_context or options.ssl_context,
        authorize=authorize or options.authorize,
    )


async def _serve_one(stream: trio.abc.Stream, nursery: trio.Nursery, handler: Handler, options: ServerOptions) -> None:
    """One connection from its first byte to its last. Raises nothing but a cancellation from outside."""
    remote = _remote(stream)
    deadline = trio.current_time() + options.handshake_timeout
    if options.ssl_context is not None:
        secured = await _secure(stream, options.ssl_context, deadline, remote)
        if secured is None:
            return
        stream = secured
    link = _ServerLink(stream, nursery, request=None, limits=options.limits, max_payload=options.max_payload)
    try:
        request = await _receive_request(link, deadline, remote)
        if request is not None and _answer(link, request, options):
            await _handle(link, handler)
    except Exception:
        # Ours to mend, but no reason to end the other connections.
        log.exception("serving %s failed", remote)
        link.fail(INTERNAL_ERROR, "internal error")
    except BaseException:
        # Cancelled, by the end of the server.
        link.close_soon(GOING_AWAY, "the server is shutting down")
        raise
    finally:
        await link.finish()


async def _receive_request(link: _ServerLink, deadline: float, remote: str) -> HandshakeRequest | None:
    with trio.CancelScope(deadline=deadline):
        await link.opened.wait()
    event = link.request
    if event is None:
        log.debug("no WebSocket request from %s: %s", remote, link.breach or "it sent none in time")
        return None
    headers = [("host", event.host)]
    headers += [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in event.extra_headers]
    # wsproto takes these apart; they belong to what the client sent all the same.
    if event.subprotocols:
        headers.append(("sec-websocket-protocol", ", ".join(event.subprotocols)))
    if event.extensions:
        headers.append(("sec-websocket-extensions", ", ".join(map(str, event.extensions))))
    link.path, link.headers, link.remote = event.target, headers, remote
    return HandshakeRequest(event.target, headers, tuple(event.subprotocols), remote)


def _answer(link: _ServerLink, request: HandshakeRequest, options: ServerOptions) -> bool:
    """Accept or refuse; tells whether there is a connection to handle."""
    try:
        refusal = options.authorize(request) if options.authorize is not None else None
    except Exception:
        log.exception("the authorization of %s failed", request.path)
        refusal = (500, "the central system failed to check this request")
    if refusal is not None:
        status, body = refusal
        challenge = [(b"WWW-Authenticate", b'Basic realm="OCPP"')] if status == 401 else []
        link.reject(status, body.encode(), challenge)
        return False
    chosen = next((name for name in request.subprotocols if name in options.subprotocols), None)
    link.accept(chosen, compress=options.compress)
    if options.subprotocols and chosen is None:
        link.close_soon(PROTOCOL_ERROR, f"this server speaks {', '.join(options.subprotocols)}")
        return False
    return True


async def _handle(link: _ServerLink, handler: Handler) -> None:
    error = await contained(partial(handler, link))
    if error is None or all(isinstance(leaf, ConnectionClosed) for leaf in leaves(error)):
        return
    log.error("the handler of %s crashed: %s", link.path, one_line(error), exc_info=error)
    link.close_soon(INTERNAL_ERROR, "internal error")


async def _secure(
    stream: trio.abc.Stream, context: ssl.SSLContext, deadline: float, remote: str
) -> trio.abc.Stream | None:
    """TLS handshake; None when it failed. Then, and on cancel, the stream is closed."""
    secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    done = False
    try:
        with trio.CancelScope(deadline=deadline):
            try:
                await secured.do_handshake()
                done = True
            except trio.BrokenResourceError as error:
                log.debug("TLS handshake with %s failed: %s", remote, describe(error))
                await _send_alert(secured, stream)
    finally:
        if not done:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
    return secured if done else None


async def _send_alert(secured: trio.SSLStream[trio.abc.Stream], stream: trio.abc.Stream) -> None:
    """Tell the client why its handshake failed: trio leaves the alert in the buffer between OpenSSL and the stream."""
    outgoing = getattr(secured, "_outgoing", None)
    alert = outgoing.read() if isinstance(outgoing, ssl.MemoryBIO) else b""
    with trio.move_on_after(_ALERT_WITHIN), contextlib.suppress(trio.BrokenResourceError):
        await stream.send_all(alert)
        # Closing with unread data resets the connection, and the reset would overtake the alert.
        while await stream.receive_some():
            pass


def _remote(stream: trio.abc.Stream) -> str:
    if not isinstance(stream, trio.SocketStream):
        return ""
    try:
        host, port, *_ = stream.socket.getpeername()
    except OSError:
        # Gone already.
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
