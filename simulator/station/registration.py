"""Registration, heartbeats and pings: what the station does with an open connection (OCPP 1.6 §4.2, §4.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import outcome

from simulator.clock import Timer
from simulator.events import Registered
from simulator.ocpp.v16.enums import RegistrationStatus
from simulator.ocpp.v16.messages import BootNotificationRequest, BootNotificationResponse, HeartbeatRequest
from simulator.station.call_results import CallFailed, NotConnected, Result
from simulator.station.calls import Post
from simulator.station.memory import SOON
from simulator.station.queued_call import Gate
from simulator.timestamps import parse_timestamp
from simulator.transport.connection import ConnectionClosed

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

#: Wall seconds before the next BootNotification when the central system names no interval or does not answer.
BOOT_RETRY = 60.0
#: Even a station whose heartbeats are switched off sends one a day, to set its clock (OCPP 1.6 §4.6).
HEARTBEAT_AT_LEAST = 86_400.0
#: Wall seconds within which the pong must come.
PONG_TIMEOUT = 10.0


class Registration:
    """The registration of one station and what keeps the connection alive afterwards. Survives reconnections."""

    __slots__ = (
        "_at_once",
        "_attached",
        "_attempts",
        "_boot_due",
        "_boot_timer",
        "_boot_waits",
        "_heartbeat_due",
        "_heartbeat_waits",
        "_keeping_alive",
        "_online",
        "_ping_due",
        "_registering",
        "_station",
        "_timer",
        "_told",
        "answer",
        "status",
    )

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        #: A connection is open.
        self._online = False
        #: The registration is under way on it: a BootNotification is on the wire, or the next one is due some time.
        self._registering = False
        self._attempts = 0
        #: The next BootNotification waits for its time; without a timer it waits for somebody who asks for it.
        self._boot_waits = False
        self._boot_timer: Timer | None = None
        #: Somebody has asked for the next BootNotification before it waited.
        self._at_once = False
        self._keeping_alive = False
        self._timer: Timer | None = None
        #: The last answer to BootNotification in this power cycle.
        self.answer: BootNotificationResponse | None = None
        self.status: RegistrationStatus | None = None
        #: The statuses have been queued on this connection.
        self._told = False
        self._heartbeat_due = 0.0
        self._heartbeat_waits = False
        self._ping_due = 0.0
        #: Wall instant of the next BootNotification while Pending or Rejected; holds across reconnections.
        self._boot_due = 0.0
        #: Wall instant of the open connection on which the station boots, until it is accepted.
        self._attached: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the station may do everything (registered, or told to act so by ``autoRegister``)."""
        return self.status is RegistrationStatus.ACCEPTED

    def power_up(self) -> None:
        """Forget the registration: the station boots."""
        self.answer = None
        self.status = RegistrationStatus.ACCEPTED if self._station.info.template.auto_register else None
        self._boot_due = 0.0
        self._attached = None
        self._at_once = False

    def attach(self, post: Post) -> None:
        """A connection is open: pass it to the outgoing lane with what may be said on it, and register if need be."""
        gate = {
            None: Gate.BOOTING,
            RegistrationStatus.ACCEPTED: Gate.ACCEPTED,
            RegistrationStatus.PENDING: Gate.PENDING,
            RegistrationStatus.REJECTED: Gate.REJECTED,
        }[self.status]
        if self.answer is None:
            gate = Gate.BOOTING
            self._attached = self._station.clock.wall()
        status = self._station.status
        # Lost before all were told what the boot had to tell: that still comes before anything else (§4.2).
        self._told = gate is Gate.ACCEPTED and status.untold
        self._station.lane.attach(post, gate, first=status.report_changed if self._told else lambda: None)

        self._online = True
        self._register()

    def detach(self) -> None:
        """The connection is gone. The pause that was agreed before the next BootNotification holds on the next one."""
        self._online = self._registering = False
        self._forget_boot()
        self._stop_keeping_alive()

    def boot_again(self) -> None:
        """Send the next BootNotification now (TriggerMessage while Pending)."""
        if self._boot_waits:
            self._forget_boot()
            self._boot()
        else:
            self._at_once = True

    # -- the registration: no task, its steps are set off by answers and by a timer -----------------------------------

    def _register(self) -> None:
        """Register if need be; then what an accepted station does begins."""
        self._registering = True
        self._attempts = 0
        if self._station.info.template.auto_register and self.answer is None:
            # A real BootNotification goes first; whatever its answer, the station acts as accepted.
            self._send_boot(self._booted_for_show)
        elif self.accepted:
            self._registered()
        else:
            self._await_boot()

    def _registered(self) -> None:
        self._registering = False
        if not self._told:
            self._station.status.report_changed()
        self._station.accepted()
        self._begin_keeping_alive()

    def _booted_for_show(self, answer: BootNotificationResponse | None) -> None:
        if answer is None:
            self._station.log.warning("registered anyway (autoRegister)")
            self._take_part()
        self._registered()

    def _take_part(self) -> None:
        """The station may do everything: it tells its statuses, and only then what happened earlier (OCPP 1.6 §4.2)."""
        status = self._station.status
        status.forget()
        self._told = True
        self._station.lane.open_gate(Gate.ACCEPTED, first=status.report_changed)

    def _await_boot(self) -> None:
        """Send BootNotification at its time. Reconnected while Pending or Rejected: the agreed pause still holds."""
        if self._at_once or self._boot_due <= self._station.clock.wall():
            self._at_once = False
            self._boot()
            return
        self._boot_waits = True
        if self._boot_due != float("inf"):
            self._boot_timer = self._station.clock.call_at_wall(self._boot_due, self._boot_is_due)

    def _boot_is_due(self) -> None:
        """It is time. What is raised here crashes the station."""
        self._forget_boot()
        try:
            self._boot()
        except Exception as error:
            self._station.crash(error)

    def _forget_boot(self) -> None:
        self._boot_waits = False
        if self._boot_timer is not None:
            self._boot_timer.cancel()
            self._boot_timer = None

    def _boot(self) -> None:
        self._attempts += 1
        self._send_boot(self._booted)

    def _booted(self, answer: BootNotificationResponse | None) -> None:
        """Go on after the answer to a BootNotification, or without one; it is sent again until it is accepted.

        Once ``registrationMaxRetries`` is used up the station stays connected and silent; TriggerMessage wakes it.
        """
        station = self._station
        if answer is not None and self.accepted:
            self._registered()
            return
        most = station.info.template.registration_max_retries
        if most >= 0 and self._attempts > most:
            station.log.error("not registered after %s attempt(s): registrationMaxRetries is used up", self._attempts)
            self._boot_due = float("inf")
            self._attempts = 0
        else:
            interval = 0 if answer is None else answer.interval
            pause = float(interval) if interval > 0 else BOOT_RETRY * station.rng.uniform(0.9, 1.1)
            self._boot_due = station.clock.wall() + pause
        self._await_boot()

    def _send_boot(self, then: Callable[[BootNotificationResponse | None], None]) -> None:
        """Send BootNotification; ``then`` goes on with the answer, or None, while this connection lasts."""

        def answered(result: Result) -> None:
            if not self._online:
                return
            try:
                answer: BootNotificationResponse | None = None
                try:
                    answer = result.unwrap()
                except NotConnected:
                    return  # the line is about to see it, and the next connection begins anew
                except CallFailed as error:
                    self._station.log.warning("BootNotification: %s", error)
                if answer is not None:
                    # The central system may send a CALL right behind its answer: that finds the station registered.
                    self._take_answer(answer)
                then(answer)
            except Exception as error:  # a deadline comes from the clock, which must not suffer from it
                self._station.crash(error)

        self._station.lane.send(boot_notification(self._station), answered, triggered=True)

    def _take_answer(self, answer: BootNotificationResponse) -> None:
        station = self._station
        automatic = station.info.template.auto_register
        self.answer = answer
        self.status = RegistrationStatus.ACCEPTED if automatic else RegistrationStatus(answer.status)
        station.publish(Registered, str(answer.status), answer.interval, self._boot_time(answer.status))
        station.synchronise_clock(answer.current_time)
        if self.accepted:
            station.log.info("registered: %s, heartbeat every %s s", answer.status, answer.interval)
            if answer.interval > 0 and answer.status == RegistrationStatus.ACCEPTED:
                station.keys.set("HeartbeatInterval", str(answer.interval), within=SOON)  # told anew at each boot
            self._take_part()
        else:
            station.log.warning(
                "registration %s, interval %s s: asks again until the central system accepts it",
                answer.status,
                answer.interval,
            )
            station.lane.open_gate(Gate.PENDING if self.status is RegistrationStatus.PENDING else Gate.REJECTED)
            self._boot_due = station.clock.wall() + (answer.interval if answer.interval > 0 else BOOT_RETRY)
            if self._keeping_alive:  # it was accepted before
                self._stop_keeping_alive()
                if self._online and not self._registering:
                    self._register()

    def _boot_time(self, status: str) -> float | None:
        """Wall seconds from the open connection to its first acceptance; None if this is none."""
        if status != RegistrationStatus.ACCEPTED or self._attached is None:
            return None
        seconds = self._station.clock.wall() - self._attached
        self._attached = None
        return seconds

    def refreshed(self, answer: BootNotificationResponse) -> None:
        """Take the answer to a BootNotification that was sent besides the registration (control protocol)."""
        self._take_answer(answer)
        if self._boot_waits:
            self._forget_boot()
            if self.accepted:
                self._registered()
            else:
                self._await_boot()

    # -- heartbeats and pings ----------------------------------------------------------------------------------------

    def _begin_keeping_alive(self) -> None:
        """The station is accepted: heartbeats and pings begin. They come from one timer and keep no task."""
        self._heartbeat_waits = False
        self._keeping_alive = True
        share = self._first_share()
        self._restart_heartbeat(share)
        self._restart_ping(share)

    def _stop_keeping_alive(self) -> None:
        self._keeping_alive = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _first_share(self) -> float:
        """The share of an interval after which the first heartbeat comes: where a fleet is staggered, one's own."""
        if not self._station.services.stagger:
            return 1.0
        return (1 + int(self._station.info.hash_id[:8], 16)) / 2**32

    def _set_timer(self) -> None:
        if not self._keeping_alive:
            return
        if self._timer is not None:
            self._timer.cancel()
        clock = self._station.clock
        due = min(clock.wall_at(self._heartbeat_due), self._ping_due)
        self._timer = clock.call_at_wall(due, self._keep_alive)

    def _keep_alive(self) -> None:
        """Something is due. What is raised here crashes the station."""
        self._timer = None
        try:
            self._send_what_is_due()
        except Exception as error:
            self._station.crash(error)
        else:
            self._set_timer()

    def _send_what_is_due(self) -> None:
        station = self._station
        # Compared as the timer does: in virtual time a wake-up may seem to come a rounding error too early.
        if station.clock.wall() >= station.clock.wall_at(self._heartbeat_due):
            self._heartbeat_due += self._heartbeat_interval()
            if self._heartbeat_due <= station.clock.now():  # a missed heartbeat is skipped, never piled up
                self._heartbeat_due = station.clock.now() + self._heartbeat_interval()
            self._heartbeat()
        if station.clock.wall() >= self._ping_due:
            self._ping_due = float("inf")
            station.spawn(self._ping)

    async def _ping(self) -> None:
        """Ping once, beside the heartbeats. Without a pong the connection ends, and the line sees to the rest."""
        try:
            await self._station.line.ping(PONG_TIMEOUT)
        except ConnectionClosed as closed:
            self._station.log.warning("ping: %s", closed.reason)
        else:
            self._restart_ping()

    def _heartbeat_interval(self) -> float:
        interval = self._station.keys.number("HeartbeatInterval")
        return float(interval) if interval > 0 else HEARTBEAT_AT_LEAST

    def heartbeat_interval_changed(self) -> None:
        """The next heartbeat comes after the new interval."""
        self._restart_heartbeat()

    def ping_interval_changed(self) -> None:
        """The next ping comes after the new interval."""
        self._restart_ping()

    def _restart_heartbeat(self, share: float = 1.0) -> None:
        self._heartbeat_due = self._station.clock.now() + self._heartbeat_interval() * share
        self._set_timer()

    def _restart_ping(self, share: float = 1.0) -> None:
        interval = self._station.keys.number("WebSocketPingInterval") * share
        self._ping_due = self._station.clock.wall() + interval if interval > 0 else float("inf")
        self._set_timer()

    def send_heartbeat(self) -> None:
        """A Heartbeat that the central system has asked for; its answer sets the clock as any other's does."""
        self._station.lane.send(HeartbeatRequest(), self._clock_told, triggered=True)

    def _heartbeat(self) -> None:
        if not self._heartbeat_waits:
            self._heartbeat_waits = True
            self._station.lane.send(HeartbeatRequest(), self._heartbeat_answered)

    def _heartbeat_answered(self, result: Result) -> None:
        self._heartbeat_waits = False
        self._clock_told(result)

    def _clock_told(self, result: Result) -> None:
        if isinstance(result, outcome.Value):
            self._station.synchronise_clock(result.value.current_time)


def boot_notification(station: ChargingStation) -> BootNotificationRequest:
    """The BootNotification of a station; what is unknown is left out (OCPP 1.6 §6.3)."""
    info, template = station.info, station.info.template
    return BootNotificationRequest(
        charge_point_vendor=template.charge_point_vendor,
        charge_point_model=template.charge_point_model,
        charge_point_serial_number=_at_most_25(info.charge_point_serial_number),
        charge_box_serial_number=_at_most_25(info.charge_box_serial_number),
        firmware_version=station.firmware.version or None,
        iccid=template.iccid or None,
        imsi=template.imsi or None,
        meter_type=template.meter_type or None,
        meter_serial_number=_at_most_25(info.meter_serial_number),
    )


def _at_most_25(serial: str | None) -> str | None:
    return serial[:25] if serial else None


def clock_offset(now: float, current_time: str) -> float | None:
    """Seconds to add to the process's clock so that it shows the central system's; None when the text is no instant."""
    try:
        there, _ = parse_timestamp(current_time)
    except ValueError:
        return None
    return there - now
