"""What the central system asks of a station: every request of the Core profile and more, right and wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.interop.foreign import ForeignCentral, Reply
from tests.interop.journal import Frame

#: Requests of profiles that not every model offers.
OTHER_PROFILES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("GetLocalListVersion", {}),
    (
        "SendLocalList",
        {
            "listVersion": 1,
            "updateType": "Full",
            "localAuthorizationList": [{"idTag": "LIST-1", "idTagInfo": {"status": "Accepted"}}],
        },
    ),
    ("GetCompositeSchedule", {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"}),
    (
        "SetChargingProfile",
        {
            "connectorId": 0,
            "csChargingProfiles": {
                "chargingProfileId": 7,
                "stackLevel": 1,
                "chargingProfilePurpose": "ChargePointMaxProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 21.4}],
                },
            },
        },
    ),
    ("GetCompositeSchedule", {"connectorId": 1, "duration": 600}),
    ("ClearChargingProfile", {"id": 7}),
    ("CancelReservation", {"reservationId": 987654}),
)

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


class Visit:
    """The script for one station that has been accepted."""

    def __init__(self, central: ForeignCentral, station: str) -> None:
        self._central = central
        self._journal = central.journal
        self._station = station
        self._profiles: frozenset[str] = frozenset()
        #: The first status of each connector, 0 is the station; a model may boot with one out of order.
        self._at_boot: dict[int, str] = {}
        #: A connector that works.
        self._connector = 0

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
        everything = (await self._ask("GetConfiguration", {})).result
        assert everything is not None
        keys = {entry["key"]: entry for entry in everything["configurationKey"]}
        self._profiles = frozenset(keys["SupportedFeatureProfiles"]["value"].split(","))
        for connector in range(int(keys["NumberOfConnectors"]["value"]) + 1):
            first = await self._sends("StatusNotification", 0, connectorId=connector)
            self._at_boot[connector] = first.payload["status"]
        self._connector = min(number for number, status in self._at_boot.items() if number and status == "Available")
        assert "Core" in self._profiles
        assert keys["HeartbeatInterval"]["value"] == "5", "the interval of BootNotification.conf"
        some = (await self._ask("GetConfiguration", {"key": ["NumberOfConnectors", "NoSuchKey"]})).result
        assert some == {"configurationKey": [keys["NumberOfConnectors"]], "unknownKey": ["NoSuchKey"]}
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
        """TriggerMessage: first the answer, then the message."""
        if "RemoteTrigger" not in self._profiles:
            reply = await self._ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
            assert reply.error == "NotSupported"
            return
        for message, wanted in (
            ("Heartbeat", {}),
            ("StatusNotification", {"connectorId": self._connector}),
            ("MeterValues", {"connectorId": self._connector}),
        ):
            since = self._journal.position
            await self._expect("Accepted", "TriggerMessage", requestedMessage=message, **wanted)
            await self._sends(message, since, **wanted)
        await self._expect("Rejected", "TriggerMessage", requestedMessage="StatusNotification", connectorId=99)

    async def other_profiles(self) -> None:
        """Each request gets a valid answer of its own, or NotSupported."""
        for action, payload in OTHER_PROFILES:
            reply = await self._ask(action, payload)
            assert reply.error in {None, "NotSupported"}, f"{self._station} {action}: {reply.error}"

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
        start = await self._sends("StartTransaction", since, connectorId=connector, idTag="REMOTE")
        answer = self._journal.answer(start)
        assert answer is not None
        number = answer.payload["transactionId"]
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

    # -- the words ---------------------------------------------------------------------------------------------------

    async def _ask(self, action: str, payload: dict[str, Any]) -> Reply:
        return await self._central.call(self._station, action, payload)

    async def _expect(self, status: str, action: str, **payload: object) -> None:
        reply = await self._ask(action, payload)
        assert reply.status == status, f"{self._station} {action} {payload}: {reply.status}"

    async def _sends(self, action: str, since: int, **members: object) -> Frame:
        return await self._journal.wait_call(self._station, action, members, since=since)

    async def _becomes(self, status: str, *connectors: int) -> None:
        def told() -> bool:
            reports = self._journal.calls("StatusNotification", station=self._station)
            last = {report.payload["connectorId"]: report.payload["status"] for report in reports}
            return {last[connector] for connector in connectors} == {status}

        await self._journal.wait(told, f"{self._station}: {status} on {connectors}")


async def hurry(central: ForeignCentral, stations: set[str]) -> None:
    """Ask the stations for MeterValues every second."""
    async with trio.open_nursery() as nursery:
        for station in stations:
            payload = {"key": "MeterValueSampleInterval", "value": "1"}
            nursery.start_soon(central.call, station, "ChangeConfiguration", payload)
