"""The automatic transaction generator: one loop per connector that makes transactions on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import trio

from simulator.clock import Alarm
from simulator.energy.vehicle import Goal
from simulator.events import Timed
from simulator.ocpp.v16.enums import ChargePointStatus, Reason
from simulator.station.arrivals import draw, wait_through
from simulator.station.authorization import DEFAULT_ID_TAG
from simulator.templates.model import GeneratorTemplate, SecondsTemplate

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation
    from simulator.station.transaction import Transaction

#: Between two rounds lies at least this many virtual seconds, so that a template without pauses cannot spin.
SHORTEST_PAUSE = 0.5

#: Virtual seconds after which a driver takes his vehicle away though it has not got what he wants.
LONGEST_STAY = 24 * 3600.0


class GeneratorStatus(msgspec.Struct, rename="camel", omit_defaults=False):
    """Counters of one connector's generator, with the names of the UI protocol. Dates are virtual POSIX seconds."""

    start: bool = False
    start_date: float | None = None
    last_run_date: float | None = None
    stop_date: float | None = None
    stopped_date: float | None = None
    authorize_requests: int = 0
    accepted_authorize_requests: int = 0
    rejected_authorize_requests: int = 0
    start_transaction_requests: int = 0
    accepted_start_transaction_requests: int = 0
    rejected_start_transaction_requests: int = 0
    stop_transaction_requests: int = 0
    accepted_stop_transaction_requests: int = 0
    rejected_stop_transaction_requests: int = 0
    skipped_consecutive_transactions: int = 0
    skipped_transactions: int = 0


class GeneratorMemory(msgspec.Struct, rename="camel"):
    """What a generator keeps from process to process."""

    statuses: dict[int, GeneratorStatus]
    tag_index: int = 0


class _Loop:
    """One running loop."""

    __slots__ = ("alarm", "ended", "last_round", "section_changed", "stop_wanted")

    def __init__(self, alarm: Alarm) -> None:
        self.alarm = alarm
        self.stop_wanted = False
        #: The transaction that runs is the last one.
        self.last_round = False
        #: The template's section has changed since the pause was drawn.
        self.section_changed = False
        self.ended = trio.Event()


