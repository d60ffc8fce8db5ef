"""When the meter of one transaction is read: from one timer on the process's heap, without a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.clock import Timer

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation
    from simulator.station.transaction import Transaction

#: Virtual seconds after which the register of a running transaction is noted at the latest.
NOTE_EVERY = 60.0


class SampleTimes:
    """Takes a sample every MeterValueSampleInterval from the start of a transaction on; what was missed is skipped.

    Samples go into the journal with what the meter shows. Where they are rare or switched off it is noted besides, so
    that the end of the process costs a minute of energy and not all of it. What a reading raises crashes the station.
    """

    __slots__ = ("_noted", "_period", "_reads", "_station", "_taken", "_timer", "_transaction")

    def __init__(self, station: ChargingStation, transaction: Transaction) -> None:
        self._station = station
        self._transaction = transaction
        #: Periods of the present interval that have their sample; the one that the timer waits for.
        self._taken = self._period = 0
        #: Whether the timer waits for a sample, and not for a note.
        self._reads = False
        self._noted = station.clock.now()
        self._timer: Timer | None = None
        self._set(self._noted)

    def interval_changed(self) -> None:
        """Follow a change of MeterValueSampleInterval, from the next multiple of it on."""
        self._taken = 0
        self.stop()
        self._set(self._station.clock.now())

    def stop(self) -> None:
        """The transaction has ended, or the station has no power."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, now: float) -> None:
        station = self._station
        clock = station.clock
        interval = station.keys.of_messages.sample_interval
        at = self._noted + max(NOTE_EVERY, clock.speed)  # in a fast world not more often than once a wall second
        self._reads = False
        if interval > 0:
            begun, taken = self._transaction.started_virtual, self._taken
            # A wake-up may seem to come a rounding error too early: that must not make a second sample.
            passed = int((now - begun) // interval)
            self._period = (passed if passed > taken else taken) + 1
            due = begun + self._period * interval
            if due <= at:
                at, self._reads = due, True
        self._timer = clock.call_at(at, self._wake)

    def _wake(self) -> None:
        self._timer = None
        station, transaction = self._station, self._transaction
        if transaction.ended:
            return
        try:
            if self._reads:
                self._taken = self._period
                station.sampling.take_sample(transaction)
            else:
                station.settle_energy()
                station.sessions.book.note(transaction)
        except Exception as error:
            station.crash(error)
            return
        self._noted = now = station.clock.now()
        if not transaction.ended and self._timer is None:
            self._set(now)
