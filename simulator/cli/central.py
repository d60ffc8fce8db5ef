"""The command ``csms``."""

from __future__ import annotations

from collections.abc import Callable

import trio

from simulator.cli.output import Failure, give
from simulator.csms.run import run_csms
from simulator.interrupts import STOP_SIGNALS
from simulator.supervision import leaves


def serve_csms(host: str, port: int, boot_status: str, interval: int, *, interrupted: Callable[[], bool]) -> int:
    """Serve until SIGINT or SIGTERM, and return the exit code.

    :raises Failure: the address cannot be listened on.
    """

    async def main() -> OSError | None:
        with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
            if interrupted():
                return None
            async with trio.open_nursery() as nursery:
                try:
                    url = await nursery.start(run_csms, host, port, boot_status, interval)
                except (OSError, ExceptionGroup) as group:
                    if all(isinstance(leaf, OSError) for leaf in leaves(group)):
                        return next(leaf for leaf in leaves(group) if isinstance(leaf, OSError))
                    raise
                give(url)
                await anext(aiter(signals))
                nursery.cancel_scope.cancel()
        return None

    error = trio.run(main)
    if error is not None:
        reason = error.strerror or error
        raise Failure(f"{host}:{port}: cannot listen here ({reason}); choose another --host or --port")
    return 0
