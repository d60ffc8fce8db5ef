"""Tests of a folder in virtual time: it passes when nobody has anything to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.fakes.loopback import SocketClock


def run_in_virtual_time(
    test: Any, *, clock: trio.abc.Clock | None = None, instruments: Sequence[trio.abc.Instrument] = ()
) -> Any:
    """``trio.run`` with a clock that jumps, unless the test brings its own."""
    return trio.run(test, clock=clock or MockClock(autojump_threshold=0), instruments=instruments)


def run_over_sockets(
    test: Any, *, clock: trio.abc.Clock | None = None, instruments: Sequence[trio.abc.Instrument] = ()
) -> Any:
    """The same for tests with real sockets, both ends of which are in this process."""
    jumping = SocketClock()
    return trio.run(test, clock=clock or jumping, instruments=[*instruments, jumping])


def let_time_jump(items: Sequence[pytest.Item], folder: Path, run: Callable[..., Any] = run_in_virtual_time) -> None:
    """Run the asynchronous tests below a folder in virtual time: for the ``conftest.py`` there."""
    for item in items:
        if folder in item.path.parents and iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.trio(run=run), append=False)
