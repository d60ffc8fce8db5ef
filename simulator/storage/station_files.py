"""The memory of stations as files: ``configurations/<hashId>.json``.

The members ``stationInfo``, ``configurationKey`` and ``configurationHash`` are those of the e-mobility charging
stations simulator, whose files are read as well. The hash, SHA-384 over the compact JSON of all other members, tells
whether anything is new.

One task writes, in a thread and in batches; a file is written complete or not at all (under another name, brought to
the disk, renamed). What is wanted within a second goes first and without pauses. Where that is more than a few files at
once they are written, and so survive the end of the process, but the system brings them to the disk in its own time: to
wait for that takes milliseconds for each.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import trio

from simulator.telemetry.log import get_logger

log = get_logger("simulator.storage")

#: The version of the files that this program writes. Files without one are that simulator's.
VERSION = 1

#: Changes that are wanted within so many wall seconds are urgent.
URGENT = 1.0
#: Files in one batch, and wall seconds from one batch to the next where nothing is urgent.
BATCH = 25
PAUSE = 0.1
#: Urgent files in one batch, and how many of them are brought to the disk one by one.
URGENT_BATCH = 100
URGENT_SYNCED = 10
#: At the end of a run more files than this are not brought to the disk one by one: that takes milliseconds each.
FEW = 200
#: Wall seconds before the next attempt after a file could not be written.
RETRY_AFTER = 30.0

#: What is told to :attr:`StationFiles.timed`: the names that performance records have for it.
READ = "charging station configuration read"
WRITE = "charging station configuration write"

_HASH = "configurationHash"
_OURS = frozenset({"version", "stationInfo", "configurationKey", "memory", _HASH})


class _Info(msgspec.Struct, frozen=True):
    station_id: str = msgspec.field(name="chargingStationId")
    template_name: str = msgspec.field(name="templateName")


class _Identity(msgspec.Struct, frozen=True):
    """Whose a file is. Files of others have no version: they stay as they are."""

    version: int
    info: _Info = msgspec.field(name="stationInfo")


_decode_identity = msgspec.json.Decoder(_Identity).decode


class StationFiles:
    """The files of one folder. First :meth:`look`, then :meth:`run` beside the fleet, :meth:`finish` after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: hashIds that have a file.
        self._present: set[str] = set()
        self._recalled: dict[str, dict[str, Any]] = {}
        #: Members of files that mean nothing to this program, and the hash of what was last read or written.
        self._foreign: dict[str, dict[str, Any]] = {}
        self._hashes: dict[str, bytes] = {}
        self._members: dict[str, Callable[[], Mapping[str, Any]]] = {}
        #: Files of a newer program: not ours to write.
        self._untouchable: set[str] = set()
        #: Whether a file can wait, and when it is due.
        self._due: dict[str, tuple[bool, float]] = {}
        #: (when, whose), the urgent ones apart. Entries that :attr:`_due` knows otherwise are out of date.
        self._urgent: list[tuple[float, str]] = []
        self._later: list[tuple[float, str]] = []
        self._wake = trio.Event()
        self._failing = False
        #: Told how long reading and writing a station's file took: (hashId, what was done, seconds).
        self.timed: Callable[[str, str, float], None] = lambda hash_id, name, seconds: None

    # -- reading -----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """See which files there are. Blocks for the time of reading one folder."""
        with contextlib.suppress(OSError):
            self._present = {name[:-5] for name in os.listdir(self._folder) if name.endswith(".json")}

    def inherit(self, hash_id: str, other: Callable[[], str]) -> None:
        """Read another file where the station has none; it is written under its own name then, and the other stays."""
        if self._present and hash_id not in self._present and (name := other()) in self._present:
            self._recalled[hash_id] = self._read(name)
            if name in self._foreign:
                self._foreign[hash_id] = self._foreign.pop(name)

    def recall(self, hash_id: str) -> Mapping[str, Any]:
        """The content of a station's file; empty where there is none that can be read, which the user is told."""
        if hash_id not in self._present and hash_id not in self._recalled:
            return {}
        if hash_id not in self._recalled:
            begun = time.perf_counter()
            self._recalled[hash_id] = self._read(hash_id)
            self.timed(hash_id, READ, time.perf_counter() - begun)
        return self._recalled[hash_id]

    def _read(self, hash_id: str) -> dict[str, Any]:
        path = self._path(hash_id)
        try:
            content = msgspec.json.decode(path.read_bytes())
            if not isinstance(content, dict):
                raise ValueError("it is no JSON object")
        except OSError as error:
            log.warning("%s: cannot be read (%s): the station starts without it", path, error.strerror or error)
            return {}
        except (ValueError, msgspec.DecodeError) as error:
            aside = path.with_suffix(".json.damaged")
            with contextlib.suppress(OSError):
                path.replace(aside)
            log.warning("%s: is damaged (%s): the station starts without it, and it is kept as %s", path, error, aside)
            return {}
        version = content.get("version", 0)
        if not isinstance(version, int) or version > VERSION:
            self._untouchable.add(hash_id)
            log.warning("%s: is of a newer version of this program: the station neither reads nor writes it", path)
            return {}
        foreign = {name: value for name, value in content.items() if name not in _OURS}
        if foreign:
            self._foreign[hash_id] = foreign
        return content

    def strays(self, wanted: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Files of stations that have another hashId now, as the hashId of the file by that of the station.

        A station that is told by its name and its template is the same one, also where its template was edited between
        two runs so that its hashId is another. Only stations without a file are looked for, in files that no station
        has; the newest counts. Blocks.

        :param wanted: name of the station and of its template, by hashId.
        """
        missing = {identity: hash_id for hash_id, identity in wanted.items() if hash_id not in self._present}
        found: dict[str, tuple[int, str]] = {}
        for name in self._present - wanted.keys() if missing else ():
            path = self._path(name)
            with contextlib.suppress(OSError, msgspec.DecodeError):
                info = _decode_identity(path.read_bytes()).info
                if (station := missing.get((info.station_id, info.template_name))) is not None:
                    found[station] = max(found.get(station, (0, "")), (path.stat().st_mtime_ns, name))
        return {station: name for station, (_, name) in found.items()}

    # -- stations ----------------------------------------------------------------------------------------------------

    def join(self, hash_id: str, whole: Callable[[], Mapping[str, Any]]) -> None:
        """Take a station in. ``whole`` gives all that is to be kept."""
        self._recalled.pop(hash_id, None)
        if hash_id not in self._untouchable:
            self._members[hash_id] = whole

    def leave(self, hash_id: str) -> None:
        """The station is no more in this process: its file gets its last version."""
        whole = self._members.pop(hash_id, None)
        if self._due.pop(hash_id, None) is not None and whole is not None:
            self._save([(hash_id, whole())], sync=False)

    def rename(self, before: str, after: str) -> None:
        """A station that has left will come back under another hashId: its file goes there."""
        if before in self._present:
            with contextlib.suppress(OSError):
                os.replace(self._path(before), self._path(after))
                self._present.add(after)
        if before in self._foreign:
            self._foreign[after] = self._foreign.pop(before)
        self._hashes.pop(after, None)
        self._hashes.pop(before, None)
        self._present.discard(before)

    def forget(self, hash_id: str) -> None:
        """The station will not come back: its file is deleted."""
        self._members.pop(hash_id, None)
        self._due.pop(hash_id, None)
        self._present.discard(hash_id)
        self._hashes.pop(hash_id, None)
        with contextlib.suppress(OSError):
            self._path(hash_id).unlink(missing_ok=True)

    def changed(self, hash_id: str, within: float) -> None:
        """Write the station's file in so many wall seconds, with all that changes until then."""
        if hash_id not in self._members:
            return
        waits, due = within >= URGENT, trio.current_time() + within
        if (waits, due) < self._due.get(hash_id, (True, float("inf"))):
            self._due[hash_id] = waits, due
            heap = self._later if waits else self._urgent
            heapq.heappush(heap, (due, hash_id))
            if heap[0] == (due, hash_id):
                self._wake.set()

    # -- writing -----------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what is due until cancelled."""
        task_status.started()
        pause_until = 0.0
        while True:
            self._wake = trio.Event()
            now = trio.current_time()
            if batch := self._take_due(self._urgent, now, URGENT_BATCH):
                await self._write(batch, sync=len(batch) <= URGENT_SYNCED)
            elif now >= pause_until and (batch := self._take_due(self._later, now, BATCH)):
                await self._write(batch, sync=True)
                pause_until = trio.current_time() + PAUSE
            else:
                with trio.move_on_at(min(_first(self._urgent), max(pause_until, _first(self._later)))):
                    await self._wake.wait()

    async def finish(self, within: float) -> None:
        """Write everything that has changed, for at most so many wall seconds; the user is told what is left."""
        with trio.move_on_after(within):
            while batch := self._take_due(self._urgent, float("inf"), FEW) or self._take_due(
                self._later, float("inf"), FEW
            ):
                failing = self._failing
                await self._write(batch, sync=len(self._due) <= FEW)
                if failing and self._failing:
                    break
        if self._due:
            log.warning("%s: %s station(s) could not be written at the end", self._folder, len(self._due))

    def _take_due(self, heap: list[tuple[float, str]], until: float, most: int) -> list[str]:
        batch: list[str] = []
        while heap and heap[0][0] <= until and len(batch) < most:
            due, hash_id = heapq.heappop(heap)
            if self._due.get(hash_id) == (heap is self._later, due):
                del self._due[hash_id]
                batch.append(hash_id)
        return batch

    async def _write(self, batch: Sequence[str], *, sync: bool) -> None:
        members = [(hash_id, self._members[hash_id]) for hash_id in batch if hash_id in self._members]
        contents = [(hash_id, whole()) for hash_id, whole in members]
        took: dict[str, float] = {}
        failed = await trio.to_thread.run_sync(lambda: self._save(contents, sync=sync, took=took))
        for hash_id, seconds in took.items():
            self.timed(hash_id, WRITE, seconds)
        for hash_id in failed:
            self.changed(hash_id, RETRY_AFTER)

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _save(
        self, contents: Sequence[tuple[str, Mapping[str, Any]]], *, sync: bool, took: dict[str, float] | None = None
    ) -> list[str]:
        """Write files; returns whose could not be written. ``took`` gets the seconds of each that was."""
        failed: list[str] = []
        reason: OSError | None = None
        for hash_id, content in contents:
            digest, text = _document(content, self._foreign.get(hash_id, {}))
            if self._hashes.get(hash_id) == digest:
                continue
            begun = time.perf_counter()
            try:
                self._replace(hash_id, text, sync=sync)
            except OSError as error:
                failed.append(hash_id)
                reason = error
            else:
                self._hashes[hash_id] = digest
                self._present.add(hash_id)
                if took is not None:
                    took[hash_id] = time.perf_counter() - begun
        if reason is not None and not self._failing:
            log.warning(
                "%s: station files cannot be written (%s): the fleet goes on, and writes them when that is mended",
                self._folder,
                reason.strerror or reason,
            )
        elif self._failing and reason is None and contents:
            log.info("%s: station files are written again", self._folder)
        if contents:
            self._failing = reason is not None
        return failed

    def _replace(self, hash_id: str, text: bytes, *, sync: bool) -> None:
        path = self._path(hash_id)
        temporary = path.with_name(f".{hash_id}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        try:
            file = os.open(temporary, flags, 0o600)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = os.open(temporary, flags, 0o600)
        try:
            with open(file, "wb", buffering=0) as stream:
                view = memoryview(text)
                while view:
                    view = view[stream.write(view) :]
                if sync:
                    os.fsync(file)
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _path(self, hash_id: str) -> Path:
        return self._folder / f"{hash_id}.json"


def _first(heap: list[tuple[float, str]]) -> float:
    """When the first of the heap is due."""
    return heap[0][0] if heap else float("inf")


def _document(content: Mapping[str, Any], foreign: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The hash of a file's content, and its text."""
    members = {"version": VERSION, **content, **foreign}
    digest = hashlib.sha384(msgspec.json.encode(members))
    members[_HASH] = digest.hexdigest()
    return digest.digest(), msgspec.json.format(msgspec.json.encode(members), indent=2)
