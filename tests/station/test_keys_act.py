"""Every key of a station template does something that a central system or ``simulator check`` can see."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tests.station.key_rows import ABSENT, STATION_ROWS, Row


@pytest.mark.parametrize("row", STATION_ROWS, ids=str)
async def test_the_key_acts(row: Row, autojump_clock: MockClock) -> None:
    assert row.at_default != row.at_off
    assert await row.shows(row.template(ABSENT)) == row.at_default
    assert await row.shows(row.template(row.off)) == row.at_off
