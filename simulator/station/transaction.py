"""One transaction: what it knows of itself from the start to the answer of StopTransaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from simulator.ocpp.v16.enums import Reason
from simulator.ocpp.v16.messages import MeterValue
from simulator.station.journal import UNKNOWN_ID, Register

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.sample_times import SampleTimes


class Transaction:
    """A transaction on a connector. It runs from StartTransaction's being queued, whether or not there is a connection.

    Energy is in Wh, instants are POSIX seconds of the station's own clock.
    """

    __slots__ = (
        "_watchers",
        "_when_charged",
        "_when_started",
        "_when_stop_answered",
        "charged",
        "connector",
        "deauthorized",
        "energy_suspended",
        "id",
        "id_tag",
        "key",
        "key_told",
        "meter_start",
        "meter_stop",
        "parent_id_tag",
        "reason",
        "register",
        "remote",
        "reservation_id",
        "resumed",
        "sampling",
        "started_at",
        "started_virtual",
        "stop_accepted",
        "stop_id_tag",
        "stopped_at",
        "transaction_data",
        "undelivered",
    )

    def __init__(
        self,
        connector: Connector,
        id_tag: str,
        *,
        started_at: float,
        started_virtual: float,
        meter_start: int,
        remote: bool = False,
        reservation_id: int | None = None,
    ) -> None:
        self.connector = connector
        self.id_tag = id_tag
        self.remote = remote
        self.reservation_id = reservation_id
        self.started_at = started_at
        #: The same instant on the process's clock, from which sample times count.
        self.started_virtual = started_virtual
        self.meter_start = meter_start
        #: The station's own number for it, given by the book of transactions.
        self.key = 0
        #: Messages that the central system has not answered.
        self.undelivered = 0
        #: The last reading that the journal knows.
        self.register = Register(meter_start, float(meter_start), started_at)
        #: It began in an earlier process.
        self.resumed = False
        #: What the central system calls it; None until StartTransaction is answered.
        self.id: int | None = None
        self.parent_id_tag: str | None = None
        #: The central system refused the tag in StartTransaction.conf.
        self.deauthorized = False
        #: The tag was refused and the station gives no energy while the transaction stays open.
        self.energy_suspended = False
        self.reason: Reason | None = None
        #: The tag that asked for the end.
        self.stop_id_tag: str | None = None
        self.meter_stop: int | None = None
        self.stopped_at: float | None = None
        self.transaction_data: list[MeterValue] = []
        #: The public key of the meter has gone along with a signed reading.
        self.key_told = False
        #: When its meter is read; None before its StartTransaction is queued.
        self.sampling: SampleTimes | None = None
        #: Whether StopTransaction was answered; None while that is open.
        self.stop_accepted: bool | None = None
        #: Whether the vehicle has what it came for.
        self.charged = False
        self._watchers: list[Callable[[], None]] = []
        self._when_charged: list[Callable[[], None]] = []
        self._when_started: list[Callable[[bool], None]] = []
        self._when_stop_answered: list[Callable[[bool], None]] = []

    @property
    def ended(self) -> bool:
        """Whether the transaction has stopped at the station; its StopTransaction may still wait for delivery."""
        return self.reason is not None

    @property
    def wire_id(self) -> int:
        """The id for StopTransaction and MeterValues."""
        return UNKNOWN_ID if self.id is None else self.id

    # -- watching ----------------------------------------------------------------------------------------------------

    def watch(self, call: Callable[[], None]) -> None:
        """Call once the transaction has stopped at the station."""
        self._watchers.append(call)

    def when_charged(self, call: Callable[[], None]) -> None:
        """Call once the vehicle has what it came for."""
        self._when_charged.append(call)

    def when_started(self, call: Callable[[bool], None]) -> None:
        """Call with whether the central system accepted the start, once it has answered or was given up."""
        self._when_started.append(call)

    def when_stop_answered(self, call: Callable[[bool], None]) -> None:
        """Call with whether StopTransaction was answered, once it has been or was given up."""
        if self.stop_accepted is None:
            self._when_stop_answered.append(call)
        else:
            call(self.stop_accepted)

    async def stop_delivered(self) -> bool:
        """Wait for the answer to StopTransaction; False when it was given up. Bounded only by the retries."""
        delivered = trio.Event()
        self.when_stop_answered(lambda _: delivered.set())
        await delivered.wait()
        return bool(self.stop_accepted)

    # -- told by the sessions of the station -------------------------------------------------------------------------

    def told_start(self, accepted: bool) -> None:
        """StartTransaction is answered or given up."""
        calls, self._when_started = self._when_started, []
        for call in calls:
            call(accepted)

    def told_charged(self) -> None:
        """The vehicle has what it came for."""
        self.charged = True
        calls, self._when_charged = self._when_charged, []
        for call in calls:
            call()

    def told_end(self) -> None:
        """The transaction has stopped at the station."""
        calls, self._watchers = self._watchers, []
        for call in calls:
            call()

    def told_stop(self, accepted: bool) -> None:
        """StopTransaction is answered or given up."""
        self.stop_accepted = accepted
        calls, self._when_stop_answered = self._when_stop_answered, []
        for call in calls:
            call(accepted)
