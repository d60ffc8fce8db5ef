"""What the process takes from the machine, and whether it keeps up with its clock."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import NamedTuple

import trio

from simulator.clock import Clock

#: Wall seconds between two looks at how late the process is.
PROBE_EVERY = 0.5

#: As high as the limit of open files is raised unasked.
MOST_FILES = 1024 * 1024


class SpeedProbe:
    """Measures what share of the asked speed the process keeps.

    A task sleeps again and again on the fleet's clock. What wakes up late delays everything that follows it in the
    simulated world, so the share is the time that the sleeps should have taken by the time that they took.
    """

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._due = self._took = 0.0

    async def run(self, clock: Clock) -> None:
        """Measure until :meth:`end` or cancelled; once."""
        with self._scope:
            while True:
                began, now = time.monotonic(), clock.wall()
                # What timers wait for the end of their step is meant to be; only what comes on top of it is late.
                due = clock.fires_at(now + PROBE_EVERY) - now
                try:
                    await clock.sleep_wall(PROBE_EVERY)
                finally:  # the sleep that the end cuts short counts as far as it went
                    took = time.monotonic() - began
                    self._due += min(took, due)
                    self._took += took

    def end(self) -> None:
        """Measure no further."""
        self._scope.cancel()

    def share(self) -> float:
        """The share of the asked speed that was kept, at most 1; 1 where nothing was measured."""
        return self._due / self._took if self._took else 1.0


class Usage(NamedTuple):
    """What the process has now: resident memory in bytes, and open files."""

    resident: int
    files: int


def memory_and_files() -> Usage | None:
    """What the process has now; None where the system does not tell (it does on Linux)."""
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[1])
        return Usage(pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")))
    except (OSError, ValueError, AttributeError):
        return None


def max_rss_mib() -> float | None:
    """The largest resident size of this process so far in MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def allow_open_files(wanted: int) -> int | None:
    """Let this process have ``wanted`` files open, and more where it may; returns how many it may if fewer.

    The soft limit goes up to the hard one at once, as stations may be added later; the hard one is its owner's.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such limit
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    # macOS has a limit of its own below the one that it tells: what is wanted may pass where the most does not.
    for limit in (max(most, wanted), most, wanted):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
            break
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return allowed if allowed < wanted else None
