"""Tests of whole stations run in virtual time: it passes when nobody has anything to do."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock


def run_in_virtual_time(
    test: Any, *, clock: trio.abc.Clock | None = None, instruments: Sequence[trio.abc.Instrument] = ()
) -> Any:
    """``trio.run`` with a clock that jumps, unless the test brings its own."""
    return trio.run(test, clock=clock or MockClock(autojump_threshold=0), instruments=instruments)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.trio(run=run_in_virtual_time), append=False)
