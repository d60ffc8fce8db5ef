"""Transfers as the central system asks for them: with retries, and only by protocols that the station has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from simulator.transport.transfer import Fault, TransferFailed

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

T = TypeVar("T")

#: What a station does that is told nothing (OCPP 1.6 §5.9, §5.19 leave it to the station). Seconds are virtual.
RETRIES = 1
RETRY_INTERVAL = 10.0
#: Even a central system that asks for no pause gets one.
SHORTEST_INTERVAL = 1.0

#: Failures that no repetition mends.
_FINAL = frozenset({Fault.BAD_URL, Fault.UNSUPPORTED})


class RetryPlan(msgspec.Struct, frozen=True):
    """How often to repeat a failed transfer, and after how many virtual seconds."""

    retries: int = RETRIES
    interval: float = RETRY_INTERVAL

    @classmethod
    def of(cls, retries: int | None, interval: int | None) -> RetryPlan:
        """From the optional members of a request; numbers below their meaning are taken as the least that has one."""
        return cls(
            RETRIES if retries is None else max(0, retries),
            RETRY_INTERVAL if interval is None else max(SHORTEST_INTERVAL, float(interval)),
        )

    async def run(self, station: ChargingStation, url: str, transfer: Callable[[], Awaitable[T]]) -> T:
        """Make a transfer, and make it again after a failure.

        :raises TransferFailed: of the last attempt, or at once where another one is of no use.

        On cancel the transfer is ended.
        """
        check_protocol(station, url)
        attempts = 1 + self.retries
        for attempt in range(1, attempts + 1):
            try:
                return await transfer()
            except TransferFailed as error:
                if attempt == attempts or error.fault in _FINAL:
                    raise
                station.log.warning("%s; attempt %s of %s follows in %g s", error, attempt + 1, attempts, self.interval)
            await station.clock.sleep(self.interval)
        raise AssertionError("there is at least one attempt")


def check_protocol(station: ChargingStation, url: str) -> None:
    """Hold a URL against the key SupportedFileTransferProtocols. :raises TransferFailed: the station has no such."""
    protocols = [name.upper() for name in station.keys.items("SupportedFileTransferProtocols")]
    try:
        scheme = urlsplit(url.strip()).scheme.upper()
    except ValueError:
        return  # the transfer says what is wrong with it
    if protocols and scheme not in protocols:
        raise TransferFailed(
            f"{scheme[:20] or 'a URL without scheme'} is not among the station's file transfer protocols "
            f"({', '.join(protocols)})",
            Fault.UNSUPPORTED,
        )
