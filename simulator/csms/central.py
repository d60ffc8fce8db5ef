"""The embedded central system: a back office with connections.

One task per connection reads, looks up the answer and queues it; nothing on that path waits. The station's identity is
the last segment of the path it connects to, percent-decoded (OCPP-J 1.6 §3.1.1); what comes before is free.
"""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Literal, Unpack
from urllib.parse import unquote

import trio

from simulator.csms.backoffice import BackOffice, OfficeOptions
from simulator.csms.link import Link, StationNotConnected
from simulator.csms.station import Station
from simulator.csms.violations import ViolationKind
from simulator.ids import MessageIds
from simulator.ocpp.errors import CallRefused, ErrorCode
from simulator.ocpp.frames import Call, CallError, CallResult, Malformed, encode_error, encode_result, parse_frame
from simulator.transport.connection import ConnectionClosed, Limits
from simulator.transport.server import (
    Authorize,
    HandshakeRequest,
    ServerConnection,
    ServerOptions,
    serve_stream,
    serve_websockets,
)

SUBPROTOCOL = "ocpp1.6"

Direction = Literal["in", "out"]

SERVER_OPTIONS = ServerOptions(subprotocols=(SUBPROTOCOL,), limits=Limits(close_timeout=2.0))

# A message takes a moment to arrive, so the station's deadline is a little earlier than it seems from here.
_SLACK = 0.5

# Messages of one station in a row before others get their turn.
_TURN = 64


def station_id_of(path: str) -> str:
    """The identity in the path of an upgrade request; empty when the path ends with a slash."""
    return unquote(path.partition("?")[0].rpartition("/")[2])


