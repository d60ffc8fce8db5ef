"""Time for the whole process: one virtual clock, and the timers of all that wait.

Two kinds of seconds exist. *Wall* seconds are those of ``trio.current_time()``: deadlines for a peer (connect, answer,
ping, close, back-off) are wall. *Virtual* seconds are the simulated ones: ``virtual = start + elapsed wall x speed``;
heartbeats, meter samples, the generator, reset times and every timestamp on the wire are virtual. At speed 1 they
differ only in their origin: virtual time is POSIX time.

Timers fire on a *grid*: those that are due within one step of it are fired together at its end, which costs a fleet of
thousands a fraction of waking up for each. Nothing fires early, and nothing later than one step; a step of 0 is exact.

A sleeping task is parked on a timer of the one :meth:`Clock.run` task rather than on a trio deadline of its own,
which is an order of magnitude cheaper per wake-up in a fleet of thousands. Under ``trio.testing.MockClock`` everything
follows the mocked clock, because all of it is measured by ``trio.current_time()``.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Callable
from functools import partial
from math import ceil
from operator import attrgetter

import outcome
import trio

from simulator.outbox import Outbox

log = logging.getLogger("simulator.clock")

# Cancelled timers stay until their turn comes; past this many they are let go.
_COMPACT_ABOVE = 1024

_deadline_of = attrgetter("wall_deadline")
_NEVER = float("inf")


class Timer:
    """A call that will be made once, at an instant, unless it is cancelled before."""

    __slots__ = ("_clock", "call", "wakes", "wall_deadline")

    def __init__(self, clock: Clock, wall_deadline: float, call: Callable[[], object], wakes: bool = False) -> None:
        self._clock = clock
        self.wall_deadline = wall_deadline
        #: Whether the call makes a task run.
        self.wakes = wakes
        self.call: Callable[[], object] | None = call

    @property
    def pending(self) -> bool:
        """Whether the call is still to come."""
        return self.call is not None

    def cancel(self) -> None:
        """Forget the call. Cancelling a timer that has fired or is cancelled does nothing."""
        if self.call is not None:
            self.call = None
            self._clock._forget_one()


class Clock:
    """Virtual time and the timers of a process.

    :param start: virtual POSIX seconds at creation; the wall clock's by default.
    :param speed: virtual seconds per wall second, more than 0.
    :param grid: virtual seconds of a step of the timers; 0: every timer at its own instant.
    :param outbox: holds back what is sent while timers fire; by default one of its own.

    Must be created inside a trio run; nothing fires before :meth:`run` is started in a nursery that its user owns.
    """

    def __init__(
        self, *, start: float | None = None, speed: float = 1.0, grid: float = 0.0, outbox: Outbox | None = None
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be more than 0, not {speed}")
        self.speed = speed
        self._virtual_origin = time.time() if start is None else start
        #: Wall seconds on trio's clock, of no fixed origin: for measuring how long a peer takes.
        self.wall = trio.lowlevel.current_clock().current_time
        self._wall_origin = self.wall()
        self.outbox = Outbox() if outbox is None else outbox
        self.outbox.now = self.wall
        self._step = grid / speed
        #: The turns that are to come, as a heap: numbers of steps of the grid or, without one, instants.
        self._turns: list[float] = []
        #: The timers of each turn: one of them, or several.
        self._timers: dict[float, Timer | list[Timer]] = {}
        #: The rest of the turn that is under way, the next timer last.
        self._firing: list[Timer] = []
        self._waiting = self._cancelled = 0
        self._wait: trio.CancelScope | None = None
        #: The virtual instant of the pass under way.
        self._pass_at: float | None = None

    # -- reading ---------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Virtual POSIX seconds. While timers fire it is the instant at which they began to."""
        at = self._pass_at
        return self._virtual_origin + (self.wall() - self._wall_origin) * self.speed if at is None else at

    def wall_at(self, virtual: float) -> float:
        """The wall instant at which virtual time reaches ``virtual``."""
        return self._wall_origin + (virtual - self._virtual_origin) / self.speed

    # -- timers ----------------------------------------------------------------------------------------------------

    def call_at_wall(self, deadline: float, call: Callable[[], object], *, wakes: bool = False) -> Timer:
        """Make ``call()`` when trio's clock reaches ``deadline``. It must not block; what it raises is logged.

        :param wakes: the call makes a task run. Two of one instant then run in the order in which they were asked for.
        """
        timer = Timer(self, deadline, call, wakes)
        turn = self._turn_of(deadline)
        others = self._timers.get(turn)
        if others is None:
            self._timers[turn] = timer
            heapq.heappush(self._turns, turn)
            if self._wait is not None and deadline < self._wait.deadline:
                self._wait.deadline = self.fires_at(deadline)
        elif isinstance(others, list):
            others.append(timer)
        else:
            self._timers[turn] = [others, timer]
        self._waiting += 1
        return timer

    def call_later_wall(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Make ``call()`` in ``seconds`` of wall time."""
        return self.call_at_wall(self.wall() + seconds, call)

    def call_at(self, virtual: float, call: Callable[[], object]) -> Timer:
        """Make ``call()`` when virtual time reaches ``virtual``."""
        return self.call_at_wall(self._wall_origin + (virtual - self._virtual_origin) / self.speed, call)

    def call_later(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Make ``call()`` in ``seconds`` of virtual time."""
        return self.call_at_wall(self.wall() + seconds / self.speed, call)

    @property
    def pending(self) -> int:
        """Timers that are still to fire."""
        return self._waiting - self._cancelled

    # -- sleeping --------------------------------------------------------------------------------------------------

    async def sleep_until_wall(self, deadline: float) -> None:
        """Sleep until trio's clock reaches ``deadline``; always a checkpoint. On cancel the timer is forgotten."""
        if deadline <= self.wall():
            await trio.lowlevel.checkpoint()
            return
        timer = self.call_at_wall(deadline, partial(trio.lowlevel.reschedule, trio.lowlevel.current_task()), wakes=True)

        def abort(_: object) -> trio.lowlevel.Abort:
            timer.cancel()
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    async def sleep_wall(self, seconds: float) -> None:
        """Sleep ``seconds`` of wall time."""
        await self.sleep_until_wall(self.wall() + seconds)

    async def sleep_until(self, virtual: float) -> None:
        """Sleep until virtual time reaches ``virtual``."""
        await self.sleep_until_wall(self.wall_at(virtual))

    async def sleep(self, seconds: float) -> None:
        """Sleep ``seconds`` of virtual time."""
        await self.sleep_until_wall(self.wall() + seconds / self.speed)

    # -- the one task ----------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Fire timers as they fall due, for ever; cancel to end. Sleepers then stay parked until they are cancelled."""
        task_status.started()
        while True:
            at = self._turn_at(self._turns[0]) if self._turns else _NEVER
            if self._firing:  # an earlier run was cancelled between two of one turn
                at = self.wall()
            with trio.CancelScope(deadline=at) as self._wait:
                await trio.sleep_forever()
            self._wait = None
            while self._fire_all_due():
                # The first turn may come before that of the task just woken; the second cannot.
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()

    def fires_at(self, deadline: float) -> float:
        """The wall instant at which a timer of this wall deadline fires: the end of the step that it falls into."""
        return self._turn_at(self._turn_of(deadline))

    def _turn_of(self, deadline: float) -> float:
        step = self._step
        if not step or deadline == _NEVER:
            return deadline
        turn = ceil((deadline - self._wall_origin) / step)
        # Rounding must not make it early by the least there is.
        return turn if self._wall_origin + turn * step >= deadline else turn + 1

    def _turn_at(self, turn: float) -> float:
        return self._wall_origin + turn * self._step if self._step else turn

    def _fire_all_due(self) -> bool:
        """One pass: make the calls that are due; returns whether any is left. What they send leaves at the end."""
        self._pass_at = self.now()
        try:
            with self.outbox:
                return self._fire_due(self.wall())
        finally:
            self._pass_at = None

    def _fire_due(self, now: float) -> bool:
        """Make the calls that are due, but of those of one instant that wake tasks only the first.

        Trio shuffles the tasks that can run. Turns between two timers of one instant let their tasks go on in the
        order in which they went to sleep, so that a seed repeats a run.
        """
        turns, woken = self._turns, None
        while self._firing or (turns and self._turn_at(turns[0]) <= now):
            if not self._firing:
                due = self._timers.pop(heapq.heappop(turns))
                self._firing = due if isinstance(due, list) else [due]
                # The first to fire is the last; those of one instant fire as they came.
                self._firing.reverse()
                self._firing.sort(key=_deadline_of, reverse=True)
            firing = self._firing
            while firing:
                timer = firing[-1]
                if timer.wakes and timer.call is not None:
                    if timer.wall_deadline == woken:
                        return True
                    woken = timer.wall_deadline
                firing.pop()
                self._waiting -= 1
                call, timer.call = timer.call, None
                if call is None:
                    self._cancelled -= 1
                    continue
                try:
                    call()
                except Exception:
                    # One station's timer must not stop the time of all others.
                    log.exception("a timer's call failed: %r", call)
        return False

    def _forget_one(self) -> None:
        self._cancelled += 1
        if self._cancelled > _COMPACT_ABOVE and self._cancelled * 2 > self._waiting:
            self._compact()

    def _compact(self) -> None:
        """Let go of the timers that were cancelled. In place: this may happen while timers fire."""
        for turn, timers in list(self._timers.items()):
            pending = [timer for timer in (timers if isinstance(timers, list) else [timers]) if timer.pending]
            if pending:
                self._timers[turn] = pending
            else:
                del self._timers[turn]
        self._turns[:] = self._timers
        heapq.heapify(self._turns)
        self._firing[:] = [timer for timer in self._firing if timer.pending]
        self._waiting = sum(len(timers) if isinstance(timers, list) else 1 for timers in self._timers.values())
        self._waiting += len(self._firing)
        self._cancelled = 0


class Alarm:
    """A wait of one task that time or a call ends: for a loop whose period may change while it sleeps.

    :meth:`ring` before the wait is remembered, so a change between two waits is never missed.
    """

    __slots__ = ("_clock", "_rung", "_task", "_timer")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = False
        self._task: trio.lowlevel.Task | None = None
        self._timer: Timer | None = None

    def ring(self) -> None:
        """End the wait now, or the next one at once."""
        if self._task is None:
            self._rung = True
        else:
            self._wake(True)

    async def wait_until_wall(self, deadline: float) -> bool:
        """Wait until the wall instant ``deadline`` (infinity: for ever) or a ring; returns whether it was a ring."""
        if self._rung or deadline <= self._clock.wall():
            rung, self._rung = self._rung, False
            await trio.lowlevel.checkpoint()
            return rung
        assert self._task is None, "an alarm wakes one task"
        self._task = trio.lowlevel.current_task()
        if deadline != float("inf"):
            self._timer = self._clock.call_at_wall(deadline, partial(self._wake, False), wakes=True)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._forget()
            return trio.lowlevel.Abort.SUCCEEDED

        result: bool = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    async def wait_until(self, virtual: float) -> bool:
        """The same for an instant of virtual time."""
        return await self.wait_until_wall(self._clock.wall_at(virtual) if virtual != float("inf") else virtual)

    def _wake(self, rung: bool) -> None:
        task = self._task
        self._forget()
        if task is not None:
            trio.lowlevel.reschedule(task, outcome.Value(rung))

    def _forget(self) -> None:
        self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
