"""What must be true of every run, whatever happened in it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.interop.journal import Journal


def all_ready(journal: Journal, stations: int) -> set[str]:
    """All stations, once every one of so many is ready."""
    ready = journal.ready()
    return ready if len(ready) == stations else set()


def assert_accounts_agree(journal: Journal, summary: dict[str, Any], stations: int) -> None:
    """Every transaction began once and ended once, and the simulator's own summary says the same."""
    deals = journal.deals()
    assert [deal for deal in deals if len(deal.numbers) != 1 or not deal.starts or not deal.stops] == []
    assert len({(deal.station, *deal.numbers) for deal in deals}) == len(deals)
    assert summary["stations"] == {"configured": stations, "started": stations, "accepted": stations}
    assert summary["transactions"] == {"started": len(deals), "stopped": len(deals)}
    assert summary["energyWh"] == sum(deal.energy for deal in deals) > 0
    assert all(deal.energy >= 0 for deal in deals)


def assert_last_status_is_unavailable(journal: Journal) -> None:
    """The last word of an ordered stop about each connector."""
    last = {(call.station, call.payload["connectorId"]): call.payload for call in journal.calls("StatusNotification")}
    assert Counter(status["status"] for status in last.values()) == {"Unavailable": len(last)}