class CentralSystem(BackOffice):
    """Accepts stations of OCPP 1.6 and answers them; takes the options of :class:`BackOffice`.

    :param on_frame: told of every frame as (station, direction, text or bytes); it must not block.
    :param station_timeout: seconds after which a station may give up waiting for an answer and send its next CALL.
    """

    def __init__(
        self,
        *,
        on_frame: Callable[[Station, Direction, str | bytes], None] | None = None,
        station_timeout: float = 30.0,
        **options: Unpack[OfficeOptions],
    ) -> None:
        super().__init__(**options)
        self._on_frame = on_frame
        self._station_timeout = station_timeout
        self._ids = MessageIds()
        self._scopes: dict[Link, trio.CancelScope] = {}

    # -- serving ---------------------------------------------------------------------------------------------------

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        ssl_context: ssl.SSLContext | None = None,
        authorize: Authorize | None = None,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen for stations until cancelled. The started value is the URL to connect to, ``ws://127.0.0.1:PORT/``.

        :param port: 0 takes a free one.
        :param ssl_context: serves ``wss`` with it.
        :param authorize: looks at each upgrade request; a (status, body) refuses it. :func:`passwords` makes one.
        :raises OSError: the address cannot be bound.

        On cancel the stations are told with close code 1001, all at once and within two seconds.
        """
        await serve_websockets(
            self.handle,
            host=host,
            port=port,
            ssl_context=ssl_context,
            authorize=authorize,
            options=SERVER_OPTIONS,
            task_status=_UrlStatus(task_status, "ws" if ssl_context is None else "wss"),
        )

    async def serve_stream(self, stream: trio.abc.Stream, *, authorize: Authorize | None = None) -> None:
        """Serve one station over a stream that is open already; returns when its connection has ended."""
        await serve_stream(stream, self.handle, authorize=authorize, options=SERVER_OPTIONS)

    # -- connections -----------------------------------------------------------------------------------------------

    async def handle(self, connection: ServerConnection) -> None:
        """Serve a connection until it ends: the handler for the transport's server."""
        station_id = station_id_of(connection.path)
        if not station_id:
            await connection.aclose(1008, "the path names no station")
            return
        station = self.station(station_id)
        station.connections += 1
        posted = None if self._on_frame is None else partial(self._on_frame, station, "out")
        link = Link(connection, station.connections, self._ids, posted)
        with trio.CancelScope() as scope:
            self._attach(station, link, scope)
            try:
                for number in count(1):
                    self._take(station, link, await connection.receive())
                    if number % _TURN == 0:
                        # Messages that have arrived are received without a pause; a flood must not stop all others.
                        await trio.lowlevel.checkpoint()
            except (ConnectionClosed, StationNotConnected):
                pass
            finally:
                self._detach(station, link)
        if scope.cancelled_caught:
            await connection.aclose(1000, "the station has connected again")

    def _attach(self, station: Station, link: Link, scope: trio.CancelScope) -> None:
        former = station.link
        self._scopes[link] = scope
        station.link = link
        if former is not None:
            # A station that connects again has lost the old line, whether or not we have noticed.
            former.end()
            self._scopes[former].cancel()
        self.station_connected(station)

    def _detach(self, station: Station, link: Link) -> None:
        del self._scopes[link]
        link.end()
        if station.link is link:
            station.link = None
            self.station_lost(station)

    def station_connected(self, station: Station) -> None:
        """Called when a station has connected, also when that connection replaces another; for subclasses."""

    def station_lost(self, station: Station) -> None:
        """Called when a station has lost its connection and has no other; for subclasses."""

    # -- messages --------------------------------------------------------------------------------------------------

    def _take(self, station: Station, link: Link, text: str | bytes) -> None:
        station.last_seen = self.now()
        if self._on_frame is not None:
            self._on_frame(station, "in", text)
        if isinstance(text, bytes):
            self.note(station, ViolationKind.MALFORMED_FRAME, f"a binary frame of {len(text)} bytes")
            return
        frame = parse_frame(text)
        if isinstance(frame, Call):
            self._take_call(station, link, frame, text)
        elif isinstance(frame, CallResult | CallError):
            self._take_answer(station, link, frame)
        elif isinstance(frame, Malformed):
            self.note(station, ViolationKind.MALFORMED_FRAME, frame.reason, message_id=frame.message_id)
            if frame.answerable and frame.message_id is not None:
                self.refused[frame.code] += 1
                link.send(encode_error(frame.message_id, frame.code, frame.reason, {}))
        else:
            self.note(station, ViolationKind.UNKNOWN_MESSAGE_TYPE, f"message type {frame.message_type}")

    def _take_call(self, station: Station, link: Link, call: Call, text: str) -> None:
        action = call.action
        self.received[action] += 1
        station.received[action] += 1
        if link.unanswered:
            waiting = link.still_unanswered(self._station_timeout - _SLACK)
            if call.message_id in link.unanswered:
                self._note_call(station, call, ViolationKind.REUSED_MESSAGE_ID, "the call of that id has no answer yet")
                self.refused[ErrorCode.PROTOCOL_ERROR] += 1
                link.send(encode_error(call.message_id, ErrorCode.PROTOCOL_ERROR, "this id is being processed", {}))
                return
            if waiting is not None:
                self._note_call(station, call, ViolationKind.SECOND_CALL, f"{waiting.action} has no answer yet")
        if self.validate and not station.is_new_id(call.message_id, text):
            self._note_call(station, call, ViolationKind.REUSED_MESSAGE_ID, "an earlier call had that id")
        answer = self.respond(station, link, call)
        if answer is None:
            link.leave_unanswered(call)
        else:
            link.send(answer)

    def respond(self, station: Station, link: Link, call: Call) -> str | None:
        """The frame that answers a CALL; None if :meth:`Link.answer` will bring it later, or nothing ever will."""
        try:
            return encode_result(call.message_id, self.answer(station, call))
        except CallRefused as refusal:
            self.refused[refusal.code] += 1
            return encode_error(call.message_id, refusal.code, refusal.description, refusal.details)

    def _take_answer(self, station: Station, link: Link, frame: CallResult | CallError) -> None:
        action = link.take_answer(frame)
        if action is None:
            self.note(station, ViolationKind.UNASKED_ANSWER, "nothing was asked", message_id=frame.message_id)
        elif action and self.validate and isinstance(frame, CallResult) and self.validator.knows(action):
            problem = self.validator.response(action, frame.payload)
            if problem is not None:
                self.note(
                    station,
                    ViolationKind.INVALID_RESPONSE,
                    problem.description,
                    action=action,
                    message_id=frame.message_id,
                )

    def _note_call(self, station: Station, call: Call, kind: ViolationKind, detail: str) -> None:
        self.note(station, kind, detail, action=call.action, message_id=call.message_id)


def passwords(known: Mapping[str, str | bytes]) -> Authorize:
    """HTTP Basic authentication by station id (OCPP-J 1.6 §6.2.2): 404 for strangers, 401 for a wrong password."""

    def authorize(request: HandshakeRequest) -> tuple[int, str] | None:
        station_id = station_id_of(request.path)
        password = known.get(station_id)
        if password is None:
            return 404, "unknown charging station"
        given = request.basic_auth()
        expected = password.encode() if isinstance(password, str) else password
        if given is None or given[0] != station_id or not hmac.compare_digest(given[1], expected):
            return 401, "wrong user or password"
        return None

    return authorize


class _UrlStatus:
    """Turns the bound address, the started value of the transport's server, into a URL."""

    def __init__(self, outer: trio.TaskStatus[str], scheme: str) -> None:
        self._outer = outer
        self._scheme = scheme

    def started(self, value: list[tuple[str, int]] | None = None) -> None:
        host, port = value[0] if value else ("", 0)
        # A listener on every address is reached through the loopback one; the unspecified address is no destination.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self._outer.started(f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}/")
