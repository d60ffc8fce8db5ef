"""The station's line to the central system: connect, read, lose it, come back (OCPP-J 1.6 §5; RFC 6455).

Reading never waits for logic: a CALL is answered on the spot by a plain function, and what it sets off runs as a task
of the station.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

import trio

from simulator.clock import Alarm
from simulator.events import Connected, ConnectFailed, Disconnected, FrameReceived, FrameSent, OddFrameReceived
from simulator.ocpp.frames import Call, CallError, CallResult, Ignored, Malformed, parse_frame
from simulator.outbox import Departure
from simulator.transport.backoff import Backoff
from simulator.transport.connection import NORMAL, Connection, ConnectionClosed, OpenFailed

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

SUBPROTOCOL = "ocpp1.6"

#: Wall seconds to open a connection when ``wsOptions.handshakeTimeout`` does not say.
OPEN_TIMEOUT = 30.0
#: A connection that lasted this many wall seconds was a good one: the next failure starts the back-off anew.
GOOD_AFTER = 10.0


def connection_url(base: str, station_id: str) -> str:
    """The central system's URL with the station's percent-encoded id as last path segment (OCPP-J 1.6 §3.1.1).

    Exactly one slash joins the two, however the base ends; a query string stays behind the path.

    :raises OpenFailed: the base is no URL.
    """
    try:
        parts = urlsplit(base)
    except ValueError as error:
        raise OpenFailed("url", f"{base!r} is no URL: {error}") from None
    path = f"{parts.path.rstrip('/')}/{quote(station_id, safe='')}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


class Line:
    """Keeps one WebSocket to the central system open for as long as the station is on."""

    __slots__ = (
        "_alarm",
        "_at_once",
        "_backoff",
        "_bus",
        "_connection",
        "_given_up",
        "_hold",
        "_opened_at",
        "_outbox",
        "_retries_left",
        "_scope",
        "_station",
        "state",
    )

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        template = station.info.template
        self._backoff = Backoff(exponential=template.reconnect_exponential_delay)
        self._retries_left = self._retries()
        self._alarm = Alarm(station.clock)
        self._bus = station.services.bus
        self._outbox = station.clock.outbox
        self._hold = False
        #: The next attempt follows at once, whatever became of this one.
        self._at_once = False
        #: The retries are used up: the line stays closed until it is opened, or the station boots.
        self._given_up = False
        #: Ends the opening of a connection.
        self._scope: trio.CancelScope | None = None
        self._connection: Connection | None = None
        self._opened_at = 0.0
        #: As browsers count: 0 connecting, 1 open, 2 closing, 3 closed.
        self.state = 3

    @property
    def url(self) -> str:
        """Where the next connection goes."""
        return connection_url(self._station.security.url, self._station.info.station_id)

    @property
    def asked_to_hold(self) -> bool:
        """Whether somebody has closed the line, to stay so."""
        return self._hold

    def held(self) -> bool:
        """Whether the line stays closed until :meth:`open`."""
        return self._hold or self._given_up

    def _retries(self) -> int:
        of_template = self._station.info.template.auto_reconnect_max_retries
        return self._station.services.auto_reconnect_max_retries if of_template is None else of_template

    # -- control -----------------------------------------------------------------------------------------------------

    def close(self, *, hold: bool) -> None:
        """End the present connection (close 1000). With ``hold`` none follows until :meth:`open`."""
        self._hold = hold
        if self.state != 3:
            self.state = 2
            if self._scope is not None:
                self._scope.cancel()
            elif self._connection is not None:
                # In a task: what is said in this very moment, an answer perhaps, still goes before.
                self._station.spawn(self._connection.aclose)
        self._alarm.ring()

    def open(self) -> None:
        """End a hold and any pause, and connect now."""
        self._hold = False
        self._start_anew()
        self._alarm.ring()

    def reconnect(self) -> None:
        """End the present connection (close 1000), or any pause, and connect at once in the way that holds now."""
        if not self.held():
            self._start_anew()
            self._at_once = self.state != 3
        self.close(hold=self._hold)

    def follow(self) -> None:
        """The template has changed."""
        exponential = self._station.info.template.reconnect_exponential_delay
        if exponential != self._backoff.exponential:
            self._backoff = Backoff(exponential=exponential)

    def _start_anew(self) -> None:
        self._given_up = False
        self._backoff.reset()
        self._retries_left = self._retries()

    def send(self, text: str | bytes) -> None:
        """Put one frame on the wire; without a connection it is dropped (the conversation it belonged to is gone)."""
        with contextlib.suppress(ConnectionClosed):
            self._post(text)

    def _post(self, text: str | bytes, departure: Departure | None = None) -> None:
        """Put a frame on the wire, at the end of the pass if one is under way. Bytes are a text in UTF-8."""
        if self._connection is None:
            raise ConnectionClosed(1006, "not connected")
        self._outbox.put(self._connection, text, departure)
        if self._bus.wire_is_read:
            self._station.publish(FrameSent, text if isinstance(text, str) else text.decode())

    async def ping(self, timeout: float) -> float:
        """Round trip of a WebSocket ping in wall seconds. :raises ConnectionClosed: no pong within ``timeout``."""
        if self._connection is None:
            raise ConnectionClosed(1006, "not connected")
        return await self._connection.ping(timeout)

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def run(self, nursery: trio.Nursery) -> None:
        """Connect, hold the conversation, reconnect, for ever. On cancel the connection is closed with 1000.

        :param nursery: the station's, for the tasks of connections that have some. It must be ended by cancelling it.
        """
        self._start_anew()
        while True:
            while self.held():
                await self._alarm.wait_until_wall(float("inf"))
            # What follows is one function on purpose: a station that is connected keeps every frame on the way here.
            failure: OpenFailed | None = None
            connection: Connection | None = None
            try:
                connection = await self._open(nursery)
            except OpenFailed as error:
                failure = error
            if connection is not None:
                code, reason = NORMAL, "closed by the station"
                try:
                    try:
                        self._converse(connection)
                        await connection.receive_each(self._read)
                    except ConnectionClosed as closed:
                        if self.state == 1:
                            code, reason = closed.code, closed.reason
                    finally:
                        self._converse_no_more(code, reason)
                finally:
                    # Whatever failed: a connection with tasks of its own would keep the nursery from ending.
                    await connection.finish()
                    self.state = 3
            delay = self._pause_after(failure)
            if failure is not None:
                self._station.publish(ConnectFailed, self._station.supervision_url, str(failure), delay)
                del failure  # it leads to frames, and they to much else
            if delay is not None:
                self._station.log.info("connects again in %.1f s", delay)
                await self._alarm.wait_until_wall(self._station.clock.wall() + delay)

    def _pause_after(self, failure: OpenFailed | None) -> float | None:
        """Wall seconds before the next attempt; None when there is none."""
        at_once, self._at_once = self._at_once, False
        if self.held():
            return None
        if at_once:
            return 0.0
        if self._retries_left == 0:
            self._station.log.error("no reconnection: autoReconnectMaxRetries is used up")
            self._given_up = True
            return None
        if self._retries_left > 0:
            self._retries_left -= 1
        return self._backoff.next_delay(self._station.rng, refused=failure is not None and failure.refused)

    async def _open(self, nursery: trio.Nursery) -> Connection | None:
        """Open a connection; None when the line has been closed meanwhile. :raises OpenFailed: none came about."""
        station = self._station
        way = station.security.way()
        timeout = way.options.handshake_timeout
        self.state = 0
        begun = station.clock.wall()
        connection: Connection | None = None
        try:
            url = connection_url(way.url, station.info.station_id)
            with trio.CancelScope() as self._scope:
                connection = await station.services.dialer.dial(
                    url,
                    nursery=nursery,
                    subprotocols=(SUBPROTOCOL,),
                    options=way.options,
                    basic_auth=way.basic_auth,
                    open_timeout=timeout / 1000 if timeout else OPEN_TIMEOUT,
                )
        except OpenFailed as error:
            station.log.warning("cannot connect to %s: %s", way.url, error)
            self._at_once = station.security.open_failed(way, error) or self._at_once
            raise
        finally:
            self._scope = None
            if connection is None:
                self.state = 3
        if connection is None or self.state != 0:
            if connection is not None:
                await connection.finish()
                self.state = 3
            return None
        try:
            station.security.opened(way, connection)
        except BaseException:
            await connection.finish()
            self.state = 3
            raise
        station.log.info("connected to %s", url)
        station.publish(Connected, url, station.clock.wall() - begun)
        return connection

    def _converse(self, connection: Connection) -> None:
        """Begin the conversation on an open connection."""
        self._opened_at = self._station.clock.wall()
        self._connection, self.state = connection, 1
        self._station.registration.attach(self._post)

    def _converse_no_more(self, code: int, reason: str) -> None:
        """The conversation is over."""
        station = self._station
        self._connection = None
        station.security.closed()
        station.registration.detach()
        station.lane.detach()
        if station.clock.wall() - self._opened_at >= GOOD_AFTER:
            self._backoff.reset()
            self._retries_left = self._retries()
        station.log.info(f"connection closed: {code} {reason}".rstrip())
        station.publish(Disconnected, code, reason)
        station.connection_lost()

    # -- incoming ----------------------------------------------------------------------------------------------------

    def _read(self, message: str | bytes) -> None:
        station = self._station
        if isinstance(message, bytes):
            station.publish(OddFrameReceived, "binary", f"{len(message)} bytes")
            station.log.warning("ignored a binary frame of %s bytes: OCPP-J is text", len(message))
            return
        if self._bus.wire_is_read:
            station.publish(FrameReceived, message)
        if station.lane.on_plain_answer(message):
            return
        frame = parse_frame(message)
        if isinstance(frame, CallResult):
            station.lane.on_result(frame)
        elif isinstance(frame, Call):
            station.dispatcher.on_call(frame)
        elif isinstance(frame, CallError):
            station.lane.on_error(frame)
        elif isinstance(frame, Malformed):
            station.dispatcher.on_malformed(frame)
        elif isinstance(frame, Ignored):
            station.publish(OddFrameReceived, "unknown message type", str(frame.message_type))
            station.log.warning("ignored a frame of the unknown message type %s", frame.message_type)
