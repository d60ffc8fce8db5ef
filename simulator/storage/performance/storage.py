"""The storage of performance records: takes them from the statistics, hands them to the writer of the day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import trio

from simulator.config.model import PerformanceStorageConfig
from simulator.config.storage_uris import file_of, show_storage
from simulator.storage.performance.jsonfile import JsonFile
from simulator.storage.performance.mongodb import MongoStore
from simulator.storage.performance.records import Record, Store, Unusable
from simulator.storage.performance.sql import SqlStore
from simulator.storage.performance.writer import RecordWriter, Totals
from simulator.telemetry.log import get_logger

log = get_logger("simulator.storage")

#: Stations whose records are taken before the fleet gets its turn, and the wall seconds that it then gets.
CHUNK = 20
PAUSE = 0.01
#: Wall seconds that another storage, or the end of the run, gives this one to write what waits.
FINISH_WITHIN = 5.0

OFF = PerformanceStorageConfig(enabled=False)


class PerformanceStorage:
    """Stores performance records as the configuration says; that may change while it runs.

    :param records: gives, each time, the records of the stations that have something new to tell.
    :param directory: where files with relative paths are.
    """

    def __init__(self, records: Callable[[], Iterator[Mapping[str, Any]]], directory: Path) -> None:
        self._records = records
        self._directory = directory
        self._settings = OFF
        self._writer: RecordWriter | None = None
        self._changed = trio.Event()
        self._changing = trio.Lock()

    @property
    def settings(self) -> PerformanceStorageConfig:
        """What holds now."""
        return self._settings

    @property
    def totals(self) -> Totals:
        """What became of the records since the present storage is used."""
        return Totals(0, 0, 0) if self._writer is None else self._writer.totals

    async def use(self, settings: PerformanceStorageConfig) -> None:
        """Store as ``settings`` say from now on; what waits for the storage used until now is written there first.

        A database that cannot be reached is no error: records wait until it can be. Those that wait for the storage
        used until now, and cannot be written there, go to the new one.

        :raises Unusable: they cannot be used; then everything stays as it was.
        """
        async with self._changing:
            if settings == self._settings:
                return
            store = make_store(settings, self._directory)
            if store is not None:
                try:
                    await trio.to_thread.run_sync(store.load)
                except Unusable as error:
                    raise Unusable(f"performanceStorage.uri: {error}") from None
            where = "" if store is None else show_storage(settings, self._directory)
            waiting = await self._finish(FINISH_WITHIN, where)
            self._settings = settings
            if store is not None:
                self._writer = RecordWriter(store, where, waiting=waiting)
                log.info("performance records go to %s, every %s s", where, settings.interval)
            self._changed.set()
            self._changed = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take records every ``interval`` seconds until cancelled; :meth:`close` then takes the last ones."""
        task_status.started()
        while True:
            changed = self._changed
            with trio.move_on_after(self._settings.interval if self._writer is not None else float("inf")):
                await changed.wait()
                continue  # the interval begins anew
            await self._take(PAUSE)

    async def close(self, within: float) -> None:
        """Write what stations have told since, and all that waits, for at most so many wall seconds.

        A database that cannot be reached gets a last attempt, not all of that time.
        """
        async with self._changing:
            await self._finish(within)
            self._settings = OFF

    async def _finish(self, within: float, heir: str = "") -> list[Record]:
        """End the writer; returns what the ``heir``, if there is one, is to store instead."""
        writer, deadline = self._writer, trio.current_time() + within
        if writer is None:
            return []
        with trio.move_on_at(deadline):
            await self._take(0)
        self._writer = None
        left = max(0.0, deadline - trio.current_time())
        if heir:
            return await trio.to_thread.run_sync(writer.hand_over, left, heir, abandon_on_cancel=True)
        await trio.to_thread.run_sync(partial(writer.close, left, hopeful=False), abandon_on_cancel=True)
        return []

    async def _take(self, pause: float) -> None:
        """Hand new records to the writer, a few stations at a time with so many wall seconds between."""
        writer, records = self._writer, self._records()
        while writer is not None and (chunk := list(islice(records, CHUNK))):
            for record in chunk:
                writer.put(record)
            await trio.sleep(pause)
            if writer is not self._writer:
                return  # what is left is told to the next one


def make_store(settings: PerformanceStorageConfig, directory: Path) -> Store | None:
    """The store that ``settings`` name; None where nothing is to be stored."""
    if not settings.enabled or settings.type == "none":
        return None
    if settings.type == "jsonfile":
        return JsonFile(file_of(settings, directory))
    if settings.type == "mongodb":
        return MongoStore(settings.uri)
    return SqlStore(settings, directory)


__all__ = ["PerformanceStorage", "Unusable", "make_store"]
