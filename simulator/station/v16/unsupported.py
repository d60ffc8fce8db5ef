"""What a station answers to requests of a profile that it does not have."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.ocpp.errors import CallRefused, ErrorCode
from simulator.ocpp.v16.enums import CancelReservationStatus, ReservationStatus, UpdateStatus
from simulator.ocpp.v16.messages import (
    CancelReservationResponse,
    GetLocalListVersionResponse,
    ReserveNowResponse,
    Response,
    SendLocalListResponse,
)
from simulator.station.v16.dispatch import Answer

#: Where the standard has a status for it: OCPP 1.6 §5.10 (-1: no lists), §5.15, §5.13, §5.1.
STATUSES: Mapping[str, Response] = {
    "GetLocalListVersion": GetLocalListVersionResponse(list_version=-1),
    "SendLocalList": SendLocalListResponse(status=UpdateStatus.NOT_SUPPORTED),
    "ReserveNow": ReserveNowResponse(status=ReservationStatus.REJECTED),
    "CancelReservation": CancelReservationResponse(status=CancelReservationStatus.REJECTED),
}


def answer_unsupported(action: str) -> Answer:
    """The answer to a request that no profile of the station handles.

    :raises CallRefused: NotSupported, where the action has no status for it.
    """
    response = STATUSES.get(action)
    if response is None:
        raise CallRefused(ErrorCode.NOT_SUPPORTED, f"{action} is not supported")
    return Answer(response)
