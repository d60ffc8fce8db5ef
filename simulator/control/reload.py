"""Live reload: what becomes of a run when its configuration, templates, tag lists or vehicle files change.

A file that is wrong counts as it was, with one line that says why. Everything else takes effect: stations come, go and
change as far as they are touched, and parts of the run outside the fleet follow the configuration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import trio

from simulator.config.load import LoadedConfig
from simulator.config.problems import ConfigurationError, Problem
from simulator.control.file_watch import FileWatch
from simulator.telemetry.log import get_logger
from simulator.templates.fleet import FleetPlan

log = get_logger("simulator.files")

#: Wall seconds that a file which cannot be read gets to become whole before anybody is told.
MEND_WITHIN = 1.0


#: Keys that are read when the simulator starts.
AT_THE_NEXT_START = frozenset({"stagger", "timerGrid", "transport"})


class Reading(msgspec.Struct, frozen=True):
    """What the files of a run say. ``kept``: errors of files that count as they were read before."""

    loaded: LoadedConfig
    plan: FleetPlan
    kept: tuple[Problem, ...] = ()


class Sources(Protocol):
    """The files of a run."""

    def read(self, former: Reading) -> Reading:
        """Read them again. A file that is wrong or gone counts as in ``former``. Blocks: call it in a thread.

        :raises ConfigurationError: they do not fit together.
        """
        ...

    def places(self) -> Iterable[Path]:
        """Where files are, or may come to be, besides those of the plan."""
        ...


Follow = Callable[[LoadedConfig, LoadedConfig], Awaitable[None]]
"""Somebody who follows the configuration: called with the former and the new one after each change."""


class Reload:
    """Watches the files of a run and hands on what has changed.

    :param apply: brings the fleet in line, former and new reading; returns what has been done, for people.
    :param more_places: further files to watch, those of stations that were added at run time.
    :param tell: takes a line for people, and whether it is about trouble.
    """

    def __init__(
        self,
        sources: Sources,
        reading: Reading,
        apply: Callable[[Reading, Reading], Awaitable[str]],
        *,
        more_places: Callable[[], Iterable[Path]] = tuple,
        tell: Callable[[str, bool], object] = lambda line, bad: None,
    ) -> None:
        self._sources = sources
        self.reading = reading
        self._apply = apply
        self._more_places = more_places
        self._tell = tell
        self._followers: list[Follow] = []
        self._watch = FileWatch(self._places)
        #: Files that were wrong when they were last read, and what was said of them.
        self._told: tuple[str, ...] = ()

    def add_follower(self, follow: Follow) -> None:
        """Let ``follow`` know of each change of the configuration file; what it raises is logged and stays with it."""
        self._followers.append(follow)

    def _places(self) -> set[Path]:
        return {*self._sources.places(), *self.reading.plan.files.places, *self._more_places()}

    async def run(self) -> None:
        """Follow the files until cancelled."""
        await self._watch.begin()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch.run)
            changed: set[Path] = set()
            while True:
                changed |= await self._watch.next()
                reading, complaints = await self._read()
                if complaints and (more := await self._watch.next(within=MEND_WITHIN)):
                    changed |= more  # somebody is still writing
                    continue
                await self._take(changed, reading, complaints)
                changed = set()

    async def _read(self) -> tuple[Reading | None, tuple[str, ...]]:
        """The files as they are now, and a line for each that is wrong."""
        try:
            reading = await trio.to_thread.run_sync(self._sources.read, self.reading)
        except ConfigurationError as error:
            errors = [problem for problem in error.problems if problem.severity == "error"]
            return None, complaints_of(errors)
        return reading, complaints_of(reading.kept)

    async def _take(self, changed: set[Path], reading: Reading | None, complaints: tuple[str, ...]) -> None:
        for line in complaints:
            if line not in self._told:
                log.error("%s", line)
                self._tell(line, True)
        self._told = complaints
        if reading is None:
            return
        former, self.reading = self.reading, reading
        for problem in reading.plan.problems:
            if problem not in former.plan.problems:
                log.warning("%s", problem)
        done = await self._apply(former, reading)
        told = [*([done] if done else ()), *await self._follow(former.loaded, reading.loaded)]
        names = ", ".join(sorted({path.name for path in changed}))
        if told or not complaints:
            line = f"{names}: read again; {'; '.join(told) or 'nothing is different'}"
            log.info("%s", line)
            self._tell(line, False)

    async def _follow(self, former: LoadedConfig, now: LoadedConfig) -> list[str]:
        if former.config == now.config and former.given == now.given:
            return []
        for follow in self._followers:
            try:
                await follow(former, now)
            except Exception as error:
                log.exception("a part of the simulator cannot follow the configuration: %s", error)
        return told_of(changed_sections(former, now))


def changed_sections(former: LoadedConfig, now: LoadedConfig) -> list[str]:
    """The keys of the configuration whose values differ, those of the fleet left aside."""
    before, after = msgspec.to_builtins(former.config), msgspec.to_builtins(now.config)
    aside = {"stationTemplateUrls", "supervisionUrls"}
    return [name for name in after if name not in aside and before.get(name) != after[name]]


def told_of(sections: Sequence[str]) -> list[str]:
    """What to say of changed keys: those that take effect, and those that wait for the next start."""
    at_once = [name for name in sections if name not in AT_THE_NEXT_START]
    later = [name for name in sections if name in AT_THE_NEXT_START]
    return [
        *([f"{', '.join(at_once)} changed"] if at_once else ()),
        *([f"{', '.join(later)} changed: counts from the next start of the simulator"] if later else ()),
    ]


def complaints_of(problems: Sequence[Problem]) -> tuple[str, ...]:
    """One line for each file that is wrong: its first mistake, and how many more there are."""
    by_file: dict[str, list[Problem]] = {problem.file: [] for problem in problems}
    for problem in dict.fromkeys(problems):
        by_file[problem.file].append(problem)
    lines = []
    for found in by_file.values():
        more = f" (and {len(found) - 1} more: see simulator check)" if len(found) > 1 else ""
        lines.append(f"{found[0]}{more}; the simulator goes on with what was there before")
    return tuple(lines)
