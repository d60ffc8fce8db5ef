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
        """The decision is the reservations'. It holds at once, for the next request; the status follows the answer."""
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
        reservations.keep(reservation)
        return Answer(ReserveNowResponse(status=status), self._show)

    def cancel_reservation(self, request: CancelReservationRequest) -> Answer:
        """Known: gone, which the status shows after the answer. Unknown: Rejected."""
        if not self._station.reservations.cancel(request.reservation_id):
            return Answer(CancelReservationResponse(status=CancelReservationStatus.REJECTED))
        return Answer(CancelReservationResponse(status=CancelReservationStatus.ACCEPTED), self._show)

    async def _show(self) -> None:
        self._station.reservations.show()
