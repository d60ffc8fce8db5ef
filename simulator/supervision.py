"""Supervision: the places where exceptions and exception groups end.

A charging station is a nursery; whatever fails in it ends that nursery and nothing else. :func:`guard` is the wall: it
runs one unit of work, logs its crash with the cause, and restarts it after a pause that grows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import trio

from simulator.telemetry.log import get_logger

log = get_logger("simulator.supervision")

# The first restart follows after this many wall seconds, each further one after twice as many, up to the second figure.
RESTART_AFTER = 1.0
RESTART_AT_MOST = 60.0
# A unit that ran this long before it crashed starts again with the shortest pause.
HEALTHY_AFTER = 60.0


class LeakedCancellation(Exception):
    """A ``Cancelled`` came out of a unit that nobody had cancelled: a library lost track of its scopes."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside a group, however deep; the exception itself when it is no group."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def one_line(error: BaseException) -> str:
    """What went wrong, in one line: type and text of every leaf."""
    return "; ".join(f"{type(leaf).__name__}: {leaf}".rstrip(": ") for leaf in leaves(error))


def caught(error: BaseException) -> Exception:
    """The failure of a unit, for those that outlive it. What is none of theirs is raised again.

    A cancellation from outside passes through. A ``Cancelled`` that nobody asked for comes back as
    :class:`LeakedCancellation` instead of silently ending everything above (it would: no scope up there owns it).
    KeyboardInterrupt and SystemExit pass.
    """
    if isinstance(error, Exception):
        return error
    cancelled = trio.current_effective_deadline() == float("-inf")
    if isinstance(error, trio.Cancelled) and not cancelled:
        return LeakedCancellation(repr(error))
    if isinstance(error, BaseExceptionGroup) and cancelled:
        plain, rest = error.split(Exception)
        if plain is not None and rest is not None and all(isinstance(leaf, trio.Cancelled) for leaf in leaves(rest)):
            log.error("crashed while it was being cancelled: %s", one_line(plain), exc_info=plain)
            raise rest
    if isinstance(error, BaseExceptionGroup) and not cancelled:
        # A group of plain exceptions is an ExceptionGroup and was caught above; this one holds cancellations as well.
        plain, rest = error.split(Exception)
        if rest is not None and all(isinstance(leaf, trio.Cancelled) for leaf in leaves(rest)):
            return plain if isinstance(plain, Exception) else LeakedCancellation(one_line(error))
    raise error


async def contained(run: Callable[[], Awaitable[None]]) -> Exception | None:
    """Run to the end and return the exception that ended it, if any; what passes :func:`caught` is raised."""
    try:
        await run()
    except BaseException as error:
        return caught(error)
    return None


class Crashes:
    """The crashes of one unit, and the pauses after them, which grow. Made after the first one."""

    __slots__ = ("_name", "_pause")

    def __init__(self, name: str) -> None:
        self._name = name
        self._pause = RESTART_AFTER

    def pause_after(self, error: Exception, begun: float) -> float:
        """Log a crash of the unit, which was started at that instant; returns the wall seconds until it is again."""
        if trio.current_time() - begun >= HEALTHY_AFTER:
            self._pause = RESTART_AFTER
        pause, self._pause = self._pause, min(self._pause * 2, RESTART_AT_MOST)
        log.error("%s crashed: %s; it starts again in %g s", self._name, one_line(error), pause, exc_info=error)
        return pause


async def guard(
    name: str,
    run: Callable[[], Awaitable[None]],
    *,
    crashed: Callable[[Exception], object] = lambda error: None,
) -> None:
    """Run a unit until it returns; after a crash log it with its cause, tell ``crashed``, pause, and run it again.

    On cancel the unit is cancelled and nothing is restarted. The pause is in wall seconds.
    """
    crashes: Crashes | None = None
    while True:
        begun = trio.current_time()
        error = await contained(run)
        if error is None:
            return
        crashes = crashes or Crashes(name)
        pause = crashes.pause_after(error, begun)
        crashed(error)
        del error
        await trio.sleep(pause)
