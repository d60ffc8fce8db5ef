"""What a central system sees of a station over a real socket, asked in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.virtual_time import let_time_jump, run_over_sockets


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    let_time_jump(items, Path(__file__).parent, run_over_sockets)
