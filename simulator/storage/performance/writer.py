"""The one thread that writes performance records, and the bounded buffer before it."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from simulator.storage.performance.records import Record, Refused, Store, Unavailable
from simulator.telemetry.log import get_logger
from simulator.telemetry.redaction import redact_text

log = get_logger("simulator.storage")

#: Bytes of records that may wait for the store.
BUFFER = 64 * 1024 * 1024
#: Records and bytes of one batch: below what databases take in one statement by default.
BATCH = 200
BATCH_BYTES = 1024 * 1024
#: Wall seconds before the first attempt after a failure, and at most; each further one waits twice as long.
RETRY_AFTER = 1.0
RETRY_AT_MOST = 30.0
#: Wall seconds that an end gives at most to a store that is failing already: an attempt or two.
LAST_ATTEMPTS_WITHIN = 1.0
#: Wall seconds between two lines of the log that tell of records dropped.
TELL_EVERY = 60.0


class Totals(msgspec.Struct, frozen=True):
    """What became of the records: ``stored`` and ``dropped`` so far, ``waiting`` now."""

    stored: int
    waiting: int
    dropped: int


class RecordWriter:
    """Takes records without ever blocking who brings them, and writes them in batches.

    While the store cannot be written records wait in the buffer, and are written when it can be again. If the buffer
    is full the oldest are dropped: those that follow of the same station tell the same counts and more.

    :param store: ready to be opened; only the thread touches it from here on.
    :param where: the store's name for people.
    :param waiting: what another store was to get, oldest first.
    :param buffer: bytes of records that may wait.
    :param retry_after: wall seconds before the first attempt after a failure.
    """

    def __init__(
        self,
        store: Store,
        where: str,
        *,
        waiting: Sequence[Record] = (),
        buffer: int = BUFFER,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        self._store = store
        self._where = where
        self._buffer = buffer
        self._retry_after = retry_after
        #: Makes keys unique, and sorts them by time.
        self._run_id = f"{round(time.time() * 1000):012x}-{secrets.token_hex(4)}"
        self._brought = 0
        self._stored = self._dropped = 0
        self._waiting = deque(waiting)
        self._bytes = sum(record.size for record in waiting)
        #: Records at the head that the thread is writing: not to be dropped.
        self._taken = 0
        self._changed = threading.Condition()
        #: Since when the store cannot be written; on the monotonic clock.
        self._failed_at: float | None = None
        #: When to have ended, once that is wanted; likewise.
        self._deadline: float | None = None
        self._told_at = float("-inf")
        # A daemon: a database that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="performance records", daemon=True)
        self._thread.start()

    @property
    def totals(self) -> Totals:
        """What became of the records so far."""
        with self._changed:
            return Totals(self._stored, len(self._waiting), self._dropped)

    def put(self, record: Mapping[str, Any]) -> None:
        """Add one record of the statistics. Never waits for the store."""
        self._brought += 1
        made = Record.of(f"{self._run_id}-{self._brought:012d}", record)
        with self._changed:
            self._waiting.append(made)
            self._bytes += made.size
            dropped = self._make_room()
            self._changed.notify()
        if dropped and time.monotonic() - self._told_at >= TELL_EVERY:
            self._told_at = time.monotonic()
            log.warning(
                "performance records: the buffer is full: the oldest are dropped, %s so far, until %s can be written",
                self._dropped,
                self._where,
            )

    def _make_room(self) -> bool:
        dropped = False
        while self._bytes > self._buffer and len(self._waiting) > self._taken:
            gone = self._waiting[self._taken]
            del self._waiting[self._taken]
            self._bytes -= gone.size
            self._dropped += 1
            dropped = True
        return dropped

    def close(self, within: float, *, hopeful: bool = True) -> Totals:
        """Write what waits, for at most so many wall seconds, and end; tells the log what is lost.

        :param hopeful: give a store that has been failing as much time as one that works; False: it gets
            :data:`LAST_ATTEMPTS_WITHIN` at most.

        Blocks the calling thread. Returns what became of all records: those that still wait will never be stored.
        """
        self._end(within, hopeful=hopeful)
        totals = self.totals
        if totals.waiting or totals.dropped:
            log.warning(
                "performance records: %s stored in %s, %s not stored at the end, %s dropped before",
                *(totals.stored, self._where, totals.waiting, totals.dropped),
            )
        return totals

    def hand_over(self, within: float, to: str) -> list[Record]:
        """Write what waits, for at most so many wall seconds, and end; returns what another store, ``to``, is to get.

        A store that has been failing gets :data:`LAST_ATTEMPTS_WITHIN` at most. Blocks the calling thread.
        """
        self._end(within, hopeful=False)
        with self._changed:
            left = list(self._waiting)
        if left or self._dropped:
            log.warning(
                "performance records: %s stored in %s, %s go to %s instead, %s dropped before",
                *(self._stored, self._where, len(left), to, self._dropped),
            )
        return left

    def _end(self, within: float, *, hopeful: bool) -> None:
        with self._changed:
            if self._failed_at is not None and not hopeful:
                within = min(within, LAST_ATTEMPTS_WITHIN)
            if self._deadline is None:
                self._deadline = time.monotonic() + within
            self._changed.notify()
        # The thread watches the deadline itself; a driver that hangs does not.
        self._thread.join(within + 0.5)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        is_open = False
        pause = self._retry_after
        while self._await_records():
            fresh = not is_open
            try:
                if not is_open:
                    self._store.open()
                    is_open = True
                waited = len(self._waiting)
                self._write_batch()
            except Unavailable as error:
                self._store.close()
                is_open = False
                if not fresh:
                    continue  # a server lets go of connections that are idle: the next attempt has a new one
                if self._failed_at is None:
                    self._failed_at = time.monotonic()
                    self._tell_failure(error)
                self._rest(pause)
                pause = min(pause * 2, RETRY_AT_MOST)
            except Exception as error:
                # A fault of ours or of a driver's: as bad as an outage, and as little a reason to stop.
                log.exception("performance records: writing to %s failed", self._where, exc_info=error)
                self._store.close()
                is_open = False
                self._rest(pause)
                pause = min(pause * 2, RETRY_AT_MOST)
            else:
                pause = self._retry_after
                if self._failed_at is not None:
                    self._tell_recovery(time.monotonic() - self._failed_at, waited)
                    self._failed_at = None
        self._store.close()

    def _await_records(self) -> bool:
        """Wait for records; False when it is time to end."""
        with self._changed:
            self._taken = 0
            while not self._waiting and self._deadline is None:
                self._changed.wait()
            return bool(self._waiting) and (self._deadline is None or time.monotonic() < self._deadline)

    def _write_batch(self) -> None:
        with self._changed:
            batch: list[Record] = []
            size = 0
            for record in self._waiting:
                size += record.size
                if len(batch) == BATCH or (batch and size > BATCH_BYTES):
                    break
                batch.append(record)
            self._taken = len(batch)
        try:
            self._store.write(batch)
            stored = len(batch)
        except Refused:
            batch = batch[:1]
            stored = self._write_one(batch[0])
        with self._changed:
            for record in batch:
                self._waiting.popleft()
                self._bytes -= record.size
            self._taken = 0
            self._stored += stored
            self._dropped += len(batch) - stored

    def _write_one(self, record: Record) -> int:
        """Write the first record of a batch that was refused: it goes alone, or is dropped (0)."""
        try:
            self._store.write([record])
            return 1
        except Refused as error:
            log.warning(
                "performance records: %s refuses one of %s, which is dropped: %s",
                *(self._where, record.name, redact_text(str(error))),
            )
            return 0

    def _rest(self, seconds: float) -> None:
        """Pause; shorter where the end is wanted."""
        with self._changed:
            end = time.monotonic() + seconds
            while self._deadline is None and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
        if self._deadline is not None:
            time.sleep(max(0.0, min(0.2, seconds, self._deadline - time.monotonic())))

    def _tell_failure(self, error: Unavailable) -> None:
        log.warning(
            "performance records cannot be stored in %s (%s): up to %s MiB of them wait until they can",
            *(self._where, redact_text(str(error)), self._buffer // (1024 * 1024)),
        )

    def _tell_recovery(self, seconds: float, waited: int) -> None:
        log.info(
            "performance records are stored in %s again after %.0f s: %s had waited, %s were dropped",
            *(self._where, seconds, waited, self.totals.dropped),
        )
