"""The words of a script for one station: ask it, expect a status, wait for what it sends."""

from __future__ import annotations

from typing import Any

from tests.interop.foreign import ForeignCentral, Reply
from tests.interop.journal import Frame

#: What the standard has a station answer to a profile that it does not have; the other actions get NotSupported.
WITHOUT_PROFILE: dict[str, dict[str, Any]] = {
    "GetLocalListVersion": {"listVersion": -1},
    "SendLocalList": {"status": "NotSupported"},
    "ReserveNow": {"status": "Rejected"},
    "CancelReservation": {"status": "Rejected"},
}


class Conversation:
    """A central system's talk with one station that has been accepted."""

    def __init__(self, central: ForeignCentral, station: str) -> None:
        self._central = central
        self._journal = central.journal
        self._station = station
        #: All visible keys as GetConfiguration showed them, by name.
        self._keys: dict[str, dict[str, Any]] = {}
        self._profiles: frozenset[str] = frozenset()
        #: The first status of each connector, 0 is the station; a model may boot with one out of order.
        self._at_boot: dict[int, str] = {}
        #: A connector that works.
        self._connector = 0

    async def get_acquainted(self) -> None:
        """Read all keys, and see which connectors there are."""
        everything = await self._result("GetConfiguration")
        self._keys = {entry["key"]: entry for entry in everything["configurationKey"]}
        self._profiles = frozenset(self._keys["SupportedFeatureProfiles"]["value"].split(","))
        assert "Core" in self._profiles
        for connector in range(int(self._keys["NumberOfConnectors"]["value"]) + 1):
            first = await self._sends("StatusNotification", 0, connectorId=connector)
            self._at_boot[connector] = first.payload["status"]
        self._connector = min(number for number, status in self._at_boot.items() if number and status == "Available")

    async def configure(self, **values: object) -> None:
        """Change keys that the station takes at once."""
        for key, value in values.items():
            await self._expect("Accepted", "ChangeConfiguration", key=key, value=str(value))

    async def _ask(self, action: str, payload: dict[str, Any]) -> Reply:
        return await self._central.call(self._station, action, payload)

    async def _expect(self, status: str, action: str, **payload: object) -> dict[str, Any]:
        reply = await self._ask(action, payload)
        assert reply.status == status, f"{self._station} {action} {payload}: {reply.status}"
        assert reply.result is not None
        return reply.result

    async def _result(self, action: str, **payload: object) -> dict[str, Any]:
        reply = await self._ask(action, payload)
        assert reply.result is not None, f"{self._station} {action} {payload}: {reply.error}"
        return reply.result

    async def _lacks(self, action: str, **payload: object) -> None:
        reply = await self._ask(action, payload)
        expected = WITHOUT_PROFILE.get(action)
        assert reply == Reply(expected, None if expected else "NotSupported"), f"{self._station} {action}: {reply}"

    async def _sends(self, action: str, since: int, **members: object) -> Frame:
        return await self._journal.wait_call(self._station, action, members, since=since)

    async def _becomes(self, status: str, *connectors: int) -> None:
        def told() -> bool:
            reports = self._journal.calls("StatusNotification", station=self._station)
            last = {report.payload["connectorId"]: report.payload["status"] for report in reports}
            return {last[connector] for connector in connectors} == {status}

        await self._journal.wait(told, f"{self._station}: {status} on {connectors}")

    async def _started(self, since: int, **members: object) -> tuple[int, Frame]:
        """The next transaction with those members: its number and its StartTransaction."""
        start = await self._sends("StartTransaction", since, **members)
        answer = self._journal.answer(start)
        assert answer is not None
        return answer.payload["transactionId"], start
