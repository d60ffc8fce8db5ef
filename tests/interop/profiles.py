"""What the central system asks of a station that has every profile, and the security extension."""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.authority import Authority, pem
from tests.fakes.file_servers import HttpFiles
from tests.interop.conversation import Conversation
from tests.interop.foreign import ForeignCentral
from tests.interop.journal import Journal

IMAGE = b"the new firmware" * 4096

#: A time far in the station's future.
LATER = "2037-12-31T23:59:59.000Z"


class FullVisit(Conversation):
    """The script for one station whose generator is off.

    :param files: where it uploads to and downloads from.
    :param unit: of its charging profiles, ``A`` or ``W``.
    """

    def __init__(self, central: ForeignCentral, station: str, files: HttpFiles, unit: str) -> None:
        super().__init__(central, station)
        self._files = files
        self._unit = unit
        self._authority = Authority("Interop Root")

    async def run(self) -> None:
        """Ask everything; the last update reboots the station."""
        await self.get_acquainted()
        await self.configure(MeterValueSampleInterval=10, StopTxnSampledData="Energy.Active.Import.Register")
        await self.local_list()
        await self.reservation()
        await self.station_limits()
        await self.limited_transaction()
        await self.clock_aligned()
        await self.diagnostics()
        await self.log()
        await self.certificates()
        await self.own_certificate()
        await self.triggers()
        await self.firmware()
        await self.signed_firmware()

    # -- tags --------------------------------------------------------------------------------------------------------

    async def local_list(self) -> None:
        """SendLocalList, whole and in parts, and GetLocalListVersion."""
        assert await self._result("GetLocalListVersion") == {"listVersion": 0}
        entries = [
            {"idTag": "LIST-1", "idTagInfo": {"status": "Accepted", "parentIdTag": "GROUP", "expiryDate": LATER}},
            {"idTag": "LIST-2", "idTagInfo": {"status": "Blocked"}},
        ]
        await self._expect(
            "Accepted", "SendLocalList", listVersion=3, updateType="Full", localAuthorizationList=entries
        )
        less = [{"idTag": "LIST-2"}]
        for version, status in ((2, "VersionMismatch"), (4, "Accepted")):
            update = {"listVersion": version, "updateType": "Differential", "localAuthorizationList": less}
            await self._expect(status, "SendLocalList", **update)
        assert await self._result("GetLocalListVersion") == {"listVersion": 4}
        await self._expect("Failed", "SendLocalList", listVersion=5, updateType="Full", localAuthorizationList=less)

    async def reservation(self) -> None:
        """ReserveNow, CancelReservation, and a reservation that is used."""
        connector = self._connector
        asked = {"connectorId": connector, "expiryDate": LATER, "idTag": "LIST-1", "parentIdTag": "GROUP"}
        await self._expect("Rejected", "ReserveNow", **asked | {"connectorId": 99}, reservationId=1)
        await self._expect("Rejected", "CancelReservation", reservationId=1)
        await self._expect("Accepted", "ReserveNow", **asked, reservationId=2)
        await self._becomes("Reserved", connector)
        await self._expect("Occupied", "ReserveNow", **asked, reservationId=3)
        await self._expect("Accepted", "CancelReservation", reservationId=2)
        await self._becomes("Available", connector)
        await self._expect("Accepted", "ReserveNow", **asked, reservationId=4)
        await self._becomes("Reserved", connector)
        await self._expect("Rejected", "RemoteStartTransaction", connectorId=connector, idTag="SOMEBODY")
        since = self._journal.position
        await self._expect("Accepted", "RemoteStartTransaction", connectorId=connector, idTag="LIST-1")
        number, _ = await self._started(since, connectorId=connector, idTag="LIST-1", reservationId=4)
        await self._expect("Accepted", "RemoteStopTransaction", transactionId=number)
        await self._sends("StopTransaction", since, transactionId=number, reason="Remote")
        await self._expect("Rejected", "CancelReservation", reservationId=4)
        await self._becomes("Available", connector)

    # -- limits ------------------------------------------------------------------------------------------------------

    def _profile(self, number: int, purpose: str, *limits: float, **more: object) -> dict[str, Any]:
        """A profile with a period of ten minutes for each limit."""
        periods = [{"startPeriod": 600 * place, "limit": limit} for place, limit in enumerate(limits)]
        schedule = {"chargingRateUnit": self._unit, "chargingSchedulePeriod": periods, "minChargingRate": 0.1}
        schedule |= {"duration": 86_400, "startSchedule": "2026-01-01T00:00:00Z"}
        return {
            "chargingProfileId": number,
            "stackLevel": 0,
            "chargingProfilePurpose": purpose,
            "chargingProfileKind": "Absolute",
            "chargingSchedule": schedule,
            **more,
        }

    def _recurring(self, number: int, *limits: float) -> dict[str, Any]:
        kind = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "stackLevel": 1}
        validity = {"validFrom": "2026-01-01T00:00:00+01:00", "validTo": LATER}
        return self._profile(number, "TxDefaultProfile", *limits, **kind, **validity)

    def _relative(self, number: int, *limits: float, **more: object) -> dict[str, Any]:
        profile = self._profile(number, "TxProfile", *limits, chargingProfileKind="Relative", stackLevel=2, **more)
        del profile["chargingSchedule"]["startSchedule"]
        return profile

    async def station_limits(self) -> None:
        """SetChargingProfile and ClearChargingProfile of every purpose, GetCompositeSchedule in both units."""
        connector = self._connector
        whole = self._profile(10, "ChargePointMaxProfile", 21.4)
        del whole["chargingSchedule"]["duration"]
        await self._expect("Accepted", "SetChargingProfile", connectorId=0, csChargingProfiles=whole)
        assert await self._limits(0, self._unit) == [21.4]
        daily = self._recurring(11, 16.1, 0.3, 0)
        await self._expect("Accepted", "SetChargingProfile", connectorId=connector, csChargingProfiles=daily)
        early = self._relative(12, 6.0)
        await self._expect("Rejected", "SetChargingProfile", connectorId=connector, csChargingProfiles=early)
        found = await self._limits(connector, self._unit, duration=2 * 86_400)
        assert {16.1, 0.3, 0.0} <= set(found) <= {21.4, 16.1, 0.3, 0.0}
        for unit in ("A", "W"):
            await self._limits(0, unit)
            await self._limits(connector, unit, duration=86_400)
        for connector_id, unit in ((99, "A"), (0, self._unit)):
            duration = 60 if connector_id else -1
            asked = {"connectorId": connector_id, "duration": duration, "chargingRateUnit": unit}
            await self._expect("Rejected", "GetCompositeSchedule", **asked)
        await self._expect("Accepted", "ClearChargingProfile", id=10)
        await self._expect("Unknown", "ClearChargingProfile", id=10)
        purpose = {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1, "connectorId": connector}
        await self._expect("Accepted", "ClearChargingProfile", **purpose)
        await self._expect("Unknown", "ClearChargingProfile")

    async def _limits(self, connector: int, unit: str, duration: int = 60) -> list[float]:
        asked = {"connectorId": connector, "duration": duration, "chargingRateUnit": unit}
        answer = await self._expect("Accepted", "GetCompositeSchedule", **asked)
        assert answer["connectorId"] == connector
        schedule = answer["chargingSchedule"]
        assert (schedule["chargingRateUnit"], schedule["duration"]) == (unit, duration)
        assert schedule["chargingSchedulePeriod"][0]["startPeriod"] == 0
        return [float(period["limit"]) for period in schedule["chargingSchedulePeriod"]]

    async def limited_transaction(self) -> None:
        """A remote start with a TxProfile, and another TxProfile in the transaction."""
        connector, since = self._connector, self._journal.position
        start = {"connectorId": connector, "idTag": "LIST-1"}
        wrong = self._profile(20, "TxDefaultProfile", 21.4)
        await self._expect("Rejected", "RemoteStartTransaction", **start, chargingProfile=wrong)
        await self._expect("Accepted", "RemoteStartTransaction", **start, chargingProfile=self._relative(21, 21.4, 0.3))
        number, _ = await self._started(since, connectorId=connector)
        await self._becomes("Charging", connector)
        found = await self._limits(connector, self._unit)
        assert found[0] == 21.4, f"{self._station}: {found}"
        await self._sends("MeterValues", since, connectorId=connector, transactionId=number)
        stop = self._relative(22, 0, transactionId=number) | {"stackLevel": 3}
        await self._expect("Accepted", "SetChargingProfile", connectorId=connector, csChargingProfiles=stop)
        await self._becomes("SuspendedEVSE", connector)
        await self._expect("Accepted", "ClearChargingProfile", id=22)
        await self._becomes("Charging", connector)
        await self._expect("Accepted", "RemoteStopTransaction", transactionId=number)
        ended = await self._sends("StopTransaction", since, transactionId=number)
        assert len(ended.payload["transactionData"]) >= 2
        await self._becomes("Available", connector)
        await self._expect("Unknown", "ClearChargingProfile", id=21)

    # -- meters ------------------------------------------------------------------------------------------------------

    async def clock_aligned(self) -> None:
        """ClockAlignedDataInterval, in a transaction and outside, of the connectors and of the station's main meter."""
        since = self._journal.position
        measurands = "Energy.Active.Import.Register,Power.Active.Import"
        await self.configure(
            MeterValuesAlignedData=measurands, StopTxnAlignedData=measurands, ClockAlignedDataInterval=10
        )
        for connector in (0, self._connector):
            reading = await self._sends("MeterValues", since, connectorId=connector)
            assert "transactionId" not in reading.payload
        await self._expect("Accepted", "RemoteStartTransaction", connectorId=self._connector, idTag="LIST-1")
        number, _ = await self._started(since, connectorId=self._connector)

        def aligned() -> bool:
            readings = self._journal.calls("MeterValues", station=self._station, since=since)
            return any(
                reading.payload.get("transactionId") == number
                and _contexts(reading.payload["meterValue"]) == {"Sample.Clock"}
                for reading in readings
            )

        await self._journal.wait(aligned, f"{self._station}: a clock-aligned reading of transaction {number}")
        await self._expect("Accepted", "RemoteStopTransaction", transactionId=number)
        stop = await self._sends("StopTransaction", since, transactionId=number)
        assert {"Transaction.Begin", "Sample.Clock", "Transaction.End"} <= _contexts(stop.payload["transactionData"])
        await self.configure(ClockAlignedDataInterval=0)
        await self._becomes("Available", self._connector)

    # -- files -------------------------------------------------------------------------------------------------------

    async def diagnostics(self) -> None:
        """GetDiagnostics, to a server that takes it and to one that is not there."""
        folder, since = f"/{self._station}/", self._journal.position
        answer = await self._result(
            "GetDiagnostics", location=self._files.url(folder), startTime="2026-01-01T00:00:00Z"
        )
        for status in ("Uploading", "Uploaded"):
            await self._sends("DiagnosticsStatusNotification", since, status=status)
        assert self._files.files[folder + answer["fileName"]]
        # Nobody listens there.
        await self._result("GetDiagnostics", location="http://127.0.0.1:1/", retries=1, retryInterval=1)
        await self._sends("DiagnosticsStatusNotification", since, status="UploadFailed")
        assert await self._result("GetDiagnostics", location="http://127.0.0.1:1/", startTime=LATER) == {}

    async def log(self) -> None:
        """GetLog of both kinds (security white paper, N01)."""
        for number, kind in ((31, "DiagnosticsLog"), (32, "SecurityLog")):
            folder, since = f"/{self._station}/log/{kind}/", self._journal.position
            log = {"remoteLocation": self._files.url(folder), "oldestTimestamp": "2026-01-01T00:00:00Z"}
            answer = await self._expect("Accepted", "GetLog", log=log, logType=kind, requestId=number)
            for status in ("Uploading", "Uploaded"):
                await self._sends("LogStatusNotification", since, status=status, requestId=number)
            assert self._files.files[folder + answer["filename"]]

    async def firmware(self) -> None:
        """UpdateFirmware: one that fails, one that is asked about and replaced, one that is installed."""
        since, reported = self._journal.position, "FirmwareStatusNotification"
        missing = {"location": self._files.url("/missing.bin"), "retrieveDate": "2026-01-01T00:00:00Z", "retries": 0}
        assert await self._result("UpdateFirmware", **missing) == {}
        await self._sends(reported, since, status="DownloadFailed")
        assert await self._result("UpdateFirmware", **missing | {"location": self._files.url("/hangs.bin")}) == {}
        since = (await self._sends(reported, since, status="Downloading")).position
        await self._expect("Accepted", "TriggerMessage", requestedMessage=reported)
        await self._sends(reported, since, status="Downloading")
        since = self._journal.position
        assert await self._result("UpdateFirmware", **missing | {"location": self._files.url("/image.bin")}) == {}
        await self._updated(reported, since, {}, "Downloading", "Downloaded", "Installing", "Installed")

    async def signed_firmware(self) -> None:
        """SignedUpdateFirmware: a signature that is another file's, and the right one (security white paper, L01)."""
        certificate, signature, wrong = sign(IMAGE)
        firmware = {
            "location": self._files.url("/image.bin"),
            "retrieveDateTime": "2026-01-01T00:00:00Z",
            "signingCertificate": certificate,
            "signature": signature,
        }
        since, reported = self._journal.position, "SignedFirmwareStatusNotification"
        nonsense = firmware | {"signingCertificate": "no certificate"}
        await self._expect("InvalidCertificate", "SignedUpdateFirmware", requestId=40, firmware=nonsense)
        await self._expect("Accepted", "SignedUpdateFirmware", requestId=41, firmware=firmware | {"signature": wrong})
        await self._sends(reported, since, status="InvalidSignature", requestId=41)
        since = self._journal.position
        await self._expect("Accepted", "SignedUpdateFirmware", requestId=42, firmware=firmware)
        steps = ("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed")
        await self._updated(reported, since, {"requestId": 42}, *steps)
        await self._sends("SecurityEventNotification", since, type="FirmwareUpdated")

    async def _updated(self, action: str, since: int, members: dict[str, object], *steps: str) -> None:
        versions = firmware_versions(self._journal, self._station)
        for step in steps:
            await self._sends(action, since, status=step, **members)
        boot = await self._sends("BootNotification", since)
        assert boot.payload["firmwareVersion"] not in versions
        await self._becomes("Available", self._connector)

    # -- security ----------------------------------------------------------------------------------------------------

    async def certificates(self) -> None:
        """InstallCertificate, GetInstalledCertificateIds, DeleteCertificate (security white paper, M03 to M05)."""
        for use in ("ManufacturerRootCertificate", "CentralSystemRootCertificate"):
            root = Authority(f"{use} of {self._station}")
            asked = {"certificateType": use}
            await self._expect("NotFound", "GetInstalledCertificateIds", **asked)
            await self._expect("Rejected", "InstallCertificate", **asked, certificate="no certificate")
            await self._expect("Accepted", "InstallCertificate", **asked, certificate=root.pem)
            answer = await self._expect("Accepted", "GetInstalledCertificateIds", **asked)
            [found] = answer["certificateHashData"]
            assert int(found["serialNumber"], 16) == root.certificate.serial_number
            await self._expect("Accepted", "DeleteCertificate", certificateHashData=found)
            await self._expect("NotFound", "DeleteCertificate", certificateHashData=found)

    async def own_certificate(self) -> None:
        """SignCertificate when told to, and CertificateSigned (security white paper, A02)."""
        since = self._journal.position
        chain = "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n"
        await self._expect("Rejected", "CertificateSigned", certificateChain=chain)
        await self._expect("Accepted", "ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate")
        asked = await self._sends("SignCertificate", since)
        signed = self._authority.sign(asked.payload["csr"])
        await self._expect("Accepted", "CertificateSigned", certificateChain=signed)

    # -- triggers ----------------------------------------------------------------------------------------------------

    async def triggers(self) -> None:
        """ExtendedTriggerMessage for everything that it may ask for."""
        connector = {"connectorId": self._connector}
        for message, asked, action, sent in (
            ("Heartbeat", {}, "Heartbeat", {}),
            ("StatusNotification", connector, "StatusNotification", connector),
            ("StatusNotification", {}, "StatusNotification", {"connectorId": max(self._at_boot)}),
            ("MeterValues", connector, "MeterValues", connector),
            ("LogStatusNotification", {}, "LogStatusNotification", {"status": "Idle"}),
            ("FirmwareStatusNotification", {}, "SignedFirmwareStatusNotification", {"status": "Idle"}),
        ):
            since = self._journal.position
            await self._expect("Accepted", "ExtendedTriggerMessage", requestedMessage=message, **asked)
            await self._sends(action, since, **sent)
        wrong = {"requestedMessage": "StatusNotification", "connectorId": 99}
        await self._expect("Rejected", "ExtendedTriggerMessage", **wrong)
        await self._expect("Rejected", "ExtendedTriggerMessage", requestedMessage="BootNotification")


def firmware_versions(journal: Journal, station: str) -> set[str]:
    """The versions that a station has booted with."""
    return {boot.payload["firmwareVersion"] for boot in journal.calls("BootNotification", station=station)}


def sign(image: bytes) -> tuple[str, str, str]:
    """A certificate (PEM) that may sign firmware, its signature of the image, and one of something else (base64)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Firmware signer")])
    certificate = Authority("Manufacturer").issue(name, key.public_key())
    signatures = [
        base64.b64encode(key.sign(each, ec.ECDSA(hashes.SHA256()))).decode() for each in (image, b"another image")
    ]
    return pem(certificate), signatures[0], signatures[1]


def _contexts(readings: list[dict[str, Any]]) -> set[str]:
    return {sample.get("context", "Sample.Periodic") for reading in readings for sample in reading["sampledValue"]}
