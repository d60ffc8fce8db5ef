"""Core profile: the station's answers (OCPP 1.6 §5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulator.energy.charging_profiles import ChargingProfile
from simulator.ocpp.errors import CallRefused, ErrorCode
from simulator.ocpp.v16.enums import (
    AvailabilityStatus,
    AvailabilityType,
    ChargePointErrorCode,
    ChargePointStatus,
    ClearCacheStatus,
    ConfigurationStatus,
    DataTransferStatus,
    Reason,
    RemoteStartStopStatus,
    ResetStatus,
    ResetType,
    UnlockStatus,
)
from simulator.ocpp.v16.messages import (
    ChangeAvailabilityRequest,
    ChangeAvailabilityResponse,
    ChangeConfigurationRequest,
    ChangeConfigurationResponse,
    ClearCacheRequest,
    ClearCacheResponse,
    DataTransferRequest,
    DataTransferResponse,
    GetConfigurationRequest,
    GetConfigurationResponse,
    KeyValue,
    RemoteStartTransactionRequest,
    RemoteStartTransactionResponse,
    RemoteStopTransactionRequest,
    RemoteStopTransactionResponse,
    ResetRequest,
    ResetResponse,
    UnlockConnectorRequest,
    UnlockConnectorResponse,
)
from simulator.station.connector import Start
from simulator.station.presence import VerbRefused
from simulator.station.standard_keys import is_secret
from simulator.station.v16.dispatch import Answer, Handler
from simulator.station.v16.smart_charging import read_remote_start_profile

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.keys import Key
    from simulator.station.station import ChargingStation


class CoreProfile:
    """The Core profile of one station."""

    def __init__(self, station: ChargingStation) -> None:
        self._station = station

    def handlers(self) -> Mapping[str, Handler]:
        """Handler by action."""
        return {
            "ChangeAvailability": self.change_availability,
            "ChangeConfiguration": self.change_configuration,
            "ClearCache": self.clear_cache,
            "DataTransfer": self.data_transfer,
            "GetConfiguration": self.get_configuration,
            "RemoteStartTransaction": self.remote_start_transaction,
            "RemoteStopTransaction": self.remote_stop_transaction,
            "Reset": self.reset,
            "UnlockConnector": self.unlock_connector,
        }

    # -- configuration -----------------------------------------------------------------------------------------------

    def get_configuration(self, request: GetConfigurationRequest) -> Answer:
        """OCPP 1.6 §5.8: all visible keys, or those named; unknown and hidden names come back as unknownKey."""
        keys = self._station.keys
        if not request.key:
            # Write-only keys are known by name, and stay out of the list of all (security white paper, A00.FR.205).
            shown = [key for key in keys.all() if key.visible and not is_secret(key.name)]
            return Answer(GetConfigurationResponse(configuration_key=tuple(map(_key_value, shown))))
        most = keys.number("GetConfigurationMaxKeys", 50)
        if len(request.key) > most:
            raise CallRefused(
                ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
                f"{len(request.key)} keys asked for, at most {most} are answered (GetConfigurationMaxKeys)",
            )
        known, unknown = [], []
        for name in request.key:
            key = keys.get(name)
            if key is None or not key.visible:
                unknown.append(name)
            else:
                known.append(_key_value(key))
        return Answer(GetConfigurationResponse(configuration_key=tuple(known), unknown_key=tuple(unknown)))

    def change_configuration(self, request: ChangeConfigurationRequest) -> Answer:
        """OCPP 1.6 §5.3; the decision itself is the keys'."""
        station = self._station
        station.settle_energy()  # what has flowed flowed under the old value
        status = station.keys.change(request.key, request.value)
        shown = "(hidden)" if is_secret(request.key) else repr(request.value)
        station.log.info("ChangeConfiguration %s = %s: %s", request.key, shown, status)
        if status in {ConfigurationStatus.ACCEPTED, ConfigurationStatus.REBOOT_REQUIRED}:
            station.changed()
        return Answer(ChangeConfigurationResponse(status=ConfigurationStatus(status)))

    def clear_cache(self, request: ClearCacheRequest) -> Answer:
        """OCPP 1.6 §5.4: Rejected where the cache is switched off."""
        authorization = self._station.authorization
        if not authorization.cache_enabled:
            return Answer(ClearCacheResponse(status=ClearCacheStatus.REJECTED))
        authorization.cache.clear()
        self._station.remember()
        return Answer(ClearCacheResponse(status=ClearCacheStatus.ACCEPTED))

    def data_transfer(self, request: DataTransferRequest) -> Answer:
        """OCPP 1.6 §5.6: the station knows its own vendor's id and no message of it."""
        if request.vendor_id.casefold() == self._station.info.template.charge_point_vendor.casefold():
            return Answer(DataTransferResponse(status=DataTransferStatus.ACCEPTED))
        return Answer(DataTransferResponse(status=DataTransferStatus.UNKNOWN_VENDOR_ID))

    # -- availability ------------------------------------------------------------------------------------------------

    def change_availability(self, request: ChangeAvailabilityRequest) -> Answer:
        """OCPP 1.6 §5.2. Connector 0 means the station with all connectors; busy ones follow when they are free.

        What is set for the station and what is set for a connector are two things, and both are kept: a connector is in
        operation where both are Operative. So one that was made Inoperative stays Unavailable when the station comes
        back, and one that is made Operative meanwhile comes back with it.
        """
        station = self._station
        operative = request.type == AvailabilityType.OPERATIVE
        named = station.connectors.get(request.connector_id)
        if request.connector_id == 0:
            affected = list(station.connectors.values())
        elif named is not None:
            affected = [named]
        else:
            return Answer(ChangeAvailabilityResponse(status=AvailabilityStatus.REJECTED))
        for connector in affected if named is None else [named]:  # a station may be without connector 0
            connector.operative = operative
        if operative and named is not None and not named.in_operation:
            station.log.info("connector %s is Operative, and Unavailable until the station is, too", named.id)
        station.remember()
        busy = not operative and any(connector.transaction is not None for connector in affected)
        status = AvailabilityStatus.SCHEDULED if busy else AvailabilityStatus.ACCEPTED

        async def follow() -> None:
            for connector in affected:
                station.follow_availability(connector)
            station.changed()

        return Answer(ChangeAvailabilityResponse(status=status), follow)

    def unlock_connector(self, request: UnlockConnectorRequest) -> Answer:
        """OCPP 1.6 §5.18: a running transaction is ended first. A fixed cable has no lock; a stuck lock stays shut."""
        station = self._station
        connector = station.connectors.get(request.connector_id)
        if connector is None or connector.id == 0 or station.info.template.fixed_cable:
            return Answer(UnlockConnectorResponse(status=UnlockStatus.NOT_SUPPORTED))
        if connector.error_code is ChargePointErrorCode.CONNECTOR_LOCK_FAILURE:

            async def tell() -> None:
                station.status.report(connector)

            return Answer(UnlockConnectorResponse(status=UnlockStatus.UNLOCK_FAILED), tell)

        async def unlock() -> None:
            if connector.transaction is not None:
                station.sessions.end(connector.transaction, Reason.UNLOCK_COMMAND)
            elif connector.holds_cable or (
                station.presence.automatic
                and connector.status
                in {
                    ChargePointStatus.PREPARING,
                    ChargePointStatus.FINISHING,
                }
            ):
                station.presence.leave(connector)

        return Answer(UnlockConnectorResponse(status=UnlockStatus.UNLOCKED), unlock)

    # -- transactions ------------------------------------------------------------------------------------------------

    def remote_start_transaction(self, request: RemoteStartTransactionRequest) -> Answer:
        """OCPP 1.6 §5.11: checked before anything happens, answered before it begins."""
        station = self._station
        connector = self._connector_for(request.connector_id, request.id_tag)
        if connector is None:
            station.log.info("RemoteStartTransaction rejected: no usable connector (asked: %s)", request.connector_id)
            return Answer(RemoteStartTransactionResponse(status=RemoteStartStopStatus.REJECTED))
        profile = None
        if request.charging_profile is not None and self._smart_charging:
            profile = read_remote_start_profile(request.charging_profile)
            reason = station.limits.reason_to_refuse(profile, connector.id, remote_start=True)
            if reason is None and request.charging_profile.transaction_id is not None:
                reason = "the profile of a remote start names no transaction"
            if reason is not None:
                station.log.info("RemoteStartTransaction rejected: %s", reason)
                return Answer(RemoteStartTransactionResponse(status=RemoteStartStopStatus.REJECTED))
        connector.promised = True

        async def start() -> None:
            try:
                await self._start_remotely(connector, request.id_tag, profile)
            finally:
                connector.promised = False

        return Answer(RemoteStartTransactionResponse(status=RemoteStartStopStatus.ACCEPTED), start)

    def _connector_for(self, connector_id: int | None, id_tag: str) -> Connector | None:
        station = self._station
        if not station.in_service:
            return None
        usable = [
            connector
            for connector in station.connectors.values()
            if connector.id > 0
            and connector_id in {None, connector.id}
            and connector.usable
            and not connector.awaits_vehicle
            and station.reservations.admits_remotely(connector, id_tag)
        ]
        reserved = [connector for connector in usable if connector.status is ChargePointStatus.RESERVED]
        plugged = [connector for connector in usable if connector.plugged]
        return next(iter(reserved or plugged or usable), None)

    @property
    def _smart_charging(self) -> bool:
        return "SmartCharging" in self._station.keys.items("SupportedFeatureProfiles")

    async def _start_remotely(self, connector: Connector, id_tag: str, profile: ChargingProfile | None) -> None:
        station = self._station
        station.presence.forget(connector)
        station.presence.arrive(connector)
        try:
            decision = await station.authorization.authorize_remote_start(id_tag)
            if not decision.accepted:
                raise VerbRefused(decision.reason)
            parent = decision.info.parent_id_tag if decision.info is not None else None
            reservation = station.reservations.used_by(connector, id_tag, parent)
        except VerbRefused as refused:
            station.log.warning("remote start on connector %s not authorised: %s", connector.id, refused)
        else:
            if connector.ready and station.in_service:
                station.presence.start_when_plugged(connector, id_tag, Start(True, reservation, profile, parent))
                return
        if station.presence.automatic and connector.transaction is None:
            station.presence.leave(connector)

    def remote_stop_transaction(self, request: RemoteStopTransactionRequest) -> Answer:
        """OCPP 1.6 §5.12."""
        station = self._station
        transaction = station.sessions.by_id(request.transaction_id)
        if transaction is None or not station.registration.accepted:
            return Answer(RemoteStopTransactionResponse(status=RemoteStartStopStatus.REJECTED))

        async def stop() -> None:
            station.sessions.end(transaction, Reason.REMOTE)

        return Answer(RemoteStopTransactionResponse(status=RemoteStartStopStatus.ACCEPTED), stop)

    # -- reset -------------------------------------------------------------------------------------------------------

    def reset(self, request: ResetRequest) -> Answer:
        """OCPP 1.6 §5.14: accepted, unless one is under way already, or an installation that it would break."""
        station = self._station
        if station.reset_promised or station.reset_under_way or station.stopping or station.firmware.installing:
            return Answer(ResetResponse(status=ResetStatus.REJECTED))
        reason = Reason.HARD_RESET if request.type == ResetType.HARD else Reason.SOFT_RESET
        station.reset_promised = True

        async def go() -> None:
            station.reset(reason)

        return Answer(ResetResponse(status=ResetStatus.ACCEPTED), go)


def _key_value(key: Key) -> KeyValue:
    return KeyValue(key=key.name, readonly=key.read_only, value=None if is_secret(key.name) else key.value)
