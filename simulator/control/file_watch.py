"""Tells when files have changed and have come to rest.

What the operating system reports is taken as a hint to look. What counts is what the files are then: an editor that
writes another file and renames it, a link that points elsewhere, a file that did not exist before are all seen, and so
are changes on file systems that report nothing, a little later. This is the only place that imports watchfiles.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeAlias

import trio
import watchfiles

from simulator.telemetry.log import get_logger

log = get_logger("simulator.files")

#: Wall seconds between two looks when nothing is reported: file systems of containers and networks may be silent.
LOOK_EVERY = 5.0
#: Wall seconds for which nothing may change before files count as written, and the longest wait for that.
QUIET = 0.25
NEVER_QUIET = 5.0
#: Milliseconds within which the thread of the watch notices that it is to end.
_STEP = 200

#: Of a file: device, inode, size, and time of the last change; None where there is no file.
Mark: TypeAlias = tuple[int, int, int, int] | None


def mark(path: Path) -> Mark:
    """What tells one state of a file from the next."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class FileWatch:
    """Watches a set of files, or rather of places where files may be.

    :param places: asked before each look; they may not exist.
    """

    def __init__(self, places: Callable[[], Collection[Path]]) -> None:
        self._places = places
        self._seen: dict[Path, Mark] = {}
        self._hint = trio.Event()
        self._folders: frozenset[Path] = frozenset()
        #: What is reported of other names is no hint: others may write much in the same folders.
        self._names: frozenset[str] = frozenset()
        self._moved = trio.Event()
        #: Threads of its own: others may be busy with slow disks.
        self._limiter = trio.CapacityLimiter(2)

    async def begin(self) -> None:
        """Take the files as they are now for known."""
        self._seen = await self._marks()

    async def next(self, *, within: float = float("inf")) -> set[Path]:
        """Wait until files have changed and are at rest; empty after so many wall seconds without a change.

        Files that never rest are taken as they are after :data:`NEVER_QUIET` seconds.
        """
        until = trio.current_time() + within
        while True:
            self._hint = trio.Event()
            marks = await self._marks()
            if marks != self._seen:
                marks = await self._at_rest(marks)
                changed = {path for path in marks.keys() | self._seen.keys() if marks.get(path) != self._seen.get(path)}
                # A place that nobody has asked about before tells nothing of a change.
                changed &= self._seen.keys()
                self._seen = marks
                if changed:
                    return changed
            if trio.current_time() >= until:
                return set()
            with trio.move_on_at(min(until, trio.current_time() + LOOK_EVERY)):
                await self._hint.wait()

    async def _at_rest(self, marks: dict[Path, Mark]) -> dict[Path, Mark]:
        give_up = trio.current_time() + NEVER_QUIET
        while trio.current_time() < give_up:
            await trio.sleep(QUIET)
            before, marks = marks, await self._marks()
            if marks == before:
                break
        return marks

    async def _marks(self) -> dict[Path, Mark]:
        places = list(self._places())

        def look() -> tuple[dict[Path, Mark], frozenset[Path], frozenset[str]]:
            return {place: mark(place) for place in places}, *_surroundings(places)

        marks, folders, self._names = await trio.to_thread.run_sync(look, limiter=self._limiter)
        if folders != self._folders:
            self._folders = folders
            self._moved.set()
            self._moved = trio.Event()
        return marks

    # -- what the system reports -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen to the operating system until cancelled; without it :meth:`next` looks every few seconds."""
        while True:
            moved, folders = self._moved, self._folders
            if folders:
                async with trio.open_nursery() as nursery:
                    stop = threading.Event()
                    nursery.start_soon(self._listen, folders, stop)
                    try:
                        await moved.wait()
                    finally:
                        stop.set()
            else:
                await moved.wait()

    async def _listen(self, folders: frozenset[Path], stop: threading.Event) -> None:
        # Shielded: the thread ends by itself once it is told to, and must not outlive the run.
        with trio.CancelScope(shield=True):
            try:
                await trio.to_thread.run_sync(self._watch, folders, stop, limiter=self._limiter)
            except (OSError, RuntimeError) as error:
                log.info("changes of files are not reported (%s): they are looked for every %g s", error, LOOK_EVERY)

    def _watch(self, folders: frozenset[Path], stop: threading.Event) -> None:
        for _ in watchfiles.watch(
            *folders,
            watch_filter=self._concerns,
            debounce=100,
            step=_STEP,
            rust_timeout=1000,
            stop_event=stop,
            recursive=False,
            raise_interrupt=False,
        ):
            trio.from_thread.run_sync(self._told)

    def _concerns(self, _: watchfiles.Change, path: str) -> bool:
        name = os.path.basename(path)
        return name in self._names or name.startswith("..")  # "..data": how Kubernetes exchanges mounted files

    def _told(self) -> None:
        self._hint.set()


def _surroundings(places: Collection[Path]) -> tuple[frozenset[Path], frozenset[str]]:
    """The folders that exist of the places and of the files that they are links to; names that matter in them."""
    folders: set[Path] = set()
    names: set[str] = set()
    for place in places:
        names.update((place.name, place.parent.name))
        try:
            target = place.resolve()
            names.add(target.name)
            for folder in (place.parent, target.parent):
                if folder.is_dir():
                    folders.add(folder)
        except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
            continue
    return frozenset(folders), frozenset(names)
