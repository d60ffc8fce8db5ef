"""The status machine of a connector (OCPP 1.6 §4.9)."""

from __future__ import annotations

from itertools import product

import pytest

from simulator.ocpp.v16.enums import ChargePointErrorCode as Code
from simulator.ocpp.v16.enums import ChargePointStatus as Status
from simulator.station.connector import Connector
from simulator.templates.model import ConnectorTemplate

# Rows are the present status, columns the next one, in the order of the standard's table.
ORDER = [
    Status.AVAILABLE, Status.PREPARING, Status.CHARGING, Status.SUSPENDED_EV, Status.SUSPENDED_EVSE, Status.FINISHING,
    Status.RESERVED, Status.UNAVAILABLE, Status.FAULTED,
]  # fmt: skip
TABLE = """
. x x x x - x x x
x . x x x x - - x
x - . x x x - x x
x - x . x x - x x
x - x x . x - x x
x x - - - . - x x
x x - - - - . x x
x x x x x - - . x
x x x x x x x x .
"""


def connector(connector_id: int, status: Status) -> tuple[Connector, list[Status]]:
    told: list[Status] = []
    made = Connector(connector_id, ConnectorTemplate(), None, lambda changed: told.append(changed.status))
    made.move(status, force=True)
    told.clear()
    return made, told


def cells() -> list[tuple[Status, Status, str]]:
    rows = [line.split() for line in TABLE.strip().splitlines()]
    return [
        (ORDER[row], ORDER[column], rows[row][column]) for row, column in product(range(len(ORDER)), range(len(ORDER)))
    ]


@pytest.mark.parametrize(("before", "after", "cell"), cells(), ids=str)
def test_the_table_of_transitions(before: Status, after: Status, cell: str) -> None:
    made, told = connector(1, before)
    if cell == "-":
        with pytest.raises(ValueError, match=f"from {before} to {after}"):
            made.move(after)
        assert made.status is before
        assert told == []
    else:
        made.move(after)
        assert told == ([after] if cell == "x" else [])


@pytest.mark.parametrize("status", ORDER)
def test_connector_0_knows_three_statuses(status: Status) -> None:
    made, _ = connector(0, Status.AVAILABLE)
    if status in {Status.AVAILABLE, Status.UNAVAILABLE, Status.FAULTED}:
        made.move(status)
    else:
        with pytest.raises(ValueError, match="connector 0"):
            made.move(status)


def test_a_change_of_the_error_code_alone_is_told() -> None:
    made, told = connector(1, Status.CHARGING)
    made.move(Status.CHARGING, error_code=Code.HIGH_TEMPERATURE)
    made.move(Status.CHARGING, error_code=Code.HIGH_TEMPERATURE)
    made.move(Status.CHARGING)
    assert told == [Status.CHARGING, Status.CHARGING]
    assert made.error_code is Code.NO_ERROR


def test_which_connector_can_be_promised() -> None:
    for status in ORDER:
        made, _ = connector(1, status)
        # Reserved: for whom is asked elsewhere.
        assert made.usable == (status in {Status.AVAILABLE, Status.PREPARING, Status.FINISHING, Status.RESERVED})
        made.operative = False
        assert not made.usable
        assert made.at_rest is Status.UNAVAILABLE
    made, _ = connector(1, Status.AVAILABLE)
    made.promised = True
    assert made.ready
    assert not made.usable
