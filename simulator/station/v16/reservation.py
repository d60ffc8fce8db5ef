"""Reservation profile (OCPP 1.6 §5.1, §5.13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulator.ocpp.v16.enums import CancelReservationStatus, ReservationStatus
from simulator.ocpp.v16.messages import (
    CancelReservationRequest,
    CancelReservationResponse,
    ReserveNowRequest,
    ReserveNowResponse,
)
from simulator.station.reservations import Reservation
from simulator.station.v16.dispatch import Answer, Handler
from simulator.timestamps import parse_timestamp

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation


class ReservationProfile:
    """The Reservation profile of one station."""

    def __init__(self, station: ChargingStation) -> None:
        self._station = station

    def handlers(self) -> Mapping[str, Handler]:
        """Handler by action."""
        return {"CancelReservation": self.cancel_reservation, "ReserveNow": self.reserve_now}

    def reserve_now(self, request: ReserveNowRequest) -> Answer:
        """The decision is the reservations'; the status Reserved follows the answer."""
        reservations = self._station.reservations
        try:
            expiry, _ = parse_timestamp(request.expiry_date)
        except ValueError:  # only without schema validation
            return Answer(ReserveNowResponse(status=ReservationStatus.REJECTED))
        reservation = Reservation(
            id=request.reservation_id,
            connector_id=request.connector_id,
            id_tag=request.id_tag,
            expiry=expiry,
            parent_id_tag=request.parent_id_tag,
        )
        status = reservations.reserve(reservation)
        if status is not ReservationStatus.ACCEPTED:
            return Answer(ReserveNowResponse(status=status))

        async def keep() -> None:
            reservations.keep(reservation)

        return Answer(ReserveNowResponse(status=status), keep)

    def cancel_reservation(self, request: CancelReservationRequest) -> Answer:
        """Known: gone after the answer. Unknown: Rejected."""
        reservations = self._station.reservations
        if all(reservation.id != request.reservation_id for reservation in reservations):
            return Answer(CancelReservationResponse(status=CancelReservationStatus.REJECTED))

        async def cancel() -> None:
            reservations.cancel(request.reservation_id)

        return Answer(CancelReservationResponse(status=CancelReservationStatus.ACCEPTED), cancel)
