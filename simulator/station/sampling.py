"""When meters are read, and where the readings go (OCPP 1.6 §3.16, §9.1.2, §9.1.16 to §9.1.28).

* *Sampled* readings come every ``MeterValueSampleInterval`` from the start of a transaction, see
  :mod:`simulator.station.sample_times`.
* *Clock-aligned* readings come at the multiples of ``ClockAlignedDataInterval`` in the day of the station's clock
  (UTC), from every connector and from the station's main meter, transaction or not; from one timer, which is set only
  while they are wanted.

Both go out as MeterValues of the transaction queue, and into the ``transactionData`` of StopTransaction as far as the
keys ``StopTxnSampledData`` and ``StopTxnAlignedData`` ask for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.clock import Timer
from simulator.events import MeterSampled
from simulator.ocpp.v16.enums import ReadingContext
from simulator.ocpp.v16.messages import MeterValue, MeterValuesRequest
from simulator.station.metering import (
    begin_value,
    end_value,
    let_idle,
    main_meter_value,
    meter_value,
    metered,
    periodic_values,
)
from simulator.station.sample_times import SampleTimes

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation
    from simulator.station.transaction import Transaction

#: Seconds of the day from whose begin clock-aligned instants are counted.
DAY = 86_400

BEGIN, END = ReadingContext.TRANSACTION_BEGIN, ReadingContext.TRANSACTION_END


def next_aligned(now: float, interval: int) -> float:
    """The first instant after ``now`` (POSIX seconds) that is a multiple of ``interval`` s since midnight UTC."""
    midnight = now // DAY * DAY
    return min(midnight + ((now - midnight) // interval + 1) * interval, midnight + DAY)


class Sampling:
    """The readings of one station's meters."""

    __slots__ = ("_due", "_station", "_taken", "_timer")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self._timer: Timer | None = None
        #: The aligned instant that the timer waits for, on the station's own clock; the last one that was taken.
        self._due = self._taken = 0.0

    # -- transactions ------------------------------------------------------------------------------------------------

    def opened(self, transaction: Transaction) -> None:
        """Take the first reading of a transaction, before its StartTransaction is queued."""
        reading = begin_value(self._station, transaction, self._transaction_measurands())
        transaction.transaction_data.append(self._signed_edge(transaction, reading, BEGIN, "SampledDataSignReadings"))

    def begun(self, transaction: Transaction) -> None:
        """StartTransaction is queued: tell the first reading if the template asks for it, and go on sampling."""
        measurands = self._station.keys.text("StartTxnSampledData")
        if measurands or self._station.info.template.begin_end_meter_values:
            reading = begin_value(self._station, transaction, measurands)
            self._send(transaction, self._signed_edge(transaction, reading, BEGIN, "SampledDataSignStartedReadings"))
        self._go_on(transaction)

    def resumed(self, transaction: Transaction) -> None:
        """The transaction goes on after the end of an earlier process: its samples come when they are due."""
        self._go_on(transaction)

    def _go_on(self, transaction: Transaction) -> None:
        if self._station.powered:
            transaction.sampling = SampleTimes(self._station, transaction)

    def closed(self, transaction: Transaction) -> tuple[MeterValue, ...] | None:
        """Take the last reading of a transaction that has ended; returns what goes into ``transactionData``.

        Where both keys are empty that is nothing (§9.1.24, §9.1.25), unless the template asks for it.
        """
        template, measurands = self._station.info.template, self._transaction_measurands()
        data = transaction.transaction_data
        most = self._most_readings()
        while 1 < len(data) >= most:  # an earlier process may have left more
            _thin_out(data)
        end = end_value(self._station, transaction, measurands)
        data.append(self._signed_edge(transaction, end, END, "SampledDataSignReadings"))
        if template.begin_end_meter_values and not self._ends_out_of_order():
            self._send_end(transaction)
        signs = self._station.meter_signing.on("SampledDataSignReadings")
        return tuple(data) if measurands or template.transaction_data_meter_values or signs else None

    def stop_answered(self, transaction: Transaction) -> None:
        """StopTransaction is answered: now come the readings that belong before it, where the template has it so."""
        if self._station.info.template.begin_end_meter_values and self._ends_out_of_order():
            self._send_end(transaction)

    def _send_end(self, transaction: Transaction) -> None:
        reading = end_value(self._station, transaction)
        self._send(transaction, self._signed_edge(transaction, reading, END, "SampledDataSignReadings"))

    def _signed_edge(
        self, transaction: Transaction, reading: MeterValue, context: ReadingContext, switch: str
    ) -> MeterValue:
        signing = self._station.meter_signing
        return signing.signed(reading, switch, transaction.connector, context, transaction=transaction)

    def _ends_out_of_order(self) -> bool:
        template = self._station.info.template
        return template.out_of_order_end_meter_values and not template.ocpp_strict_compliance

    def _transaction_measurands(self) -> str:
        keys = self._station.keys
        return ",".join([*keys.items("StopTxnSampledData"), *keys.items("StopTxnAlignedData")])

    def _most_readings(self) -> int:
        return max(2, self._station.keys.number("StopTransactionMaxMeterValues", 500))

    def _keep(self, transaction: Transaction, reading: MeterValue, *, aligned: bool = False) -> None:
        data = transaction.transaction_data
        data.append(reading)
        # A sample of the same step of the timers may have been read before an aligned instant that came before it.
        if aligned and len(data) > 2 and data[-2].timestamp > reading.timestamp:
            data[-2:] = reading, data[-2]
        if len(data) >= self._most_readings():  # one place is for the last
            _thin_out(data)

    # -- sampled -----------------------------------------------------------------------------------------------------

    def take_sample(self, transaction: Transaction) -> None:
        """Read the meter of a running transaction now and queue the reading as MeterValues."""
        station, connector = self._station, transaction.connector
        assert connector.meter is not None
        station.settle_energy()
        keys, context, data = station.keys.of_messages, ReadingContext.SAMPLE_PERIODIC, None
        if keys.stop_sampled:
            data = meter_value(station, connector, keys.stop_sampled, context)
            self._keep(transaction, data)
        if keys.signs_samples:
            switch = "SampledDataSignUpdatedReadings"
            reading = meter_value(station, connector, keys.sampled, context)
            reading = station.meter_signing.signed(reading, switch, connector, context, transaction=transaction)
            self._send(transaction, reading, data=data)
        else:
            payload, shape = periodic_values(station, connector, keys.sampled)
            station.sessions.book.queue_written(transaction, payload, shape, data=data)
        if station.services.bus.wanted(MeterSampled):
            station.publish(MeterSampled, connector.id, *metered(connector))

    def _send(self, transaction: Transaction, reading: MeterValue, *, data: MeterValue | None = None) -> None:
        self._station.sessions.book.queue(
            transaction, MeterValuesRequest(connector_id=transaction.connector.id, meter_value=(reading,)), data=data
        )

    def interval_changed(self) -> None:
        """MeterValueSampleInterval has changed."""
        for transaction in self._station.sessions.running():
            if transaction.sampling is not None:
                transaction.sampling.interval_changed()

    # -- clock-aligned -----------------------------------------------------------------------------------------------

    def align(self) -> None:
        """Set the timer to the next aligned instant: the station boots, the interval has changed, or its clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        station = self._station
        interval = station.keys.number("ClockAlignedDataInterval")
        if interval <= 0 or not station.powered:
            return
        now = station.now()
        self._due = next_aligned(now, interval)
        if self._due == self._taken:  # a rounding error early, or the clock was put back a little
            self._due = next_aligned(self._due, interval)
        self._timer = station.clock.call_at(station.clock.now() + self._due - now, station.guarded(self._aligned))

    def power_down(self) -> None:
        """The station is off: nothing is read until it boots."""
        for transaction in self._station.sessions.running():
            if transaction.sampling is not None:
                transaction.sampling.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _aligned(self) -> None:
        """An aligned instant has come. One that was missed is skipped, never made up for."""
        self._timer = None
        station = self._station
        interval = station.keys.number("ClockAlignedDataInterval")
        late = station.now() - self._due
        if interval > 0 and late < interval:
            self._taken = self._due
            self._read_all(self._due)
        self.align()

    def _read_all(self, at: float) -> None:
        station = self._station
        station.settle_energy()
        connectors = [connector for connector in station.connectors.values() if connector.meter is not None]
        for connector in connectors:
            let_idle(station, connector)
        measurands = station.keys.text("MeterValuesAlignedData")
        if 0 in station.connectors and station.registration.accepted:
            reading = main_meter_value(station, measurands, ReadingContext.SAMPLE_CLOCK, at)
            station.sessions.book.queue(None, MeterValuesRequest(connector_id=0, meter_value=(reading,)))
        for connector in connectors:
            self._read_aligned(connector, measurands, at)

    def _read_aligned(self, connector: Connector, measurands: str, at: float) -> None:
        station, transaction = self._station, connector.transaction
        if transaction is None and not station.registration.accepted:
            return  # nobody has ever wanted to hear of this station
        if transaction is not None and at < transaction.started_at <= station.now():
            at = transaction.started_at  # the step of the timers let it begin after the instant
        context = ReadingContext.SAMPLE_CLOCK
        reading = meter_value(station, connector, measurands, context, at=at)
        signing, switch = station.meter_signing, "AlignedDataSignReadings"
        running = switch if transaction is None else "AlignedDataSignUpdatedReadings"
        reading = signing.signed(reading, running, connector, context, at=at, transaction=transaction)
        data = None
        if transaction is not None and station.keys.items("StopTxnAlignedData"):
            data = meter_value(station, connector, station.keys.text("StopTxnAlignedData"), context, at=at)
            data = signing.signed(data, switch, connector, context, at=at, transaction=transaction)
            self._keep(transaction, data, aligned=True)
        station.sessions.book.queue(
            transaction, MeterValuesRequest(connector_id=connector.id, meter_value=(reading,)), data=data
        )


def _thin_out(data: list[MeterValue]) -> None:
    """Drop every second reading after the first (errata 4.0, StopTransactionMaxMeterValues)."""
    del data[1::2]