class Generator:
    """The generator of one station. Its loops are tasks of the station's nursery."""

    __slots__ = (
        "_first_start",
        "_interrupted",
        "_loops",
        "_started_once",
        "_station",
        "_tag_index",
        "_used",
        "statuses",
    )

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self.statuses: dict[int, GeneratorStatus] = {}
        self._loops: dict[int, _Loop] = {}
        self._tag_index = 0
        #: Virtual seconds that earlier runs of a connector have used of ``stopAfterHours``.
        self._used: dict[int, float] = {}
        #: Virtual instant of a connector's first start, from which ``stopAbsoluteDuration`` counts.
        self._first_start: dict[int, float] = {}
        #: Connectors whose loop a lost connection ended; they go on when the station is accepted again.
        # Made when there is something in it: an empty set takes as much as a station has in ten other places.
        self._interrupted: frozenset[int] = frozenset()
        self._started_once = False

    @property
    def settings(self) -> GeneratorTemplate:
        """The template's section, or its defaults where the template has none."""
        return self._station.info.template.automatic_transaction_generator or GeneratorTemplate()

    @property
    def running(self) -> bool:
        """Whether a loop runs on any connector."""
        return bool(self._loops)

    # -- control -----------------------------------------------------------------------------------------------------

    def power_up(self) -> None:
        """The station boots: loops that its last power cycle took down are gone, and an enabled generator starts."""
        self._loops.clear()
        self._interrupted = frozenset()
        self._started_once = False

    def station_accepted(self) -> None:
        """The central system has accepted the station: start if the template says so, or resume."""
        if self.settings.enable and not self._started_once:
            self._started_once = True
            self.start()
        for connector_id in sorted(self._interrupted):
            self._launch(connector_id)
        self._interrupted = frozenset()

    def follow(self, before: GeneratorTemplate) -> None:
        """The template has changed. Loops go on by the new section from their next step on; one that is switched off
        ends after its transaction, one that is switched on starts now or with the registration.
        """
        settings = self.settings
        if settings == before:
            return
        if settings.enable and not before.enable and self._station.registration.accepted and not self.running:
            self._started_once = True
            self.start()
        for loop in self._loops.values():
            loop.last_round = before.enable and not settings.enable
            loop.section_changed = True
            loop.alarm.ring()

    def connection_lost(self) -> None:
        """``stopOnConnectionFailure``: end the loops, to be resumed when the station is accepted again."""
        if self.settings.stop_on_connection_failure and self._loops:
            self._station.log.info("the generator pauses while there is no connection")
            for connector_id, loop in self._loops.items():
                if not loop.stop_wanted:
                    self._interrupted |= {connector_id}
                    self._ask_to_stop(loop)

    def start(self, connector_ids: list[int] | None = None) -> None:
        """Start the loop of the connectors named, or of all; one that runs goes on as it is.

        An explicit start renews the hours of ``stopAfterHours``. A station without power starts nothing.
        :raises ValueError: a connector does not exist.
        """
        if not self._station.powered:
            self._station.log.warning("the generator does not start: the station is off")
            return
        for connector_id in self._named(connector_ids):
            if connector_id in self._loops and not self._loops[connector_id].stop_wanted:
                self._station.log.warning("the generator of connector %s runs already", connector_id)
                continue
            self._used[connector_id] = 0.0
            self._launch(connector_id)

    def to_memory(self) -> Any:
        """The counters and the next tag; None while there are none. Whether it runs is the template's business."""
        if not self.statuses:
            return None
        return {"statuses": msgspec.to_builtins(self.statuses, str_keys=True), "tagIndex": self._tag_index}

    def from_memory(self, kept: Any) -> None:
        """Take what was kept."""
        memory = msgspec.convert(kept, GeneratorMemory, strict=False)
        self._tag_index = memory.tag_index
        for connector_id, status in memory.statuses.items():
            if connector_id > 0 and connector_id in self._station.connectors:
                self.statuses[connector_id] = msgspec.structs.replace(status, start=False)

    async def stop(self, connector_ids: list[int] | None = None) -> None:
        """Stop the loop of the connectors named, or of all, and wait until their transactions are ended.

        :raises ValueError: a connector does not exist.
        """
        for loop in self.ask_to_stop(connector_ids):
            await loop.ended.wait()

    def ask_to_stop(self, connector_ids: list[int] | None = None) -> list[_Loop]:
        """Tell loops to end their transactions and themselves; returns those that still run."""
        loops = []
        for connector_id in self._named(connector_ids):
            self._interrupted -= {connector_id}
            loop = self._loops.get(connector_id)
            if loop is not None:
                self._ask_to_stop(loop)
                loops.append(loop)
        return loops

    def _named(self, connector_ids: list[int] | None) -> list[int]:
        known = [connector_id for connector_id in self._station.connectors if connector_id > 0]
        if not connector_ids:
            return known
        for connector_id in connector_ids:
            if connector_id not in known:
                raise ValueError(f"Connector {connector_id} does not exist")
        return connector_ids

    @staticmethod
    def _ask_to_stop(loop: _Loop) -> None:
        loop.stop_wanted = True
        loop.alarm.ring()

    def _launch(self, connector_id: int) -> None:
        before = self._loops.get(connector_id)
        loop = self._loops[connector_id] = _Loop(Alarm(self._station.clock))
        self.statuses.setdefault(connector_id, GeneratorStatus())
        # Drawn here: loops that begin together would draw in an order that no seed repeats.
        self._station.spawn(self._run, connector_id, loop, before, self._pause())

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def _run(self, connector_id: int, loop: _Loop, before: _Loop | None, pause: float) -> None:
        if before is not None:  # never two loops on one connector
            await before.ended.wait()
        station = self._station
        status = self.statuses[connector_id]
        begun = station.clock.now()
        status.start, status.start_date, status.stop_date = True, begun, self._deadline(connector_id, begun)
        status.stopped_date = None
        status.skipped_consecutive_transactions = 0
        station.changed()
        try:
            while await self._wait(loop, pause, connector_id, begun):
                await self._round(station.connectors[connector_id], status, loop)
                status.last_run_date = station.clock.now()
                pause = self._pause()
        finally:
            now = station.clock.now()
            self._used[connector_id] = self._used.get(connector_id, 0.0) + now - begun
            status.start, status.stopped_date = False, now
            if self._loops.get(connector_id) is loop:
                del self._loops[connector_id]
            loop.ended.set()
            station.changed()
        if not (loop.stop_wanted or loop.last_round):
            station.log.info(
                "the generator of connector %s has done its %g h: %s transaction(s), %s skipped",
                connector_id,
                self.settings.stop_after_hours,
                status.accepted_start_transaction_requests,
                status.skipped_transactions,
            )

    async def _round(self, connector: Connector, status: GeneratorStatus, loop: _Loop) -> None:
        station, settings = self._station, self.settings
        if connector.transaction is not None and connector.transaction.resumed:
            await self._see_out(connector.transaction, status, loop)
            return
        if not station.in_service or not connector.usable or connector.status is ChargePointStatus.RESERVED:
            return  # inoperative, faulted, reserved, or somebody else charges here: look again after the next pause
        if not (connector.plugged or station.presence.automatic):
            return  # vehicles come by verbs only, and none has
        if station.rng.random() >= settings.probability_of_start:
            status.skipped_consecutive_transactions += 1
            status.skipped_transactions += 1
            return
        status.skipped_consecutive_transactions = 0
        connector.promised = True
        try:
            started = await self._start(connector, status)
        finally:
            connector.promised = False
        transaction = connector.transaction
        if not started or transaction is None:
            if station.presence.automatic:
                station.presence.leave(connector)
            return
        await self._see_out(transaction, status, loop)

    async def _see_out(self, transaction: Transaction, status: GeneratorStatus, loop: _Loop) -> None:
        """Let the vehicle stay, and end the transaction unless somebody else does."""
        station = self._station
        await self._stay(transaction, loop)
        if transaction.ended:
            return
        status.stop_transaction_requests += 1
        asked = station.clock.wall()

        def count(accepted: bool) -> None:
            station.publish(Timed, "StopTransaction with ATG", station.clock.wall() - asked)
            if accepted:
                status.accepted_stop_transaction_requests += 1
            else:
                status.rejected_stop_transaction_requests += 1

        # Without a connection the answer comes much later: the next round does not wait for it.
        transaction.when_stop_answered(count)
        station.sessions.end(transaction, Reason.LOCAL)

    async def _stay(self, transaction: Transaction, loop: _Loop) -> None:
        """Until the vehicle leaves, somebody else ends the transaction, or the loop is to stop."""
        settings = self.settings
        transaction.watch(loop.alarm.ring)
        leaves_charged = False
        if settings.stay is not None:
            duration = self._seconds(settings.stay)
        elif settings.energy_wanted is not None and transaction.connector.driven:
            duration, leaves_charged = LONGEST_STAY, True
            transaction.when_charged(loop.alarm.ring)
        else:
            duration = self._between(settings.min_duration, settings.max_duration)
        ends = self._station.clock.now() + duration
        while not (transaction.ended or loop.stop_wanted or (leaves_charged and transaction.charged)):
            if not await loop.alarm.wait_until(ends):
                break

    async def _start(self, connector: Connector, status: GeneratorStatus) -> bool:
        station, settings = self._station, self.settings
        id_tag = self._next_tag(connector.id)
        station.presence.arrive(connector, self._goal())
        if settings.require_authorize and station.info.id_tags:
            status.authorize_requests += 1
            decision = await station.authorization.authorize(id_tag)
            if not decision.accepted:
                status.rejected_authorize_requests += 1
                station.log.info("generator: tag %s is not authorised: %s", id_tag, decision.reason)
                return False
            status.accepted_authorize_requests += 1
        if not connector.ready or not station.in_service:
            return False  # things changed while the central system thought
        status.start_transaction_requests += 1
        asked = station.clock.wall()
        transaction = station.sessions.begin(connector, id_tag)

        def count(accepted: bool) -> None:
            station.publish(Timed, "StartTransaction with ATG", station.clock.wall() - asked)
            if accepted:
                status.accepted_start_transaction_requests += 1
            else:
                status.rejected_start_transaction_requests += 1

        transaction.when_started(count)
        return True

    def _deadline(self, connector_id: int, begun: float) -> float:
        """Until when a loop that began then may run, by the present section."""
        hours = self.settings.stop_after_hours * 3600
        if self.settings.stop_absolute_duration:
            return self._first_start.setdefault(connector_id, begun) + hours
        return begun + hours - self._used.get(connector_id, 0.0)

    async def _wait(self, loop: _Loop, pause: float, connector_id: int, begun: float) -> bool:
        """Let the pause pass; returns whether another round may begin."""
        paused = self._station.clock.now()
        while True:
            deadline = self._deadline(connector_id, begun)
            self.statuses[connector_id].stop_date = deadline
            if loop.stop_wanted or loop.last_round or self._station.clock.now() >= deadline:
                return False
            loop.section_changed = False
            if not await loop.alarm.wait_until(min(paused + pause, deadline)):
                return not loop.stop_wanted and self._station.clock.now() < deadline
            if loop.section_changed:
                pause = self._pause()

    def _pause(self) -> float:
        settings = self.settings
        if settings.arrival is not None:
            wait = self._seconds(settings.arrival)
            pause = wait_through(self._station.now(), wait, settings.weekday_rates, settings.weekend_rates)
            return max(pause, SHORTEST_PAUSE)
        pause = self._between(settings.min_delay_between_two_transactions, settings.max_delay_between_two_transactions)
        return max(pause, SHORTEST_PAUSE)

    def _goal(self) -> Goal | None:
        wanted = self.settings.energy_wanted
        if wanted is None:
            return None
        return Goal(
            energy_wh=draw(wanted.distribution, wanted.mean_wh, wanted.min_wh, wanted.max_wh, self._station.rng)
        )

    def _seconds(self, wanted: SecondsTemplate) -> float:
        least, most = wanted.min_seconds, wanted.max_seconds
        return draw(wanted.distribution, wanted.mean_seconds, least, most, self._station.rng)

    def _between(self, least: float, most: float) -> float:
        """A whole number of seconds, uniform over both ends; fractions in the template are kept."""
        if float(least).is_integer() and float(most).is_integer():
            return float(self._station.rng.randint(int(least), max(int(least), int(most))))
        return self._station.rng.uniform(least, max(least, most))

    def _next_tag(self, connector_id: int) -> str:
        tags = self._station.info.id_tags
        if not tags:
            return DEFAULT_ID_TAG
        distribution = self.settings.id_tag_distribution
        if distribution == "random":
            return self._station.rng.choice(tags)
        if distribution == "connector-affinity":
            return tags[(self._station.info.template_index - 1 + connector_id - 1) % len(tags)]
        tag = tags[self._tag_index % len(tags)]
        self._tag_index += 1
        return tag
