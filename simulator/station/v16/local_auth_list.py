"""Local authorisation list profile (OCPP 1.6 §5.10, §5.15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulator.ocpp.v16.enums import UpdateStatus, UpdateType
from simulator.ocpp.v16.messages import (
    AuthorizationData,
    GetLocalListVersionRequest,
    GetLocalListVersionResponse,
    SendLocalListRequest,
    SendLocalListResponse,
)
from simulator.station.v16.dispatch import Answer, Handler

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

#: What GetLocalListVersion answers where there is no list (§5.10).
NO_LIST = -1


class LocalAuthListProfile:
    """The LocalAuthListManagement profile of one station."""

    def __init__(self, station: ChargingStation) -> None:
        self._station = station

    def handlers(self) -> Mapping[str, Handler]:
        """Handler by action."""
        return {"GetLocalListVersion": self.get_local_list_version, "SendLocalList": self.send_local_list}

    def get_local_list_version(self, request: GetLocalListVersionRequest) -> Answer:
        """0 for an empty list, -1 while lists are switched off."""
        authorization = self._station.authorization
        version = authorization.local_list.version if authorization.list_enabled else NO_LIST
        return Answer(GetLocalListVersionResponse(list_version=version))

    def send_local_list(self, request: SendLocalListRequest) -> Answer:
        """Store a full or a differential update, whole or not at all."""
        station = self._station
        entries = request.local_authorization_list or ()
        status = self._decide(request, entries)
        if status is UpdateStatus.ACCEPTED:
            local_list = station.authorization.local_list
            if request.update_type == UpdateType.FULL:
                local_list.replace(request.list_version, entries)
            else:
                local_list.update(request.list_version, entries)
            station.remember()
        station.log.info("SendLocalList %s, version %s: %s", request.update_type, request.list_version, status)
        return Answer(SendLocalListResponse(status=status))

    def _decide(self, request: SendLocalListRequest, entries: tuple[AuthorizationData, ...]) -> UpdateStatus:
        station = self._station
        authorization, keys = station.authorization, station.keys
        if not authorization.list_enabled:
            return UpdateStatus.NOT_SUPPORTED
        full = request.update_type == UpdateType.FULL
        tags = {entry.id_tag.casefold() for entry in entries}
        length = len(entries) if full else authorization.local_list.size_after(entries)
        if (
            request.list_version <= 0
            or len(tags) < len(entries)
            or len(entries) > keys.number("SendLocalListMaxLength", 100)
            or length > keys.number("LocalAuthListMaxLength", 500)
            or (full and any(entry.id_tag_info is None for entry in entries))
        ):
            return UpdateStatus.FAILED
        if not full and request.list_version <= authorization.local_list.version:
            return UpdateStatus.VERSION_MISMATCH
        return UpdateStatus.ACCEPTED
