"""A charging station is a nursery: everything it does is a task inside it.

Stopping, resetting or crashing a station is ending that one nursery; the other stations see nothing of it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from simulator.clock import Alarm, Clock
from simulator.events import (
    ConnectorStatusChanged,
    Event,
    StationChanged,
    StationStarted,
    StationStopped,
)
from simulator.ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus, Reason
from simulator.station.authorization import Authorization
from simulator.station.calls import CallLane
from simulator.station.charging_limits import ChargingLimits
from simulator.station.connection import Line
from simulator.station.connector import Connector
from simulator.station.firmware import FirmwareUpdates
from simulator.station.follow import Carried
from simulator.station.generator import Generator
from simulator.station.key_actions import KeyActions
from simulator.station.keys import ConfigurationKeys
from simulator.station.memory import PROMISED, StationMemory, Switch
from simulator.station.memory_parts import parts_of
from simulator.station.meter_signing import MeterSigning
from simulator.station.metering import connector_meter
from simulator.station.notices import Notices
from simulator.station.presence import Presence
from simulator.station.queued_call import CallRules, Gate
from simulator.station.registration import Registration, clock_offset
from simulator.station.reservations import Reservations
from simulator.station.sampling import Sampling
from simulator.station.security import Security
from simulator.station.security_events import Kind
from simulator.station.services import StationServices
from simulator.station.sessions import Sessions
from simulator.station.status import StatusReports
from simulator.station.supply import Supply
from simulator.station.uploads import Uploads
from simulator.station.v16.dispatch import Dispatcher
from simulator.telemetry.log import get_station_logger
from simulator.templates.info import StationInfo

#: Wall seconds that the ordered end of a station may take: its transactions' last messages, then its statuses.
END_WITHIN = 3.0

#: A central system's clock that is this close (seconds) sets nothing: the way of the answer takes as long.
CLOCK_TOLERANCE = 0.25


class ChargingStation:
    """One simulated charging station.

    :meth:`run` is its life: from power-up until :meth:`stop`, through any number of resets. Between lives the object
    keeps what a real station's memory keeps: configuration keys, availability, registers, undelivered transaction
    messages.
    """

    # Beyond thirty attributes a dictionary for each instance takes another 1.5 kB.
    __slots__ = (
        "__weakref__",
        "_away",
        "_clock_offset",
        "_end_wanted",
        "_end_within",
        "_ended",
        "_meter_rng",
        "_nursery",
        "_outage",
        "_reset_wanted",
        "_returns",
        "_rng",
        "authorization",
        "clock",
        "configured_url",
        "connectors",
        "credentials",
        "dispatcher",
        "firmware",
        "generator",
        "info",
        "keys",
        "lane",
        "limits",
        "line",
        "log",
        "memory",
        "meter_signing",
        "moved",
        "notices",
        "presence",
        "registration",
        "reservations",
        "reset_promised",
        "sampling",
        "security",
        "services",
        "sessions",
        "started",
        "status",
        "stopping",
        "supply",
        "uploads",
    )

    def __init__(
        self,
        info: StationInfo,
        services: StationServices,
        *,
        supervision_url: str,
        carried: Carried | None = None,
    ) -> None:
        """:param carried: what the same station took along from its former life in this process."""
        self.info = info
        self.services = services
        self.clock: Clock = services.clock
        self._rng: random.Random | None = None
        self._meter_rng: random.Random | None = None
        self.log = get_station_logger(info.station_id)
        #: The central system that the template or the configuration names, or where somebody has moved the station.
        self.configured_url = supervision_url if carried is None else carried.url or supervision_url
        self.moved = carried is not None and carried.url is not None
        #: What :meth:`supervise` has set.
        self.credentials: tuple[str, str | bytes] | None = None if carried is None else carried.credentials
        self._clock_offset = 0.0
        self.memory = StationMemory(self, None if carried is None else carried.memory)
        self.keys = ConfigurationKeys(info, supervision_url, KeyActions(self))
        self.memory.give_back(self.keys, Switch.OCPP)  # the other parts look into them
        self.lane = CallLane(
            services,
            info.hash_id,
            info.station_id,
            self.call_rules(),
            self._tell,
        )
        self.connectors: dict[int, Connector] = {}
        for connector_id, definition in sorted(info.connectors.items()):
            meter = connector_meter(info, definition) if connector_id > 0 else None
            connector = Connector(connector_id, definition, meter, self._connector_changed)
            connector.whole = self.connectors.get(0)
            self.connectors[connector_id] = connector
        self.status = StatusReports(self)
        self.authorization = Authorization(self)
        self.presence = Presence(self)
        self.reservations = Reservations(self)
        self.limits = ChargingLimits(self)
        self.supply = Supply(self)
        self.meter_signing = MeterSigning(self)
        self.sampling = Sampling(self)
        self.sessions = Sessions(self)
        self.registration = Registration(self)
        self.security = Security(self)
        self.line = Line(self)
        self.generator = Generator(self)
        self.notices = Notices(self)
        self.uploads = Uploads(self)
        self.firmware = FirmwareUpdates(self)
        self.dispatcher = Dispatcher(self)
        self.started = False
        self.stopping = False
        self._nursery: trio.Nursery | None = None
        self._reset_wanted: Reason | None = None
        #: A reset has been accepted that begins once the answer has left.
        self.reset_promised = False
        #: The power fails without a warning: nothing is said any more.
        self._outage = False
        #: Wall seconds that the ordered end may take.
        self._end_within = END_WITHIN
        #: The end is one that the station comes back from at once.
        self._returns = False
        self._end_wanted = False
        #: For whoever waits for the end of the run; an event takes 300 bytes, and hardly a station is ever waited for.
        self._ended: trio.Event | None = None
        #: Ends the time away of a reset.
        self._away = Alarm(self.clock)
        for part, switch in parts_of(self):
            if part is not self.keys:
                self.memory.give_back(part, switch)
        self.sessions.book.take_up()
        self.memory.complete(parts_of)
        if carried is not None:
            self._take_along(carried)

    def __repr__(self) -> str:
        return f"ChargingStation({self.info.station_id!r})"

    def call_rules(self) -> CallRules:
        """What the keys and the present template say about sending."""
        template = self.info.template
        return CallRules(
            timeout=self._message_timeout,
            attempts=self._message_attempts,
            retry_interval=self._retry_interval,
            supported=template.commands_support.allows_outgoing,
            validate=template.payload_schema_validation,
            strict=template.ocpp_strict_compliance,
        )

    # Bound methods: a function of its own takes each station three times as much.

    def _tell(self, level: str, text: str) -> None:
        getattr(self.log, level)(text)

    def _message_timeout(self) -> float:
        return self.keys.of_messages.timeout

    def _message_attempts(self) -> int:
        return self.keys.number("TransactionMessageAttempts", 3)

    def _retry_interval(self) -> float:
        return float(self.keys.number("TransactionMessageRetryInterval", 60))

    # -- from life to life ---------------------------------------------------------------------------------------------

    def carry(self) -> Carried:
        """What the next life of a station that has ended takes along, in this process."""
        return Carried(
            memory=self.memory.carry(),
            url=self.configured_url if self.moved else None,
            credentials=self.credentials,
            held=self.line.asked_to_hold,
            plugged=tuple(connector.id for connector in self.connectors.values() if connector.plugged),
        )

    def _take_along(self, carried: Carried) -> None:
        if carried.held:
            self.line.close(hold=True)
        for connector_id in carried.plugged:
            if connector_id in self.connectors:
                self.presence.find_plugged(self.connectors[connector_id])

    # -- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live: power up, connect, charge; on reset go away and come back; return after :meth:`stop`.

        On cancel everything ends at once; the connection is still closed with 1000.
        """
        self.started, self.stopping = True, False
        self.publish(StationStarted)
        try:
            while not self.stopping:
                self._end_wanted = False
                self._power_up()
                try:
                    # From power-up to the ordered end for a stop or a reset.
                    async with trio.open_nursery() as self._nursery:
                        self._go_on()
                        # In this task and no deeper than need be: a fleet has thousands of them, and of each frame.
                        await self.line.run(self._nursery)
                finally:
                    self._nursery = None
                    self.sampling.power_down()
                if self._reset_wanted is None:
                    break
                pause = self.info.template.reset_time
                self.log.info("reset (%s): back in %g s", self._reset_wanted, pause)
                await self._away.wait_until(self.clock.now() + pause)
                self._reset_wanted = None
        finally:
            self.started = False
            self._reset_wanted = None
            if self._ended is not None:
                self._ended.set()
                self._ended = None
            self.publish(StationStopped)

    async def stop(self, within: float = END_WITHIN, *, returns: bool = False) -> None:
        """End the station in order and wait for it; one that is not running is left alone.

        Running transactions get their StopTransaction, every connector reports Unavailable, the connection is closed
        with 1000. All that takes at most ``within`` wall seconds and the closing handshake.

        :param returns: it is back in a moment: transactions end with reason Reboot, and nothing becomes Unavailable.
        """
        if self.started:
            self._end_within = within
            self._returns = returns
            self.stopping = True
            self._begin_to_end()
            self._away.ring()
            if self._ended is None:
                self._ended = trio.Event()
            await self._ended.wait()
        else:
            await trio.lowlevel.checkpoint()

    def reset(self, reason: Reason) -> None:
        """Go away in order and come back after ``resetTime`` (OCPP 1.6 §5.14)."""
        if self._reset_wanted is None and not self.stopping:
            self._reset_wanted = reason
            self.security.event(Kind.RESET_OR_REBOOT, str(reason))
            self._begin_to_end()

    def power_cycle(self, *, warned: bool = True) -> None:
        """Lose the power and come back after ``resetTime`` (OCPP 1.6 §5.16, reason PowerLoss).

        :param warned: a buffer lets the station end its transactions first; else they end at the next boot.
        """
        if self._reset_wanted is None and not self.stopping:
            self._outage = not warned
            self.reset(Reason.POWER_LOSS)

    @property
    def reset_under_way(self) -> bool:
        """Whether a reset has been accepted and not finished."""
        return self._reset_wanted is not None

    def abandon(self) -> None:
        """End at once, without an order; the connection is still closed with 1000. :meth:`run` returns soon."""
        self.stopping = True
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
        self._away.ring()

    def _go_on(self) -> None:
        """There is power: what was under way before goes on."""
        assert self._nursery is not None
        if self._end_wanted:  # before there was a nursery
            self._nursery.start_soon(self._end, self._nursery.cancel_scope)
        self.sessions.resume()
        self.sampling.align()
        self.uploads.resume()
        self.firmware.resume()
        self.presence.resume()

    def _begin_to_end(self) -> None:
        """This power cycle is to end in order; once is enough."""
        if not self._end_wanted:
            self._end_wanted = True
            if self._nursery is not None and not self._nursery.cancel_scope.cancel_called:
                self._nursery.start_soon(self._end, self._nursery.cancel_scope)

    async def _end(self, cycle: trio.CancelScope) -> None:
        """End in order, and then the power cycle."""
        if self._outage:
            self._fall_silent()
        else:
            with trio.move_on_after(self._end_within):
                await self._end_in_order()
        cycle.cancel()

    def _power_up(self) -> None:
        self.reset_promised = False
        self.supply.power_up()
        self._away = Alarm(self.clock)
        self.security.power_up()
        self.registration.power_up()
        self.firmware.power_up()
        self.generator.power_up()
        self.presence.power_up()
        self._outage = False
        for transaction in self.sessions.running():  # a crash leaves some, and stopTransactionsOnStopped: false
            self.sessions.end(transaction, Reason.REBOOT)
        for connector in self.connectors.values():
            connector.reported = None
            boot = connector.template.boot_status
            status = connector.at_rest
            if connector.id > 0 and connector.in_operation:
                if boot:
                    status = ChargePointStatus(boot)
                elif connector.plugged:
                    status = ChargePointStatus.PREPARING
            code = ChargePointErrorCode.OTHER_ERROR if status is ChargePointStatus.FAULTED else None
            connector.move(status, error_code=code or ChargePointErrorCode.NO_ERROR, force=True)
        self.reservations.show()

    def _fall_silent(self) -> None:
        """The power fails: transactions end here and now, and the central system learns of it after the boot."""
        self.lane.open_gate(Gate.CLOSED)
        for transaction in self.sessions.running():
            self.sessions.end(transaction, Reason.POWER_LOSS)

    async def _end_in_order(self) -> None:
        if self._reset_wanted is not None or self._returns or self.info.template.stop_transactions_on_stopped:
            self.generator.ask_to_stop()
            for transaction in self.sessions.running():
                self.sessions.end(transaction, self._reset_wanted or (Reason.REBOOT if self._returns else Reason.LOCAL))
        self._leave_service()
        if self.lane.connected:
            await self.lane.delivered()
        if self.stopping and self._reset_wanted is not None:  # the stop came while the reset was being prepared
            self._leave_service()
            await self.lane.delivered()
        if self.lane.connected:
            self.lane.open_gate(Gate.CLOSED)

    def _leave_service(self) -> None:
        if self.stopping and not self._returns:
            for connector in reversed(self.connectors.values()):
                if connector.transaction is not None:  # it goes on (stopTransactionsOnStopped: false)
                    continue
                if connector.status is ChargePointStatus.PREPARING:  # the table has no way from there to Unavailable
                    connector.move(ChargePointStatus.AVAILABLE)
                connector.move(ChargePointStatus.UNAVAILABLE, force=True)

    # -- tasks -------------------------------------------------------------------------------------------------------

    def spawn(self, run: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a task of the station; what it raises crashes the station. Without power nothing runs."""
        if self._nursery is not None and not self._nursery.cancel_scope.cancel_called:
            self._nursery.start_soon(run, *args)

    def crash(self, error: Exception) -> None:
        """End the station's present life with an error that came up outside of its tasks; its supervisor sees to it."""

        async def fail() -> None:
            raise error

        if self._nursery is None or self._nursery.cancel_scope.cancel_called:
            self.log.error("failed at the end of its life: %s", error, exc_info=error)
        self.spawn(fail)

    def guarded(self, call: Callable[[], object]) -> Callable[[], None]:
        """The call of a timer: what it raises ends the station's present life, and is not the clock's to log."""

        def guarded() -> None:
            try:
                call()
            except Exception as error:
                self.crash(error)

        return guarded

    @property
    def powered(self) -> bool:
        """Whether tasks can run: the station is on, and not away for a reset."""
        return self._nursery is not None

    # -- the world as the station sees it ----------------------------------------------------------------------------

    @property
    def supervision_url(self) -> str:
        """The central system's URL without the station's id; the vendor key's value where the template makes one."""
        template = self.info.template
        if template.supervision_url_ocpp_configuration:
            return self.keys.text(template.supervision_url_ocpp_key) or self.configured_url
        return self.configured_url

    def supervise(self, url: str, user: str | None = None, password: str | None = None) -> None:
        """Move to another central system, for this process: an open connection is closed, the new one opened at once.

        :param user: with ``password``: for HTTP Basic authentication there; None keeps what holds now.
        """
        template = self.info.template
        if template.supervision_url_ocpp_configuration:
            self.keys.set(template.supervision_url_ocpp_key, url)
        self.moved = True
        if user is not None and password is not None:
            self.credentials = (user, password)
        self.remember()
        self.connect_to(url)

    def connect_to(self, url: str) -> None:
        """Let the present connection go and open one to that central system at once, unless the line is held."""
        self.configured_url = url
        if self.started and not self.line.held():
            self.line.close(hold=False)
            self.line.open()

    @property
    def online(self) -> bool:
        """Whether transaction messages go out at once: connected and accepted."""
        return self.lane.connected and self.lane.gate is Gate.ACCEPTED

    @property
    def in_service(self) -> bool:
        """Whether sessions may begin: accepted by the central system (maybe offline now), operative, no fault."""
        station = self.connectors.get(0)
        return (
            self.registration.accepted
            and not self.stopping
            and self._reset_wanted is None
            and (station is None or (station.operative and station.status is not ChargePointStatus.FAULTED))
        )

    def now(self) -> float:
        """POSIX seconds on the station's own clock, which the central system sets."""
        return self.clock.now() + self._clock_offset

    def own_time(self, virtual: float) -> float:
        """What the station's clock, as it goes now, showed at an instant of the process's clock."""
        return virtual + self._clock_offset

    def synchronise_clock(self, current_time: str) -> None:
        """Follow the central system's clock (OCPP 1.6 §4.6); at a speed other than 1 that would mean nothing."""
        if self.clock.speed != 1.0:
            return
        offset = clock_offset(self.clock.now(), current_time)
        if offset is None:
            self.log.warning("currentTime %r is no instant: the clock stays as it is", current_time)
        elif abs(offset - self._clock_offset) > CLOCK_TOLERANCE:
            former, self._clock_offset = self._clock_offset, offset
            self.security.event(Kind.SETTING_SYSTEM_TIME, f"by {offset - former:+.3f} s")
            self._clock_offset = offset
            self.sampling.align()
            self.reservations.clock_changed()
            self.firmware.clock_changed()
            self.supply.review()

    def follow_availability(self, connector: Connector) -> None:
        """Bring an idle connector's status in line with its administrative state (OCPP 1.6 §5.2)."""
        if connector.transaction is not None or connector.status is connector.at_rest:
            return
        if not connector.in_operation:
            self.reservations.drop(connector)
        if connector.status is ChargePointStatus.FAULTED or (connector.offered and connector.in_use):
            return
        if connector.status is ChargePointStatus.UNAVAILABLE and connector.plugged:
            self.presence.await_tag(connector)  # H2 of the table
            return
        if connector.status is ChargePointStatus.PREPARING:  # the table knows no way from there to Unavailable
            connector.move(ChargePointStatus.AVAILABLE)
        connector.move(connector.at_rest)

    # -- energy ------------------------------------------------------------------------------------------------------

    @property
    def rng(self) -> random.Random:
        """The station's own randomness, made at its first use: each takes 2.5 kB."""
        if self._rng is None:
            self._rng = station_random(self.services.seed, self.info.hash_id)
        return self._rng

    @property
    def meter_rng(self) -> random.Random:
        """The randomness of vehicles and meters: with its own seed, and what is metered changes nothing else."""
        if self._meter_rng is None:
            seed = self.info.template.random_seed
            seed = self.services.seed if seed is None else seed
            self._meter_rng = station_random(seed, f"{self.info.hash_id}:meters")
        return self._meter_rng

    def forget_meter_random(self) -> None:
        """The template has another seed of vehicles and meters."""
        self._meter_rng = None

    def settle_energy(self) -> None:
        """Let every meter count the energy since the last settlement, before it is read."""
        self.supply.settle()

    # -- news --------------------------------------------------------------------------------------------------------

    def accepted(self) -> None:
        """The central system has accepted the station, or it is back on a line where it had been."""
        self.security.online()
        self.notices.station_accepted()
        self.generator.station_accepted()

    def connection_lost(self) -> None:
        """The connection is gone."""
        self.generator.connection_lost()
        self.changed()

    def _connector_changed(self, connector: Connector) -> None:
        self.publish(ConnectorStatusChanged, connector.id, str(connector.status), str(connector.error_code))
        self.status.changed(connector)
        if self.reservations:
            self.reservations.show()
        self.firmware.connector_changed(connector)

    def changed(self) -> None:
        """Tell that something which people watch has changed and no event of its own says so."""
        self.publish(StationChanged)

    def remember(self, within: float = PROMISED) -> None:
        """Note that something has changed which outlives the process: to be stored within so many wall seconds."""
        self.memory.changed(within)

    def publish(self, kind: type[Event], *details: Any) -> None:
        """Publish an event in the station's name."""
        self.services.bus.publish(kind(self.info.hash_id, self.info.station_id, *details))


def station_random(seed: int | None, hash_id: str) -> random.Random:
    """The station's own randomness: repeatable under a seed, and never that of its neighbour."""
    return random.Random() if seed is None else random.Random(f"{seed}:{hash_id}")
