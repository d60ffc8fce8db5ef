"""A central system on its own, as ``simulator csms`` runs it."""

from __future__ import annotations

import secrets

import trio

from simulator.csms.central import CentralSystem
from simulator.csms.policy import BootPolicy


def standalone(boot_status: str = "Accepted", interval: int = 300) -> CentralSystem:
    """The central system that ``simulator csms`` runs.

    :param boot_status: ``Accepted``, ``Pending`` or ``Rejected``, the answer to every BootNotification.
    :param interval: seconds between heartbeats, or before a station that is not accepted tries again.
    """
    return CentralSystem(
        boot=BootPolicy(boot_status, interval),
        # Stations may have met an earlier run: they need not boot again, and its transaction ids must not come back.
        accept_unregistered=True,
        first_transaction_id=secrets.randbelow(10**9) + 1,
    )


async def run_csms(
    host: str = "127.0.0.1",
    port: int = 9000,
    boot_status: str = "Accepted",
    interval: int = 300,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve stations with :func:`standalone` until cancelled; the started value is the URL. Prints nothing.

    :param port: 0 takes a free one.
    :raises OSError: the address cannot be bound.
    """
    await standalone(boot_status, interval).serve(host, port, task_status=task_status)
