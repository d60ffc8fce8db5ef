"""The OCPP wire in files: NDJSON, rotated, written by a thread of its own.

A station pays for a put on a queue. Masking, encoding and writing happen in the thread; where a disk does not keep up,
frames beyond :data:`MOST_WAITING` bytes are dropped, and the next line tells how many.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from simulator.events import EventBus, FrameReceived, FrameSent

from .batch_thread import BatchThread
from .log import get_logger
from .log_files import FileOutput
from .wire_records import Conversation, Direction, Selection, gap_record, make_record, to_line

log = get_logger("simulator.wire")

#: Bytes of frames that may wait for the disk.
MOST_WAITING = 64 * 1024 * 1024
# What an entry takes beside its text.
_ENTRY_BYTES = 250
# Bytes of one write: the lines of a large batch are not all in memory at one time.
_WRITE_BYTES = 1024 * 1024


class WireFileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the frames go, and which.

    ``file``: with ``rotate`` the date is put before its suffix. ``max_files``, ``max_days``, ``max_size``: as in
    :class:`simulator.telemetry.log_files.FileOutput`.
    """

    file: Path
    rotate: bool = True
    max_files: int = 7
    max_days: int = 0
    max_size: int | None = None
    selection: Selection = Selection()


class _Entry(msgspec.Struct, gc=False, frozen=True):
    time: float
    hash_id: str
    station_id: str
    direction: Direction
    text: str
    dropped: int


class WireFiles:
    """Writes every frame on the bus that is wanted, from now until :meth:`close`.

    :param now: POSIX seconds.
    :param complain: told once, in one line, when frames are lost.
    """

    def __init__(
        self,
        bus: EventBus,
        settings: WireFileSettings,
        *,
        now: Callable[[], float] = time.time,
        complain: Callable[[str], None] = log.warning,
    ) -> None:
        self._selection = settings.selection
        self._now = now
        self._complain = complain
        self._conversation = Conversation()
        self._wanted_stations: dict[str, bool] = {}
        # Each of them is written by one thread only, so that their difference needs no lock.
        self._bytes_put = self._bytes_taken = 0
        self._dropped = 0
        self.dropped = 0
        """Frames dropped so far."""
        self._output = FileOutput(
            settings.file,
            rotate=settings.rotate,
            max_files=settings.max_files,
            max_days=settings.max_days,
            max_size=settings.max_size,
            now=now,
            complain=complain,
            what="wire log",
            gap=lambda lines: to_line(gap_record(now(), lines)),
        )
        self._output.open()
        self._thread = BatchThread("wire log writer", self._write, self._output.close)
        self._unsubscribe = [bus.subscribe(FrameSent, self._on_sent), bus.subscribe(FrameReceived, self._on_received)]

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what came before is written; whether it was in time. Blocks the calling thread."""
        return self._thread.flush(timeout)

    def close(self, timeout: float = 2.0) -> bool:
        """Write what is queued, for at most ``timeout`` seconds, and end; whether all of it was written.

        Blocks the calling thread.
        """
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []
        return self._thread.close(timeout)

    # -- the stations' thread ------------------------------------------------------------------------------------------

    def _on_sent(self, event: FrameSent) -> None:
        self._put(event.hash_id, event.station_id, "sent", event.text)

    def _on_received(self, event: FrameReceived) -> None:
        self._put(event.hash_id, event.station_id, "received", event.text)

    def _put(self, hash_id: str, station_id: str, direction: Direction, text: str) -> None:
        wanted = self._wanted_stations.get(hash_id)
        if wanted is None:
            wanted = self._wanted_stations[hash_id] = self._selection.wants_station(station_id, hash_id)
        if not wanted:
            return
        size = _ENTRY_BYTES + sys.getsizeof(text)
        if self._bytes_put - self._bytes_taken + size > MOST_WAITING:
            if not self.dropped:
                self._complain(
                    "the wire log cannot be written as fast as frames come: some are missing there; "
                    "wireLog.stations and wireLog.actions keep fewer"
                )
            self._dropped += 1
            self.dropped += 1
            return
        dropped, self._dropped = self._dropped, 0
        self._bytes_put += size
        self._thread.put(_Entry(self._now(), hash_id, station_id, direction, text, dropped))

    # -- the writer's thread -------------------------------------------------------------------------------------------

    def _write(self, batch: list[_Entry]) -> None:
        lines: list[str] = []
        size = 0
        for entry in batch:
            line = self._line(entry)
            self._bytes_taken += _ENTRY_BYTES + sys.getsizeof(entry.text)
            if line is not None:
                lines.append(line)
                size += len(line)
            if size > _WRITE_BYTES:
                self._output.write("\n".join(lines) + "\n", len(lines))
                lines, size = [], 0
        if lines:
            self._output.write("\n".join(lines) + "\n", len(lines))

    def _line(self, entry: _Entry) -> str | None:
        kind, message_id, action = self._conversation.follow(entry.hash_id, entry.direction, entry.text)
        selection = self._selection
        if selection.direction is not None and entry.direction != selection.direction:
            return None
        if not selection.wants_action(action):
            return None
        try:
            return to_line(
                make_record(
                    entry.time,
                    entry.hash_id,
                    entry.station_id,
                    entry.direction,
                    kind,
                    message_id,
                    action,
                    entry.text,
                    entry.dropped,
                )
            )
        except Exception as error:  # a frame that cannot be told must not end the log of the others
            text = f"(a frame of {len(entry.text)} characters that cannot be told: {type(error).__name__})"
            told = (entry.time, entry.hash_id, entry.station_id, entry.direction, kind, None, None, text)
            return to_line(make_record(*told, entry.dropped))
