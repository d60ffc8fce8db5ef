"""The security extension: certificates, and messages that the central system asks for (OCPP 1.6 security, use cases
A02, M03 to M05 and ExtendedTriggerMessage). GetLog and SignedUpdateFirmware are at home elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulator.ocpp.v16.enums import (
    CertificateSignedStatus,
    ExtendedMessageTrigger,
    GetInstalledCertificateStatus,
    MessageTrigger,
    TriggerMessageStatus,
)
from simulator.ocpp.v16.messages import (
    CertificateSignedRequest,
    CertificateSignedResponse,
    DeleteCertificateRequest,
    DeleteCertificateResponse,
    ExtendedTriggerMessageRequest,
    ExtendedTriggerMessageResponse,
    GetInstalledCertificateIdsRequest,
    GetInstalledCertificateIdsResponse,
    InstallCertificateRequest,
    InstallCertificateResponse,
    TriggerMessageRequest,
)
from simulator.station.v16.dispatch import Answer, Handler
from simulator.station.v16.remote_trigger import RemoteTriggerProfile

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

_AS_TRIGGER_MESSAGE = frozenset(
    {
        ExtendedMessageTrigger.BOOT_NOTIFICATION,
        ExtendedMessageTrigger.HEARTBEAT,
        ExtendedMessageTrigger.METER_VALUES,
        ExtendedMessageTrigger.STATUS_NOTIFICATION,
    }
)


class SecurityProfile:
    """The security extension of one station, as far as certificates and triggers go."""

    def __init__(self, station: ChargingStation, triggers: RemoteTriggerProfile) -> None:
        self._station = station
        self._triggers = triggers

    def handlers(self) -> Mapping[str, Handler]:
        """Handler by action."""
        return {
            "CertificateSigned": self.certificate_signed,
            "DeleteCertificate": self.delete_certificate,
            "ExtendedTriggerMessage": self.extended_trigger_message,
            "GetInstalledCertificateIds": self.get_installed_certificate_ids,
            "InstallCertificate": self.install_certificate,
        }

    # -- certificates ------------------------------------------------------------------------------------------------

    def certificate_signed(self, request: CertificateSignedRequest) -> Answer:
        """A02: checked at once; used after the answer has left, when it is valid."""
        taken = self._station.security.renewal.signed(request.certificate_chain)
        status = CertificateSignedStatus.ACCEPTED if taken else CertificateSignedStatus.REJECTED
        return Answer(CertificateSignedResponse(status=status))

    def install_certificate(self, request: InstallCertificateRequest) -> Answer:
        """M05."""
        status = self._station.security.install(request.certificate_type, request.certificate)
        return Answer(InstallCertificateResponse(status=status))

    def delete_certificate(self, request: DeleteCertificateRequest) -> Answer:
        """M04."""
        status = self._station.security.delete(request.certificate_hash_data)
        return Answer(DeleteCertificateResponse(status=status))

    def get_installed_certificate_ids(self, request: GetInstalledCertificateIdsRequest) -> Answer:
        """M03: without a certificate of that type the list is absent."""
        found = self._station.security.certificates.ids(request.certificate_type)
        status = GetInstalledCertificateStatus.ACCEPTED if found else GetInstalledCertificateStatus.NOT_FOUND
        return Answer(GetInstalledCertificateIdsResponse(status=status, certificate_hash_data=found or None))

    # -- triggers ----------------------------------------------------------------------------------------------------

    def extended_trigger_message(self, request: ExtendedTriggerMessageRequest) -> Answer:
        """As TriggerMessage, and for the messages of the extension; the answer comes first."""
        station, asked = self._station, ExtendedMessageTrigger(request.requested_message)
        if asked in _AS_TRIGGER_MESSAGE:
            trigger = MessageTrigger(str(asked))
            status, effect = self._triggers.trigger(
                TriggerMessageRequest(requested_message=trigger, connector_id=request.connector_id)
            )
            return Answer(ExtendedTriggerMessageResponse(status=status), effect)
        if station.info.template.message_trigger_support.get(str(asked), True) is False:
            return _triggered(TriggerMessageStatus.NOT_IMPLEMENTED)
        if asked is ExtendedMessageTrigger.SIGN_CHARGE_POINT_CERTIFICATE:
            if not station.info.template.commands_support.allows_outgoing("SignCertificate"):
                return _triggered(TriggerMessageStatus.NOT_IMPLEMENTED)

            async def sign() -> None:
                await station.security.renewal.request()

            return Answer(ExtendedTriggerMessageResponse(status=TriggerMessageStatus.ACCEPTED), sign)
        send = station.security.triggers.get(asked)
        if send is None:
            return _triggered(TriggerMessageStatus.NOT_IMPLEMENTED)

        async def report() -> None:
            send()

        return Answer(ExtendedTriggerMessageResponse(status=TriggerMessageStatus.ACCEPTED), report)


def _triggered(status: TriggerMessageStatus) -> Answer:
    return Answer(ExtendedTriggerMessageResponse(status=status))
