"""What the engine relies on in trio-websocket beyond its public names."""

from __future__ import annotations

import inspect

import pytest
import trio_websocket

from simulator.transport.engine import Engine

OVERRIDDEN = [
    name for name, value in vars(Engine).items() if name.startswith("_") and inspect.iscoroutinefunction(value)
]


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_every_overridden_method_is_there_to_be_overridden(name: str) -> None:
    theirs = getattr(trio_websocket.WebSocketConnection, name)
    assert inspect.iscoroutinefunction(theirs)
    assert inspect.signature(theirs).parameters.keys() == inspect.signature(getattr(Engine, name)).parameters.keys()
