"""The central system's book of transactions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.csms.ledger import Ledger, StopKind
from simulator.csms.ledger_file import CLOSED_KEPT, LedgerFile


def begin(ledger: Ledger, station: str = "CS-1", connector: int = 1, *, meter: int = 0, at: str = "T1") -> Any:
    return ledger.start(
        station, connector_id=connector, id_tag="TAG", id_tag_status="Accepted", meter_start=meter, timestamp=at
    )


def end(ledger: Ledger, transaction_id: int, *, station: str = "CS-1", meter: int = 0, at: str = "T9") -> Any:
    return ledger.stop(station, transaction_id=transaction_id, meter_stop=meter, timestamp=at)


def test_the_same_start_sent_again_is_the_same_transaction() -> None:
    ledger = Ledger()
    first = begin(ledger, meter=100)
    again = begin(ledger, meter=100)
    assert again.repeated
    assert again.transaction is first.transaction
    other_station = begin(ledger, "CS-2", meter=100)
    other_connector = begin(ledger, connector=2, meter=100)
    ids = {t.transaction.transaction_id for t in (first, other_station, other_connector)}
    assert len(ids) == 3
    assert ledger.totals() | {"started": 3, "open": 3, "repeatedStarts": 1} == ledger.totals()


def test_a_start_repeated_after_its_stop_is_still_the_same_transaction() -> None:
    ledger = Ledger()
    first = begin(ledger).transaction
    end(ledger, first.transaction_id)
    assert begin(ledger).transaction is first
    assert ledger.totals()["started"] == 1


def test_stops_are_booked_once_and_told_apart() -> None:
    ledger = Ledger()
    number = begin(ledger, meter=1000).transaction.transaction_id
    assert end(ledger, number, station="CS-2", meter=5).kind is StopKind.UNKNOWN
    assert end(ledger, 999).kind is StopKind.UNKNOWN
    assert end(ledger, number, meter=3500).kind is StopKind.CLOSED
    assert end(ledger, number, meter=3500).kind is StopKind.REPEATED
    assert end(ledger, number, meter=3600).kind is StopKind.CONFLICTING
    assert ledger.totals() == {
        "started": 1,
        "stopped": 1,
        "open": 0,
        "abandoned": 0,
        "energyWh": 2500,
        "meterValues": 0,
        "repeatedStarts": 0,
        "repeatedStops": 2,
        "unknownStops": 2,
    }


def test_a_transaction_that_another_one_replaces_on_its_connector_is_abandoned_until_its_stop_comes() -> None:
    ledger = Ledger()
    old = begin(ledger, at="T1").transaction
    new = begin(ledger, at="T2")
    assert new.abandoned is old
    assert ledger.running("CS-1", 1) is new.transaction
    assert ledger.totals()["abandoned"] == 1
    end(ledger, old.transaction_id, meter=7)
    assert ledger.running("CS-1", 1) is new.transaction
    assert ledger.totals()["abandoned"] == 0
    assert ledger.totals()["energyWh"] == 7


def test_memory_is_bounded_and_totals_are_not() -> None:
    ledger = Ledger(keep_closed=10)
    for number in range(50):
        transaction = begin(ledger, meter=number, at=f"T{number}").transaction
        end(ledger, transaction.transaction_id, meter=number + 2)
    assert len(list(ledger)) == 10
    assert len(ledger._by_start) == 10
    assert ledger.totals()["stopped"] == 50
    assert ledger.totals()["energyWh"] == 100


def test_the_ledger_can_be_written_as_json() -> None:
    ledger = Ledger(first_transaction_id=41)
    begin(ledger, meter=5)
    exported = json.loads(json.dumps(ledger.as_dict()))
    assert exported["totals"]["open"] == 1
    assert (
        exported["transactions"][0] | {"transactionId": 41, "stationId": "CS-1", "meterStart": 5}
        == (exported["transactions"][0])
    )


# -- from run to run ---------------------------------------------------------------------------------------------------


def run_of(path: Path) -> tuple[Ledger, LedgerFile]:
    file = LedgerFile(path)
    ledger = Ledger()
    ledger.restore(file.open())
    ledger.changed = file.write
    return ledger, file


def test_the_next_run_knows_the_transactions_of_one_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "data" / "ledger.jsonl"
    ledger, file = run_of(path)
    ended, running = begin(ledger).transaction, begin(ledger, connector=2, meter=5).transaction
    end(ledger, ended.transaction_id, meter=100)
    file.close()
    with path.open("ab") as stream:
        stream.write(b'{"transactionId": 3, "stationId": "CS')  # killed at that moment
    ledger, file = run_of(path)
    assert ledger.totals() == {**Ledger().totals(), "open": 1}
    assert begin(ledger, connector=2, meter=5).transaction.transaction_id == running.transaction_id  # sent once more
    assert end(ledger, ended.transaction_id, meter=100).kind is StopKind.REPEATED
    assert end(ledger, running.transaction_id, meter=30).kind is StopKind.CLOSED
    assert ledger.energy == 25
    assert begin(ledger, at="T2").transaction.transaction_id == 3  # ids do not come back
    file.close()


def test_of_ended_transactions_the_latest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger, file = run_of(path)
    running = begin(ledger, connector=2).transaction
    for number in range(CLOSED_KEPT + 10):
        end(ledger, begin(ledger, at=f"T{number}").transaction.transaction_id)
    file.close()
    assert len(path.read_text().splitlines()) == 2 * (CLOSED_KEPT + 10) + 1
    ledger, file = run_of(path)
    assert len(path.read_text().splitlines()) == CLOSED_KEPT + 1
    assert ledger.running("CS-1", 2) == running
    assert ledger.find(CLOSED_KEPT + 11) is not None
    file.close()


def test_a_place_that_cannot_be_written_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    ledger, file = run_of(tmp_path / "file" / "ledger.jsonl")
    end(ledger, begin(ledger).transaction.transaction_id)
    file.close()
    warnings = [record.getMessage() for record in caplog.records]
    assert [warning for warning in warnings if "will not know this one's transactions" in warning] == warnings[-1:]
    assert ledger.totals()["stopped"] == 1
