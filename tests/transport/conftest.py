"""What the tests of the transport share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.transport.hub import AVAILABLE
from tests.transport.peers import Chosen

HUB = pytest.param("hub", marks=pytest.mark.skipif(not AVAILABLE, reason="the system has no epoll"))


@pytest.fixture(params=["websocket", HUB])
def either_transport(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test with both transports; ``open_connection`` and ``make_dialer`` take the one whose name this is.

    For tests that are decorated with ``within``.
    """
    Chosen.with_hub = request.param == "hub"
    yield request.param
    Chosen.with_hub = False
