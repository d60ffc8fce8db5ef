"""What happens, as typed values, and the bus that carries them from a station to whoever wants to know.

A station publishes and knows no reader; ``app.py`` subscribes the readers (statistics, wire log, control feed,
storage). Publishing is a plain call: a reader must not block, and what a reader raises is logged and stays with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

log = logging.getLogger("simulator.events")


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that a station did or saw; ``hash_id`` is its identity in the UI protocol, ``station_id`` its name."""

    hash_id: str
    station_id: str


# -- life --------------------------------------------------------------------------------------------------------------


class StationStarted(Event, frozen=True, gc=False):
    """The station's nursery is open; it has not connected yet."""


class StationStopped(Event, frozen=True, gc=False):
    """The station has ended its transactions and its connection, and will do nothing until it is started again."""


class StationCrashed(Event, frozen=True, gc=False):
    """An exception ended the station; its supervisor restarts it after a pause."""

    error: str


class Connected(Event, frozen=True, gc=False):
    """The WebSocket to the central system is open, ``seconds`` of wall time after the attempt began."""

    url: str
    seconds: float = 0.0


class ConnectFailed(Event, frozen=True, gc=False):
    """An attempt to connect failed; the next follows after ``retry_in`` wall seconds (None: there is none)."""

    url: str
    reason: str
    retry_in: float | None


class Disconnected(Event, frozen=True, gc=False):
    """The WebSocket is closed."""

    code: int
    reason: str


class Registered(Event, frozen=True, gc=False):
    """The central system answered BootNotification: ``Accepted``, ``Pending`` or ``Rejected``.

    ``seconds`` of wall time from the open connection to its first Accepted; None for any other answer.
    """

    status: str
    interval: int
    seconds: float | None = None


class StationChanged(Event, frozen=True, gc=False):
    """Something about the station has changed that has no event of its own: keys, availability, the generator."""


# -- connectors and transactions ---------------------------------------------------------------------------------------


class ConnectorStatusChanged(Event, frozen=True, gc=False):
    """A connector (0: the station itself) changed its status or its error code."""

    connector_id: int
    status: str
    error_code: str


class TransactionStarted(Event, frozen=True, gc=False):
    """StartTransaction was answered in this run. ``meter_start`` in Wh."""

    connector_id: int
    transaction_id: int
    id_tag: str
    meter_start: int


class TransactionStopped(Event, frozen=True, gc=False):
    """StopTransaction was answered in this run. ``energy`` = meterStop - meterStart, in Wh."""

    connector_id: int
    transaction_id: int
    reason: str
    energy: int


class MeterSampled(Event, frozen=True, gc=False):
    """A connector's meter was read: power in W, register in Wh, SoC in percent where a vehicle tells it."""

    connector_id: int
    power: float
    register: float
    soc: float | None


class Timed(Event, frozen=True, gc=False):
    """Something else than a CALL took ``seconds`` of wall time: ``StartTransaction with ATG``, reading a template."""

    name: str
    seconds: float


# -- messages ----------------------------------------------------------------------------------------------------------


class CallSent(Event, frozen=True, gc=False):
    """A CALL left for the central system."""

    action: str


class CallAnswered(Event, frozen=True, gc=False):
    """A CALLRESULT for our CALL came, ``seconds`` of wall time after it left."""

    action: str
    seconds: float


class CallErrorReceived(Event, frozen=True, gc=False):
    """A CALLERROR for our CALL came, ``seconds`` of wall time after it left."""

    action: str
    code: str
    description: str
    seconds: float


class CallTimedOut(Event, frozen=True, gc=False):
    """No answer to our CALL within its deadline."""

    action: str


class CallLost(Event, frozen=True, gc=False):
    """The connection went while our CALL waited for its answer."""

    action: str


class CallReceived(Event, frozen=True, gc=False):
    """The central system sent a CALL; ``error`` is the code it was refused with, if it was."""

    action: str
    error: str | None


class OddFrameReceived(Event, frozen=True, gc=False):
    """A frame that is no part of a conversation: unreadable, of an unknown type, late, or an answer to nothing."""

    kind: str
    detail: str


class FrameSent(Event, frozen=True, gc=False):
    """A text frame left (published only while somebody reads the wire)."""

    text: str


class FrameReceived(Event, frozen=True, gc=False):
    """A text frame came (published only while somebody reads the wire)."""

    text: str


E = TypeVar("E", bound=Event)


class EventBus:
    """Readers by event type. Not a queue: a reader that needs one brings its own, bounded."""

    __slots__ = ("_readers", "wire_is_read")

    def __init__(self) -> None:
        #: Whether anybody reads :class:`FrameSent` or :class:`FrameReceived`.
        self.wire_is_read = False
        self._readers: dict[type[Event], tuple[Callable[[Any], None], ...]] = {}

    def subscribe(self, kind: type[E], reader: Callable[[E], None]) -> Callable[[], None]:
        """Call ``reader(event)`` for each event of exactly that type; returns the call that ends it."""
        self._become(kind, (*self._readers.get(kind, ()), reader))

        def unsubscribe() -> None:
            rest = list(self._readers.get(kind, ()))
            if reader in rest:
                rest.remove(reader)
            self._become(kind, tuple(rest))

        return unsubscribe

    def _become(self, kind: type[Event], readers: tuple[Callable[[Any], None], ...]) -> None:
        self._readers[kind] = readers
        self.wire_is_read = self.wanted(FrameSent) or self.wanted(FrameReceived)

    def wanted(self, kind: type[Event]) -> bool:
        """Whether anybody reads that type: a publisher may then save the trouble."""
        return bool(self._readers.get(kind))

    def publish(self, event: Event) -> None:
        """Tell every reader of the event's type, in the order of their subscription."""
        for reader in self._readers.get(type(event), ()):
            try:
                reader(event)
            except Exception:
                log.exception("a reader of %s failed", type(event).__name__)
