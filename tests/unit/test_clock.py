"""Virtual time, timers, sleeping and alarms."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simulator.clock import Alarm, Clock
from simulator.telemetry.process import SpeedProbe


async def started(nursery: trio.Nursery, **options: Any) -> Clock:
    clock = Clock(**options)
    await nursery.start(clock.run)
    return clock


async def test_virtual_time_runs_at_its_speed(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery, start=1000.0, speed=60.0)
    begun = trio.current_time()
    await clock.sleep(120)
    assert trio.current_time() - begun == pytest.approx(2)
    assert clock.now() == pytest.approx(1120)
    await clock.sleep_wall(3)
    assert clock.now() == pytest.approx(1300)
    await clock.sleep_until(1360)
    assert trio.current_time() - begun == pytest.approx(6)
    assert clock.wall_at(1420) == pytest.approx(begun + 7)


@pytest.mark.parametrize("speed", [0, -1])
async def test_time_cannot_stand_still_or_run_backwards(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Clock(speed=speed)


async def test_timers_fire_in_the_order_of_their_instants(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery)
    fired: list[tuple[str, float]] = []
    begun = trio.current_time()

    def note(name: str) -> None:
        fired.append((name, round(trio.current_time() - begun, 6)))

    clock.call_later_wall(5, lambda: note("late"))
    clock.call_later_wall(1, lambda: note("soon"))  # an earlier one moves the alarm that is set already
    never = clock.call_later_wall(3, lambda: note("never"))
    clock.call_at_wall(begun - 10, lambda: note("overdue"))
    never.cancel()
    never.cancel()
    await trio.sleep(10)
    assert fired == [("overdue", 0), ("soon", 1), ("late", 5)]
    assert not never.pending


async def test_a_timer_that_fails_stops_no_other(
    autojump_clock: MockClock, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    clock = await started(nursery)
    clock.call_later(1, lambda: 1 / 0)
    await clock.sleep(2)
    assert "ZeroDivisionError" in caplog.text


async def test_thousands_of_cancelled_timers_leave_the_others_alone(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    clock = await started(nursery)
    fired: list[int] = []
    timers = [clock.call_later(10 + n, lambda n=n: fired.append(n)) for n in range(5000)]  # type: ignore[misc]

    def cancel_most() -> None:  # while the heap is being worked off
        for n, timer in enumerate(timers):
            if n % 10:
                timer.cancel()
        clock.call_later(0, lambda: fired.append(-1))

    clock.call_later(10, cancel_most)
    await trio.sleep(6000)
    assert fired == [0, -1, *range(10, 5000, 10)]
    assert clock.pending == 0
    assert clock._cancelled == 0


async def test_sleepers_of_one_instant_wake_in_the_order_in_which_they_went_to_sleep(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    clock = await started(nursery)
    for _ in range(20):
        order: list[int] = []
        due = trio.current_time() + 5

        async def sleeper(number: int, until: float, seen: list[int]) -> None:
            await clock.sleep_until_wall(until)
            seen.append(number)

        async with trio.open_nursery() as sleepers:
            for number in range(6):
                sleepers.start_soon(sleeper, number, due, order)
                await wait_all_tasks_blocked()
        assert order == [0, 1, 2, 3, 4, 5]


async def test_a_cancelled_sleeper_leaves_no_timer(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery)
    with trio.move_on_after(1) as scope:
        await clock.sleep(1000)
    assert scope.cancelled_caught
    assert clock.pending == 0


async def test_sleeping_is_always_a_checkpoint(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery)
    with trio.CancelScope() as scope:
        scope.cancel()
        await clock.sleep(-5)
    assert scope.cancelled_caught


async def test_an_alarm_is_ended_by_time_or_by_a_ring(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery, start=0.0, speed=10.0)
    alarm = Alarm(clock)
    begun = trio.current_time()
    assert await alarm.wait_until(50) is False
    assert trio.current_time() - begun == pytest.approx(5)
    clock.call_later_wall(2, alarm.ring)
    assert await alarm.wait_until(float("inf")) is True
    assert trio.current_time() - begun == pytest.approx(7)


async def test_a_ring_before_the_wait_is_remembered_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery)
    alarm = Alarm(clock)
    alarm.ring()
    alarm.ring()
    begun = trio.current_time()
    assert await alarm.wait_until_wall(float("inf")) is True
    assert await alarm.wait_until_wall(begun + 4) is False
    assert trio.current_time() - begun == pytest.approx(4)


async def test_a_cancelled_wait_can_be_repeated(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery)
    alarm = Alarm(clock)
    with trio.move_on_after(1):
        await alarm.wait_until_wall(trio.current_time() + 100)
    begun = trio.current_time()
    assert await alarm.wait_until_wall(begun + 2) is False
    assert trio.current_time() - begun == pytest.approx(2)


async def test_timers_fire_together_at_the_end_of_their_step(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery, grid=0.05)
    begun = trio.current_time()
    fired: list[float] = []
    for seconds in (0.01, 0.04, 0.05, 0.051, 0.12):
        clock.call_later_wall(seconds, lambda: fired.append(round(trio.current_time() - begun, 6)))
    await trio.sleep(1)
    assert fired == [0.05, 0.05, 0.05, 0.1, 0.15]


async def test_a_step_is_virtual_time(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery, grid=0.05, speed=10.0)
    begun = trio.current_time()
    await clock.sleep_wall(0.011)
    assert trio.current_time() - begun == pytest.approx(0.015)


@pytest.mark.parametrize("grid", [0.0, 0.2])
async def test_waiting_for_the_end_of_a_step_is_not_being_slow(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, nursery: trio.Nursery, grid: float
) -> None:
    monkeypatch.setattr("time.monotonic", autojump_clock.current_time)
    clock = await started(nursery, grid=grid)
    probe = SpeedProbe()
    nursery.start_soon(probe.run, clock)
    await trio.sleep(10.1)
    probe.end()
    await trio.testing.wait_all_tasks_blocked()
    assert probe.share() == pytest.approx(1, abs=0.001)


async def test_the_timers_of_one_step_fire_in_the_order_of_their_instants(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    clock = await started(nursery, start=0.0, grid=1.0)
    seen: list[tuple[str, float]] = []
    for name, at in (("c", 5.9), ("a", 5.2), ("b", 5.5), ("b2", 5.5), ("later", 6.1)):
        clock.call_at(at, lambda name=name: seen.append((name, clock.now())))  # type: ignore[misc]
    await clock.sleep_until(20.0)
    assert [name for name, _ in seen] == ["a", "b", "b2", "c", "later"]
    assert [now for _, now in seen[:4]] == pytest.approx([6.0] * 4)


async def test_time_stands_still_while_timers_fire(nursery: trio.Nursery) -> None:
    clock = await started(nursery, grid=0.05)
    instants: list[float] = []

    def look() -> None:
        instants.append(clock.now())
        begun = clock.wall()
        while clock.wall() < begun + 0.002:
            pass

    due = clock.fires_at(trio.current_time() + 0.05) - 0.01
    for _ in range(3):
        clock.call_at_wall(due, look)
    with trio.fail_after(5):
        await clock.sleep_until_wall(due)
    assert len(instants) == 3
    assert len(set(instants)) == 1
    assert clock.now() >= instants[0] + 0.006


async def test_no_timer_fires_early_by_rounding(mock_clock: MockClock, nursery: trio.Nursery) -> None:
    clock = await started(nursery, start=0.0, grid=0.02)
    due, looks = 7868.700000000001, []

    def look() -> None:
        looks.append(clock.wall())
        if clock.wall() < due and len(looks) < 10:
            clock.call_at_wall(due, look)

    clock.call_at_wall(due, look)
    mock_clock.jump(7868.7 - trio.current_time())
    await wait_all_tasks_blocked()
    mock_clock.jump(0.05)
    await wait_all_tasks_blocked()
    assert len(looks) == 1
    assert looks[0] >= due


async def test_time_that_is_stopped_between_two_timers_of_an_instant_goes_on(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    clock, woken = Clock(), []

    async def sleeper(number: int) -> None:
        await clock.sleep_until_wall(5.0)
        woken.append(number)

    for number in range(3):
        nursery.start_soon(sleeper, number)
    async with trio.open_nursery() as first:
        await first.start(clock.run)
        while not woken:
            await trio.lowlevel.checkpoint() if trio.current_time() >= 5.0 else await trio.sleep_until(5.0)
        first.cancel_scope.cancel()
    await nursery.start(clock.run)
    await trio.sleep(1)
    assert len(woken) == 3
