"""A connector: its status machine (OCPP 1.6 §4.9), its meter, and the transaction that runs on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import trio

from simulator.clock import Alarm
from simulator.energy.charging_profiles import ChargingProfile
from simulator.energy.meter import ConnectorMeter
from simulator.ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus
from simulator.templates.model import ConnectorTemplate

if TYPE_CHECKING:
    from simulator.station.transaction import Transaction

Status = ChargePointStatus

#: Where a connector may go from each status: the table of OCPP 1.6 §4.9, transitions A2 to I8.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.AVAILABLE: frozenset(
        {
            Status.PREPARING,
            Status.CHARGING,
            Status.SUSPENDED_EV,
            Status.SUSPENDED_EVSE,
            Status.RESERVED,
            Status.UNAVAILABLE,
            Status.FAULTED,
        }
    ),
    Status.PREPARING: frozenset(
        {
            Status.AVAILABLE,
            Status.CHARGING,
            Status.SUSPENDED_EV,
            Status.SUSPENDED_EVSE,
            Status.FINISHING,
            Status.FAULTED,
        }
    ),
    Status.CHARGING: frozenset(
        {
            Status.AVAILABLE,
            Status.SUSPENDED_EV,
            Status.SUSPENDED_EVSE,
            Status.FINISHING,
            Status.UNAVAILABLE,
            Status.FAULTED,
        }
    ),
    Status.SUSPENDED_EV: frozenset(
        {
            Status.AVAILABLE,
            Status.CHARGING,
            Status.SUSPENDED_EVSE,
            Status.FINISHING,
            Status.UNAVAILABLE,
            Status.FAULTED,
        }
    ),
    Status.SUSPENDED_EVSE: frozenset(
        {
            Status.AVAILABLE,
            Status.CHARGING,
            Status.SUSPENDED_EV,
            Status.FINISHING,
            Status.UNAVAILABLE,
            Status.FAULTED,
        }
    ),
    Status.FINISHING: frozenset({Status.AVAILABLE, Status.PREPARING, Status.UNAVAILABLE, Status.FAULTED}),
    Status.RESERVED: frozenset({Status.AVAILABLE, Status.PREPARING, Status.UNAVAILABLE, Status.FAULTED}),
    Status.UNAVAILABLE: frozenset(
        {
            Status.AVAILABLE,
            Status.PREPARING,
            Status.CHARGING,
            Status.SUSPENDED_EV,
            Status.SUSPENDED_EVSE,
            Status.FAULTED,
        }
    ),
    Status.FAULTED: frozenset(set(Status) - {Status.FAULTED}),
}

#: Connector 0 stands for the station and knows three statuses only.
STATION_STATUSES = frozenset({Status.AVAILABLE, Status.UNAVAILABLE, Status.FAULTED})


class Start(msgspec.Struct, frozen=True):
    """How an authorised start came about, besides its tag."""

    remote: bool = False
    #: The reservation that it uses.
    reservation_id: int | None = None
    #: The TxProfile that the remote start brought.
    profile: ChargingProfile | None = None
    #: The group of the tag, as far as it is known.
    parent_id_tag: str | None = None


class Waiting:
    """What waits at a connector: a plugged vehicle for a tag, or (``id_tag``) an authorised tag for a vehicle."""

    __slots__ = ("changed", "id_tag", "scope", "start")

    def __init__(self, id_tag: str | None, changed: Alarm, start: Start | None = None) -> None:
        self.id_tag = id_tag
        #: Rung when ConnectionTimeOut changes.
        self.changed = changed
        self.start = start or Start()
        self.scope = trio.CancelScope()


class Connector:
    """One connector of a station; 0 is the station itself.

    :param changed: called after each change of status or error code.
    """

    __slots__ = (
        "_changed",
        "before_fault",
        "error_code",
        "held",
        "id",
        "info",
        "locked",
        "meter",
        "operative",
        "phases",
        "plugged",
        "promised",
        "reported",
        "status",
        "template",
        "transaction",
        "waiting",
        "watts",
        "whole",
    )

    def __init__(
        self,
        connector_id: int,
        template: ConnectorTemplate,
        meter: ConnectorMeter | None,
        changed: Callable[[Connector], None],
    ) -> None:
        self.id = connector_id
        self.template = template
        #: None for connector 0.
        self.meter = meter
        #: Administrative state: what ChangeAvailability set for this very connector (0: for the station).
        self.operative = True
        #: Connector 0, without which no other one is in operation; None for itself, and where the station has none.
        self.whole: Connector | None = None
        #: Kept out of use by the station itself, for an installation; nothing that outlives a boot.
        self.held = False
        self.status = Status(template.boot_status) if template.boot_status else Status.AVAILABLE
        self.error_code = ChargePointErrorCode.NO_ERROR
        #: A word for people beside the status (at most 50 characters); goes with the next StatusNotification.
        self.info: str | None = None
        self.transaction: Transaction | None = None
        #: Whether the cable's lock is shut; it shuts for a transaction and opens after it.
        self.locked = False
        #: A vehicle's cable is in it.
        self.plugged = False
        #: What is offered to it in a transaction: W, on so many phases (None: on all).
        self.watts = 0.0
        self.phases: int | None = None
        self.waiting: Waiting | None = None
        #: The status before a fault.
        self.before_fault: Status | None = None
        #: A start has been promised (remote start, generator) and is on its way.
        self.promised = False
        #: Status and error code that the central system last took note of; None: nothing in this boot.
        self.reported: tuple[Status, ChargePointErrorCode] | None = None
        self._changed = changed

    def move(
        self,
        status: Status,
        *,
        error_code: ChargePointErrorCode = ChargePointErrorCode.NO_ERROR,
        info: str | None = None,
        force: bool = False,
    ) -> None:
        """Go to a status; nothing happens when it and the error code are the present ones.

        :param force: whatever the table says: the station is powered up or goes away.
        :raises ValueError: when the table has no such transition: that is a mistake of this program.
        """
        if status is self.status and error_code is self.error_code:
            return
        if status is not self.status and not force:
            allowed = STATION_STATUSES if self.id == 0 else TRANSITIONS[self.status]
            if status not in allowed:
                raise ValueError(f"connector {self.id} cannot go from {self.status} to {status}")
        self.status = status
        self.error_code = error_code
        self.info = info
        self._changed(self)

    @property
    def driven(self) -> bool:
        """Whether a vehicle decides what flows."""
        return self.meter is not None and self.meter.vehicle is not None and not self.meter.plan.flow_given

    @property
    def in_operation(self) -> bool:
        """Whether the connector is Operative, and so is the station (OCPP 1.6 §5.2)."""
        return self.operative and (self.whole is None or self.whole.operative)

    @property
    def offered(self) -> bool:
        """Whether the connector is for use: in operation, and not held."""
        return self.in_operation and not self.held

    @property
    def at_rest(self) -> Status:
        """The status of the connector while nobody uses it."""
        return Status.AVAILABLE if self.offered else Status.UNAVAILABLE

    @property
    def holds_cable(self) -> bool:
        """Whether a cable is locked in that hangs from the station alone: its vehicle has unplugged at its own side."""
        return self.locked and not self.plugged and self.status is Status.FINISHING

    @property
    def in_use(self) -> bool:
        """Whether a vehicle or a tag has to do with the connector."""
        return self.status not in {Status.AVAILABLE, Status.UNAVAILABLE, Status.FAULTED}

    @property
    def ready(self) -> bool:
        """Whether a transaction can begin here now, the station's own state and reservations left aside."""
        return (
            self.offered
            and self.transaction is None
            and self.status in {Status.AVAILABLE, Status.PREPARING, Status.FINISHING, Status.RESERVED}
        )

    @property
    def usable(self) -> bool:
        """Whether a new session may be promised here: ready, and promised to nobody else."""
        return self.ready and not self.promised

    @property
    def awaits_vehicle(self) -> bool:
        """Whether somebody's tag has been accepted, and only the vehicle is missing."""
        return self.waiting is not None and self.waiting.id_tag is not None
