"""The transaction journal of one process: a file that every step of every transaction is appended to.

Records are handed to the operating system before their messages leave, on the calling task, for a hop to a thread would
cost more: each in one ``os.write`` or, where the outbox holds messages back, all of a pass over many stations in one.
What the system has taken survives the end of the process, also ``kill -9``; a task of the root nursery brings it to the
disk at most once a second, readings every five, which is what a failure of the whole machine can take.

The files are numbered. At the start, and whenever the file has grown too large, a new one begins with what is left of
each station and the old ones are deleted. That happens station by station while the fleet goes on: the files are read
one after the other, and a station's line in the new one replaces all that came before.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic

import trio

from simulator.outbox import Outbox
from simulator.storage.journal_lines import (
    NOBODY,
    STATION_DIGITS,
    JournalReader,
    Kinds,
    P,
    instant_of,
    json_of,
    line_of,
    station_mark,
)
from simulator.telemetry.log import get_logger

log = get_logger("simulator.storage")

#: Wall seconds between two times that what was written is brought to the disk. Where it is nothing but readings, which
#: a fleet under load makes by the thousands, it is longer: else the disk costs as much as all the rest of their way.
SYNC_EVERY = 1.0
SYNC_READINGS_EVERY = 5.0
#: Wall seconds that records which may come later have for it: the readings that were answered meanwhile are told again
#: after a kill, which does no harm.
LATER = 3.0
#: Wall seconds before the next attempt to write after one has failed.
RETRY_AFTER = 30.0
#: Bytes of the file that make it worth a new one, and how often larger than its beginning it must have grown.
LARGE = 16 * 2**20
GROWTH = 4

#: Stations that are written out before others get their turn.
BATCH = 50

_ENDING = ".journal"
_STALE = ".stale"
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


class FileJournal(Generic[P]):
    """The journal in a folder of the data directory. First :meth:`read`, then :meth:`open`, then stations join."""

    def __init__(self, folder: Path, kinds: Kinds[P]) -> None:
        self._folder = folder
        self._kinds = kinds
        self._now: Callable[[], float] = lambda: 0.0
        #: The last instant that an earlier run has written, in virtual POSIX seconds; 0: none.
        self.latest = 0.0
        #: What an earlier run left of stations that have not joined.
        self._absent: dict[str, P] = {}
        self._members: dict[str, Callable[[], P]] = {}
        self._file: int | None = None
        self._failed = False
        self._size = 0
        self._large = LARGE
        self._line = 0
        #: Records that the operating system does not have yet: of whom, and their JSON.
        self._records: list[tuple[str, bytes]] = []
        #: Who makes the records that may come later, by hashId.
        self._later: dict[str, Callable[[], Any]] = {}
        #: When they are asked, on trio's clock.
        self._late_at = 0.0
        #: Whether something else than readings waits for the disk, and when they themselves have waited long enough.
        self._urgent = False
        self._readings_at = 0.0
        self._outbox: Outbox | None = None
        self._written = trio.Event()

    # -- start and end -----------------------------------------------------------------------------------------------

    def read(self) -> None:
        """Learn what earlier runs have left. Blocks: run it in a thread. What cannot be read is told and left out."""
        reader = JournalReader(self._kinds)
        for file in self._files():
            try:
                reader.read(file.read_bytes())
            except OSError as error:
                log.warning("%s: cannot be read (%s): its transactions are forgotten", file, error.strerror or error)
        reader.finish()
        if reader.damaged:
            log.warning(
                "%s: the transaction journal is damaged in %s place(s): what stood there is lost, the rest is used",
                self._folder,
                reader.damaged,
            )
        if any(self._folder.glob(f"*{_STALE}")):
            log.warning(
                "%s: the journal of an earlier run broke off while the run went on: it is not used, and transactions "
                "that were running at its end may be open at the central system",
                self._folder,
            )
        self._absent = {mark: past for mark, past in reader.stations.items() if not past.empty}
        self.latest = reader.latest
        self._line = reader.number or 0  # the files are read as one

    def open(self, now: Callable[[], float], outbox: Outbox | None = None) -> None:
        """Begin this run's file.

        :param now: the process's virtual time.
        :param outbox: holds messages back; the records of a pass are then written together, before its messages leave.
        """
        self._now = now
        self._outbox = outbox
        if outbox is not None:
            outbox.before_frames(self._flush)
        self._begin_file()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Bring what is written to the disk, and keep the file small, until cancelled.

        Starting it means that all stations of the start have joined: what earlier runs left is then copied once.
        """
        task_status.started()
        with contextlib.suppress(OSError):
            await self._copy_what_is_left()
        while True:
            if self._failed:
                await trio.sleep(RETRY_AFTER)
                await self._try_again()
                continue
            await self._written.wait()
            await trio.sleep(SYNC_EVERY)
            self._written = trio.Event()
            if self._later:
                if trio.current_time() < self._late_at:
                    self._written.set()
                else:
                    self._ask_for_late()
            if self._urgent or trio.current_time() >= self._readings_at:
                await self._bring_to_disk()
            else:
                self._written.set()
            if self._size > self._large:
                self._begin_file()
                with contextlib.suppress(OSError):
                    await self._copy_what_is_left()

    def close(self) -> None:
        """The run has ended. Nothing is written any more."""
        self._ask_for_late()
        if self._outbox is not None:
            self._outbox.before_frames(None)
        self._append(NOBODY, self._kinds.past())  # keeps the time
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                _sync(file)
            os.close(file)

    # -- stations ----------------------------------------------------------------------------------------------------

    def join(self, hash_id: str, whole: Callable[[], P]) -> P | None:
        """Take a station in; returns what an earlier run left of it."""
        mark = station_mark(hash_id)
        self._members[mark] = whole
        return self._absent.pop(mark, None)

    def leave(self, hash_id: str) -> None:
        """The station is no more in this process; what is left of it waits for its return."""
        mark = station_mark(hash_id)
        make = self._later.pop(hash_id, None)
        if make is not None and (record := make()) is not None:
            self._append(mark, record)
        whole = self._members.pop(mark, None)
        if whole is not None:
            self._absent[mark] = whole()

    def rename(self, before: str, after: str) -> None:
        """A station that has left will come back under another hashId."""
        past = self._absent.pop(station_mark(before), None)
        if past is not None and not past.empty:
            self._absent[station_mark(after)] = past
            self._append(station_mark(after), past)
            self._append(station_mark(before), self._kinds.past())

    def forget(self, hash_id: str) -> None:
        """The station will not come back."""
        mark = station_mark(hash_id)
        self._members.pop(mark, None)
        self._absent.pop(mark, None)
        self._later.pop(hash_id, None)
        self._append(mark, self._kinds.past())

    def write(self, hash_id: str, record: Any, *, reading: bool = False) -> None:
        """Store a record: at once or, while the outbox holds messages back, before they leave.

        :param reading: it tells what a meter showed and nothing else.
        """
        if self._file is not None:
            if not reading:
                self._urgent = True
            self._records.append((hash_id[:STATION_DIGITS], json_of(record)))
            if self._outbox is None or not self._outbox.held:
                self._flush()

    def write_later(self, hash_id: str, record: Callable[[], Any]) -> None:
        """Ask for a record in :data:`LATER` or a little more, and store it unless there is none any more."""
        if not self._later:
            self._late_at = trio.current_time() + LATER
            self._written.set()
        self._later[hash_id] = record

    def _append(self, mark: str, record: Any) -> None:
        if self._file is None:
            return
        self._urgent = True
        self._records.append((mark, json_of(record)))
        if self._outbox is None or not self._outbox.held:
            self._flush()

    def _flush(self) -> None:
        """Hand what is waiting to the operating system, in one write."""
        if self._file is None or not self._records:
            return
        records, self._records = self._records, []
        instant, number = instant_of(self._now()), self._line
        self._line += len(records)
        lines = b"".join(
            [line_of(mark.encode(), count, instant, json) for count, (mark, json) in enumerate(records, number + 1)]
        )
        self._size += len(lines)
        try:
            if os.write(self._file, lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._fail(error)
        else:
            if not self._written.is_set():
                self._written.set()

    def _ask_for_late(self) -> None:
        """Store what was to be written later, where it has not come with another record."""
        late, self._later = self._later, {}
        for hash_id, make in late.items():
            if (record := make()) is not None and self._file is not None:
                self._records.append((station_mark(hash_id), json_of(record)))
        self._flush()

    # -- files -------------------------------------------------------------------------------------------------------

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_ENDING}"))

    def _begin_file(self) -> None:
        """Go on in a new file; the old ones stay until what is left of them has been copied."""
        latest = max((int(file.stem) for file in self._files() if file.stem.isdecimal()), default=0)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = os.open(self._folder / f"{latest + 1:08d}{_ENDING}", flags, 0o600)
        except OSError as error:
            self._fail(error)
            return
        self._flush()
        if self._file is not None:
            os.close(self._file)
        self._file, self._size = file, 0
        self._append(NOBODY, self._kinds.past())  # keeps the time

    async def _copy_what_is_left(self) -> None:
        """Write what is left of every station to the present file, and delete the older ones.

        :raises OSError: that failed; the user has been told, and nothing is deleted.
        """
        number = 0
        for mark in [*self._members, *self._absent]:
            whole = self._members.get(mark)
            past = whole() if whole is not None else self._absent.get(mark)
            if past is not None and not past.empty:
                self._append(mark, past)
                number += 1
                if number % BATCH == 0:
                    await trio.lowlevel.checkpoint()
        self._large = max(LARGE, self._size * GROWTH)
        await self._bring_to_disk()
        if self._file is None:
            raise OSError(errno.EIO, "the transaction journal cannot be written")
        for file in [*self._files()[:-1], *self._folder.glob(f"*{_STALE}")]:
            with contextlib.suppress(OSError):
                file.unlink()

    async def _bring_to_disk(self) -> None:
        self._flush()
        self._urgent = False
        self._readings_at = trio.current_time() + SYNC_READINGS_EVERY
        if self._file is not None:
            try:
                await trio.to_thread.run_sync(_sync, self._file)
            except OSError as error:
                self._fail(error)

    # -- trouble -----------------------------------------------------------------------------------------------------

    def _fail(self, error: OSError) -> None:
        """Write no more for now. What is on the disk is about to be out of date: it must not be used as it is."""
        if not self._failed:
            log.warning(
                "%s: the transaction journal cannot be written (%s): the fleet goes on, but transactions do not "
                "survive a crash of the simulator until that is mended",
                self._folder,
                error.strerror or error,
            )
        self._failed = True
        self._records.clear()
        self._written.set()
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None
        for file in self._files():
            with contextlib.suppress(OSError):
                file.replace(file.with_suffix(_STALE))

    async def _try_again(self) -> None:
        """After a failure: begin anew with what the stations know."""
        self._begin_file()
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            await self._copy_what_is_left()
            self._failed = False
            log.info("%s: the transaction journal is written again", self._folder)
