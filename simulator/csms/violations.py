"""What a station can do wrong, as a central system sees it. Pure."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class ViolationKind(StrEnum):
    """The rule that was broken."""

    #: Not a JSON array of the right shape, a binary frame, or an id of more than 36 characters.
    MALFORMED_FRAME = "malformed frame"
    #: A message type number other than 2, 3 and 4.
    UNKNOWN_MESSAGE_TYPE = "unknown message type"
    #: An action that OCPP 1.6 does not have, or has only in the other direction.
    UNKNOWN_ACTION = "unknown action"
    #: A request that its schema refuses.
    INVALID_REQUEST = "invalid request"
    #: An answer that its schema refuses.
    INVALID_RESPONSE = "invalid response"
    #: A CALL while an earlier one of the same connection had no answer yet (OCPP-J 1.6 §4.1.1).
    SECOND_CALL = "second call while one is outstanding"
    #: A message id that had been used for another CALL (OCPP-J 1.6 §4.1.4).
    REUSED_MESSAGE_ID = "reused message id"
    #: A CALLRESULT or CALLERROR that answers nothing.
    UNASKED_ANSWER = "answer to no call"
    #: A request other than BootNotification before it was accepted and not asked for (OCPP 1.6 §4.2).
    NOT_REGISTERED = "request before the boot was accepted"
    #: A connector status that cannot follow the one before, or is not one of connector 0 (OCPP 1.6 §4.9).
    ILLEGAL_STATUS = "illegal status"
    #: MeterValues or StopTransaction of a transaction that is not open at that station or connector.
    UNKNOWN_TRANSACTION = "unknown transaction"
    #: A transaction began on a connector where another one was still open.
    OVERLAPPING_TRANSACTION = "overlapping transaction"
    #: A transaction was stopped a second time with other values.
    CONFLICTING_STOP = "conflicting stop"
    #: An energy register is lower than it was.
    REGISTER_BACKWARDS = "register going backwards"
    #: A transaction on a connector that cannot be, or a reading that is no number.
    IMPLAUSIBLE_VALUE = "implausible value"


class StationViolation(msgspec.Struct, frozen=True):
    """One thing that a station did wrong. ``at`` is the central system's POSIX time."""

    station_id: str
    kind: ViolationKind
    detail: str
    at: float
    action: str | None = None
    message_id: str | None = None

    def __str__(self) -> str:
        about = f" ({self.action})" if self.action else ""
        return f"{self.station_id}: {self.kind}{about}: {self.detail}"
