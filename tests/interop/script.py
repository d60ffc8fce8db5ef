"""What the central system asks of a station: every request of the Core profile and more, right and wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.interop.conversation import Conversation
from tests.interop.foreign import ForeignCentral

#: Requests that nothing can answer with a result, and the error codes that suit each (OCPP-J 1.6 §4.2.3).
WRONG_CALLS: tuple[tuple[str, frozenset[str]], ...] = (
    ('[2,"$ID","MakeCoffee",{}]', frozenset({"NotImplemented"})),
    ('[2,"$ID","Heartbeat",{}]', frozenset({"NotSupported", "NotImplemented"})),
    ('[2,"$ID","Reset",{}]', frozenset({"OccurenceConstraintViolation", "ProtocolError", "FormationViolation"})),
    ('[2,"$ID","Reset",{"type":"Lukewarm"}]', frozenset({"PropertyConstraintViolation"})),
    ('[2,"$ID","UnlockConnector",{"connectorId":"one"}]', frozenset({"TypeConstraintViolation"})),
    (
        '[2,"$ID","ClearCache",{"really":true}]',
        frozenset({"FormationViolation", "OccurenceConstraintViolation", "PropertyConstraintViolation"}),
    ),
    ('[2,"$ID","GetConfiguration"]', frozenset({"FormationViolation", "ProtocolError"})),
    ('[2,"$ID","GetConfiguration",[]]', frozenset({"FormationViolation", "TypeConstraintViolation"})),
)

#: Texts that get no answer at all, and must not end the conversation either.
NOISE = (
    "this is no JSON",
    '{"really":"no array"}',
    "[]",
    '[9,"$ID","of another protocol",{}]',
    '[3,"$ID",{}]',
    '[4,"$ID","GenericError","to nothing",{}]',
)


class Visit(Conversation):
    """The script for one station that has been accepted."""

    async def run(self, reset: str) -> None:
        """Ask everything; the last request is a ``Soft`` or ``Hard`` reset."""
        await self.configuration()
        await self.small_talk()
        await self.triggers()
        await self.other_profiles()
        await self.nonsense()
        await self.remote_transaction()
        await self.availability()
        await self.reset(reset)

    async def configuration(self) -> None:
        """GetConfiguration and ChangeConfiguration."""
        await self.get_acquainted()
        assert self._keys["HeartbeatInterval"]["value"] == "5", "the interval of BootNotification.conf"
        some = await self._result("GetConfiguration", key=["NumberOfConnectors", "NoSuchKey"])
        assert some == {"configurationKey": [self._keys["NumberOfConnectors"]], "unknownKey": ["NoSuchKey"]}
        await self._expect("Accepted", "ChangeConfiguration", key="MeterValueSampleInterval", value="1")
        await self._expect("Rejected", "ChangeConfiguration", key="MeterValueSampleInterval", value="often")
        await self._expect("Rejected", "ChangeConfiguration", key="NumberOfConnectors", value="12")
        await self._expect("NotSupported", "ChangeConfiguration", key="NoSuchKey", value="1")

    async def small_talk(self) -> None:
        """DataTransfer and ClearCache."""
        await self._expect("UnknownVendorId", "DataTransfer", vendorId="org.example.nobody", data="ü ✓ 漢字 \U0001f50c")
        cleared = await self._ask("ClearCache", {})
        assert cleared.status in {"Accepted", "Rejected"}

    async def triggers(self) -> None:
        """TriggerMessage for everything that it may ask for: the answer, then the message."""
        if "RemoteTrigger" not in self._profiles:
            await self._lacks("TriggerMessage", requestedMessage="Heartbeat")
            return
        connector = {"connectorId": self._connector}
        triggers: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            ("Heartbeat", {}, {}),
            ("StatusNotification", connector, connector),
            ("StatusNotification", {}, {"connectorId": max(self._at_boot)}),
            ("MeterValues", connector, connector),
        ]
        if "FirmwareManagement" in self._profiles:
            triggers += [("DiagnosticsStatusNotification", {}, {"status": "Idle"})]
            triggers += [("FirmwareStatusNotification", {}, {"status": "Idle"})]
        for message, asked, sent in triggers:
            since = self._journal.position
            await self._expect("Accepted", "TriggerMessage", requestedMessage=message, **asked)
            await self._sends(message, since, **sent)
        await self._expect("Rejected", "TriggerMessage", requestedMessage="StatusNotification", connectorId=99)
        await self._expect("Rejected", "TriggerMessage", requestedMessage="BootNotification")

    async def other_profiles(self) -> None:
        """What a profile is for where the model has it; where not, the standard's answer for that."""
        await self._lacks(
            "SendLocalList", listVersion=1, updateType="Full"
        )  # LocalAuthListEnabled is false, as shipped
        await self._lacks("GetLocalListVersion")
        await self._expect("Rejected", "CancelReservation", reservationId=987654)
        limits: dict[str, dict[str, Any]] = {
            "SetChargingProfile": {"connectorId": 0, "csChargingProfiles": station_limit(7, 21.4)},
            "GetCompositeSchedule": {"connectorId": self._connector, "duration": 600},
            "ClearChargingProfile": {"id": 7},
        }
        if "SmartCharging" not in self._profiles:
            for action, payload in limits.items():
                await self._lacks(action, **payload)
            return
        for action, payload in limits.items():
            await self._expect("Accepted", action, **payload)
        await self._expect("Unknown", "ClearChargingProfile", id=7)

    async def nonsense(self) -> None:
        """Wrong requests get the right CALLERROR, noise gets nothing, and the conversation goes on."""
        for text, codes in WRONG_CALLS:
            code = await self._central.probe_error(self._station, text)
            assert code in codes, f"{self._station} {text}: {code}"
        probes = [await self._central.probe(self._station, text) for text in NOISE]
        # Answered in order: whatever the noise had caused would have come before this.
        await self._ask("GetConfiguration", {"key": ["HeartbeatInterval"]})
        answered = [frame for frame in self._journal.frames if not frame.sent and frame.id in probes]
        assert answered == []

    async def remote_transaction(self) -> None:
        """UnlockConnector, RemoteStartTransaction, RemoteStopTransaction."""
        connector = self._connector
        await self._expect("NotSupported", "UnlockConnector", connectorId=99)
        await self._expect("Rejected", "RemoteStartTransaction", idTag="REMOTE", connectorId=99)
        await self._expect("Rejected", "RemoteStopTransaction", transactionId=987654)
        since = self._journal.position
        for _ in range(10):  # the generator may be quicker
            await self._expect("Unlocked", "UnlockConnector", connectorId=connector)
            await self._becomes("Available", connector)
            reply = await self._ask("RemoteStartTransaction", {"idTag": "REMOTE", "connectorId": connector})
            if reply.status == "Accepted":
                break
        else:
            pytest.fail(f"{self._station}: the unlocked connector takes no remote start")
        number, _ = await self._started(since, connectorId=connector, idTag="REMOTE")
        await self._becomes("Charging", connector)
        await self._sends("MeterValues", since, connectorId=connector, transactionId=number)
        await self._expect("Accepted", "RemoteStopTransaction", transactionId=number)
        await self._sends("StopTransaction", since, transactionId=number, reason="Remote")
        await self._expect("Rejected", "RemoteStopTransaction", transactionId=number)

    async def availability(self) -> None:
        """ChangeAvailability of a connector and of the whole station; what charges ends first."""
        await self._expect("Rejected", "ChangeAvailability", connectorId=99, type="Inoperative")
        for connector, affected in ((self._connector, [self._connector]), (0, list(self._at_boot))):
            reply = await self._ask("ChangeAvailability", {"connectorId": connector, "type": "Inoperative"})
            assert reply.status in {"Accepted", "Scheduled"}
            await self._becomes("Unavailable", *affected)
            await self._expect("Rejected", "RemoteStartTransaction", idTag="REMOTE", connectorId=self._connector)
            await self._expect("Accepted", "ChangeAvailability", connectorId=connector, type="Operative")
            await self._becomes("Available", *affected)

    async def reset(self, kind: str) -> None:
        """Reset: an ordered farewell, and the station boots."""
        journal, station, since = self._journal, self._station, self._journal.position
        await self._expect("Accepted", "Reset", type=kind)

        def gone() -> list[int]:
            return [end.code for end in journal.closed if end.station == station and end.position > since]

        assert await journal.wait(gone, f"{station} goes away") == [1000]
        boot = await self._sends("BootNotification", since)
        for connector, status in self._at_boot.items():
            first = await self._sends("StatusNotification", boot.position, connectorId=connector)
            assert first.payload["status"] == status


def station_limit(number: int, amperes: float) -> dict[str, Any]:
    """A charging profile for the whole station."""
    return {
        "chargingProfileId": number,
        "stackLevel": 1,
        "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amperes}],
        },
    }


async def hurry(central: ForeignCentral, stations: set[str]) -> None:
    """Ask the stations for MeterValues every second."""
    async with trio.open_nursery() as nursery:
        for station in stations:
            payload = {"key": "MeterValueSampleInterval", "value": "1"}
            nursery.start_soon(central.call, station, "ChangeConfiguration", payload)
