"""Charging sessions: a vehicle comes, a transaction begins, is metered and ends, the vehicle leaves (OCPP 1.6 §4.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import outcome

from simulator.energy.meter import ConnectorMeter
from simulator.events import TransactionStarted, TransactionStopped
from simulator.ocpp.v16.enums import AuthorizationStatus, ChargePointStatus, Reason
from simulator.ocpp.v16.messages import IdTagInfo, StartTransactionRequest, StopTransactionRequest
from simulator.station.call_results import Result
from simulator.station.connector import Start
from simulator.station.journal import UNKNOWN_ID
from simulator.station.memory import LATER
from simulator.station.transaction import Transaction
from simulator.station.transaction_book import TransactionBook
from simulator.timestamps import format_timestamp

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation

Status = ChargePointStatus

#: Virtual seconds between two looks at the energy that MaxEnergyOnInvalidId still allows.
ALLOWANCE_CHECK = 1.0


LOCAL_START = Start()


class Sessions:
    """The sessions of one station. Beginning and ending are plain calls: the messages queue up by themselves."""

    __slots__ = ("_last", "_station", "book", "resumed")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        #: The transaction of each connector that ended last.
        self._last: dict[int, Transaction] = {}
        #: Transactions of an earlier process that go on with the first boot.
        self.resumed: list[Transaction] = []
        self.book = TransactionBook(station, self)

    def resume(self) -> None:
        """The station has booted for the first time: go on with what an earlier process left running, if it may."""
        resumed, self.resumed = self.resumed, []
        for transaction in resumed:
            self._resume(transaction)

    def _resume(self, transaction: Transaction) -> None:
        station, connector, last = self._station, transaction.connector, transaction.register
        assert connector.meter is not None
        plan, state = connector.meter.plan, connector.meter.state
        shown = last.shown if plan.switches.per_transaction else last.shown - transaction.meter_start
        connector.meter = ConnectorMeter(
            plan,
            msgspec.structs.replace(
                state,
                lifetime_wh=max(state.lifetime_wh, last.lifetime),
                transaction_wh=float(max(0, shown)),
                in_transaction=True,
            ),
        )
        transaction.started_virtual = min(transaction.started_at, station.clock.now())
        connector.transaction = transaction
        station.presence.find_plugged(connector)
        connector.locked = True
        connector.move(Status.CHARGING, force=True)
        station.sampling.resumed(transaction)
        station.supply.review()
        station.log.info("transaction %s goes on on connector %s", transaction.wire_id, connector.id)

    # -- beginning ---------------------------------------------------------------------------------------------------

    def begin(self, connector: Connector, id_tag: str, start: Start = LOCAL_START) -> Transaction:
        """Begin a transaction on an idle connector and queue its StartTransaction."""
        station = self._station
        assert connector.transaction is None
        assert connector.meter is not None
        station.settle_energy()
        station.presence.arrive(connector)
        transaction = connector.transaction = Transaction(
            connector,
            id_tag,
            started_at=station.now(),
            started_virtual=station.clock.now(),
            meter_start=connector.meter.begin_transaction(station.meter_rng),
            remote=start.remote,
            reservation_id=start.reservation_id,
        )
        transaction.parent_id_tag = start.parent_id_tag or station.authorization.parent_of(id_tag)
        connector.watts = 0.0
        if connector.status in {Status.FINISHING, Status.RESERVED}:  # the table has no way from there to Charging
            connector.move(Status.PREPARING)
        station.reservations.consume(start.reservation_id)
        station.sampling.opened(transaction)
        self.book.begun(
            transaction,
            StartTransactionRequest(
                connector_id=connector.id,
                id_tag=id_tag,
                meter_start=transaction.meter_start,
                reservation_id=start.reservation_id,
                timestamp=format_timestamp(transaction.started_at),
            ),
        )
        station.sampling.begun(transaction)
        connector.locked = True
        if start.profile is not None:
            station.limits.install(start.profile, connector.id)
        else:
            station.supply.review()
        if not connector.plugged:
            connector.move(Status.SUSPENDED_EV)
        station.log.info("transaction begins on connector %s for tag %s", connector.id, id_tag)
        return transaction

    def start_answered(self, transaction: Transaction, result: Result) -> None:
        """StartTransaction is answered, and the transaction has its id; or it was given up."""
        station, connector = self._station, transaction.connector
        if isinstance(result, outcome.Error):
            transaction.told_start(False)
            return
        assert transaction.id is not None
        info: IdTagInfo = result.value.id_tag_info
        transaction.parent_id_tag = info.parent_id_tag or transaction.parent_id_tag
        station.authorization.learn(transaction.id_tag, info)
        station.publish(TransactionStarted, connector.id, transaction.id, transaction.id_tag, transaction.meter_start)
        accepted = info.status == AuthorizationStatus.ACCEPTED
        if not accepted:
            station.log.warning("the central system answered %s to transaction %s", info.status, transaction.id)
            self._deauthorized(transaction)
        transaction.told_start(accepted)
        station.changed()

    def _deauthorized(self, transaction: Transaction) -> None:
        """StartTransaction.conf refused the tag (OCPP 1.6 §3.5.2, §9.1.16, §9.1.26)."""
        transaction.deauthorized = True
        station = self._station
        if transaction.ended or station.info.template.force_transaction_on_invalid_id_token:
            return
        allowance = station.keys.number("MaxEnergyOnInvalidId")
        if allowance > 0:
            station.spawn(self._let_flow, transaction, allowance)
        else:
            self._refuse_energy(transaction)

    async def _let_flow(self, transaction: Transaction, allowance: int) -> None:
        """Deliver at most ``allowance`` Wh more, then refuse the rest."""
        station, meter = self._station, transaction.connector.meter
        assert meter is not None
        station.settle_energy()
        limit = meter.transaction_wh + allowance
        while not transaction.ended and meter.transaction_wh < limit:
            await station.clock.sleep(ALLOWANCE_CHECK)
            station.settle_energy()
        if not transaction.ended:
            self._refuse_energy(transaction)

    def _refuse_energy(self, transaction: Transaction) -> None:
        if self._station.keys.flag("StopTransactionOnInvalidId"):
            self.end(transaction, Reason.DE_AUTHORIZED)
            return
        self._station.settle_energy()
        transaction.energy_suspended = True
        self._station.supply.review()

    # -- ending ------------------------------------------------------------------------------------------------------

    def end(
        self, transaction: Transaction, reason: Reason, id_tag: str | None = None, *, info: str | None = None
    ) -> None:
        """End a running transaction, queue its StopTransaction, and let the vehicle leave. Ended ones stay ended.

        :param id_tag: the tag that asked for the end; by default the one that started, where a person stood behind it.
        :param info: goes with the status Finishing.
        """
        if transaction.ended:
            return
        station, connector = self._station, transaction.connector
        assert connector.meter is not None
        if id_tag is None and reason in {Reason.LOCAL, Reason.REMOTE}:
            id_tag = transaction.id_tag
        station.settle_energy()
        transaction.reason = reason
        transaction.stop_id_tag = id_tag
        transaction.stopped_at = station.now()
        transaction.meter_stop = meter_stop = connector.meter.end_transaction()
        self._report_end(transaction, reason)
        connector.transaction = None
        self._last[connector.id] = transaction
        connector.locked = False
        station.log.info(
            "transaction %s ends on connector %s: %s, %s Wh",
            transaction.wire_id,
            connector.id,
            reason,
            meter_stop - transaction.meter_start,
        )
        connector.move(Status.FINISHING, info=info)
        station.memory.changed(LATER)  # the register; the journal has it at once
        transaction.told_end()
        if transaction.sampling is not None:
            transaction.sampling.stop()
        station.limits.transaction_ended(connector)
        station.presence.depart_after(transaction)

    def close_lost(self, transaction: Transaction, *, at: float, meter_stop: int) -> None:
        """End a transaction of an earlier process, which died while it was running (OCPP 1.6 §5.16, PowerLoss)."""
        transaction.reason = Reason.POWER_LOSS
        transaction.stopped_at, transaction.meter_stop = at, meter_stop
        self._report_end(transaction, Reason.POWER_LOSS)

    def _report_end(self, transaction: Transaction, reason: Reason) -> None:
        """Queue the StopTransaction of a transaction that has ended, and its last MeterValues if they go before it."""
        assert transaction.meter_stop is not None
        assert transaction.stopped_at is not None
        data = self._station.sampling.closed(transaction)
        self.book.ended(
            transaction,
            StopTransactionRequest(
                id_tag=transaction.stop_id_tag,
                meter_stop=transaction.meter_stop,
                timestamp=format_timestamp(transaction.stopped_at),
                transaction_id=UNKNOWN_ID,  # the one that is known when it leaves takes its place
                reason=reason,
                transaction_data=data,
            ),
        )

    def stop_answered(self, transaction: Transaction, result: Result) -> None:
        """StopTransaction is answered or given up."""
        self._station.sampling.stop_answered(transaction)
        assert transaction.meter_stop is not None
        assert transaction.reason is not None
        if isinstance(result, outcome.Value):
            if result.value.id_tag_info is not None:
                self._station.authorization.learn(
                    transaction.stop_id_tag or transaction.id_tag, result.value.id_tag_info
                )
            self._station.publish(
                TransactionStopped,
                transaction.connector.id,
                transaction.wire_id,
                str(transaction.reason),
                transaction.meter_stop - transaction.meter_start,
            )
        transaction.told_stop(isinstance(result, outcome.Value))

    def running(self) -> list[Transaction]:
        """The transactions that run now, by connector."""
        return [c.transaction for c in self._station.connectors.values() if c.transaction is not None]

    def last_on(self, connector: Connector) -> Transaction | None:
        """The transaction of a connector that ended last in this run."""
        return self._last.get(connector.id)

    def by_id(self, transaction_id: int) -> Transaction | None:
        """The running transaction that the central system knows by that id."""
        if transaction_id == UNKNOWN_ID:
            return None
        return next((running for running in self.running() if running.id == transaction_id), None)
