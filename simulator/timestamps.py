"""Instants as text."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


def format_timestamp(posix: float) -> str:
    """RFC 3339 in UTC with milliseconds and ``Z``, as OCPP asks of a sender: ``2026-11-22T13:45:00.000Z``."""
    return _to_the_millisecond(round(posix * 1000))


# A fleet under load tells the time thousands of times in each second, and dozens of times in a millisecond.
@lru_cache(maxsize=64)
def _to_the_millisecond(posix: int) -> str:
    seconds, milliseconds = divmod(posix, 1000)
    return f"{_to_the_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=256)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def parse_timestamp(text: str) -> tuple[float, bool]:
    """Read any ISO 8601 form of an instant.

    :returns: POSIX seconds, and whether the text named its zone (without one it is taken as UTC).
    :raises ValueError: when the text is no instant.
    """
    moment = datetime.fromisoformat(text.strip().upper().replace(",", "."))
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC).timestamp(), False
    return moment.timestamp(), True
