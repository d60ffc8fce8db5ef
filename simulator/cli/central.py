"""The command ``csms``."""

from __future__ import annotations

import json
from collections.abc import Callable

import trio

from simulator.cli.output import Failure, give, printable, tell
from simulator.csms.run import standalone
from simulator.csms.station import Station
from simulator.csms.violations import StationViolation
from simulator.interrupts import STOP_SIGNALS
from simulator.supervision import leaves

#: Lines about one station; what it does wrong beyond that is counted only.
LINES_PER_STATION = 100


def serve_csms(
    host: str, port: int, boot_status: str, interval: int, *, as_json: bool, interrupted: Callable[[], bool]
) -> int:
    """Serve until SIGINT or SIGTERM, and return the exit code.

    What stations do wrong is told on standard error, a line each.

    :param as_json: print the counts of everything as one line of JSON at the end.
    :raises Failure: the address cannot be listened on.
    """
    central = standalone(boot_status, interval)
    central.on_violation = tell_violation

    async def main() -> OSError | None:
        with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
            if interrupted():
                return None
            async with trio.open_nursery() as nursery:
                try:
                    url = await nursery.start(central.serve, host, port)
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
    if as_json:
        give(json.dumps(central.summary()))
    return 0


def tell_violation(violation: StationViolation, station: Station) -> None:
    """Say in one line what a station did wrong, as long as it is not too much."""
    number = station.violation_counts.total()
    if number <= LINES_PER_STATION:
        tell(printable(f"violation: {violation}"))
    if number == LINES_PER_STATION:
        tell(printable(f"violation: {violation.station_id}: what else it does wrong is counted only"))
