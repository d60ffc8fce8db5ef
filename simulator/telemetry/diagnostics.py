"""What the process knows of one station: its lines of the log files, and its frames on the wire if they are kept."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import trio

from .redaction import redact_text
from .wire_log import WireLog

#: Bytes of log files that one request looks through, the newest; and lines of them that a station gets.
MOST_READ = 32 * 1024 * 1024
MOST_LINES = 50_000
#: Frames that a station gets, the newest.
MOST_FRAMES = 20_000
#: Requests whose files are read at one time: a fleet may be asked all at once, and has better use for its threads.
READERS = 2

_LOCAL = re.compile(r"\b(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})\.\d{3}\b")
_UTC = re.compile(r"\b(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\.\d{3}Z")


class ProcessDiagnostics:
    """Finds what belongs to a station.

    :param log_file: where the log goes, as configured; the dated files of its rotation are found beside it.
    :param wire: the frames of the stations; None: nobody keeps them.
    :param real_time: the POSIX seconds of the machine's clock, by which logs are dated, at an instant of virtual time.
    """

    def __init__(
        self, log_file: Path | None, *, wire: WireLog | None = None, real_time: Callable[[float], float]
    ) -> None:
        #: May be another one after the configuration has changed.
        self.log_file = log_file
        self.wire = wire
        self._real_time = real_time
        self._readers = trio.CapacityLimiter(READERS)

    async def files(
        self, hash_id: str, station_id: str, since: float | None, until: float | None
    ) -> Mapping[str, bytes]:
        """``station.log`` and ``frames.log``, each only if there is such a source; secrets are masked.

        Read in a thread; on cancel the thread is left to end by itself.
        """
        begin = float("-inf") if since is None else self._real_time(since)
        end = float("inf") if until is None else self._real_time(until)
        found: dict[str, bytes] = {}
        if self.wire is not None:
            found["frames.log"] = _text(self._frames(self.wire, hash_id, begin, end))
        if self.log_file is not None:
            read = partial(_log_lines, self.log_file, station_id, begin, end)
            lines = await trio.to_thread.run_sync(read, limiter=self._readers, abandon_on_cancel=True)
            found["station.log"] = _text(lines)
        return found

    @staticmethod
    def _frames(wire: WireLog, hash_id: str, begin: float, end: float) -> Iterator[str]:
        for frame in wire.read(hash_id, limit=MOST_FRAMES):
            if begin <= frame.time <= end:
                moment = datetime.fromtimestamp(frame.time, UTC).isoformat(timespec="milliseconds")
                yield f"{moment} {frame.direction} {frame.text}"


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _log_lines(log_file: Path, station_id: str, begin: float, end: float) -> list[str]:
    """The station's lines in the order of the files, without those outside the window."""
    # The id stands alone, whatever the format: between blanks, or as a JSON text.
    mine = re.compile(rf"(?<![\w.-]){re.escape(station_id)}(?![\w-]|\.\w)")
    kept: list[str] = []
    for record in _records(_newest_files(log_file)):
        text = "\n".join(record)
        if mine.search(text):
            moment = _moment(text)
            if moment is None or begin - 1 < moment <= end:  # known to the second
                kept.append(redact_text(text))
    return kept[-MOST_LINES:]


def _records(lines: Iterable[str]) -> Iterator[list[str]]:
    """Log lines, each with what belongs to it: the lines of a traceback, the members of a pretty-printed one."""
    record: list[str] = []
    for line in lines:
        if record and (line.startswith((" ", "\t")) or line == "}"):
            record.append(line)
        else:
            if record:
                yield record
            record = [line]
    if record:
        yield record


def _newest_files(log_file: Path) -> Iterator[str]:
    """The lines of the file and its rotated brothers, oldest first, the newest :data:`MOST_READ` bytes of them."""
    name = re.compile(rf"{re.escape(log_file.stem)}(-\d{{4}}-\d{{2}}-\d{{2}})?{re.escape(log_file.suffix)}(\.\d+)?")
    try:
        files = [path for path in log_file.parent.iterdir() if name.fullmatch(path.name) and path.is_file()]
        dated = sorted((path.stat().st_mtime, path) for path in files)
    except OSError:
        return
    left, chosen = MOST_READ, []
    for _, path in reversed(dated):
        if left <= 0:
            break
        chosen.append((path, left))
        left -= path.stat().st_size
    for path, most in reversed(chosen):
        yield from _end_of(path, most)


def _end_of(path: Path, most: int) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most))
            if size > most:
                file.readline()  # the rest of a line
            for line in file:
                yield line.decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return


def _moment(text: str) -> float | None:
    """When a line was written, to the second; None where its format does not say."""
    if match := _UTC.search(text):
        return datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()
    if match := _LOCAL.search(text):
        return time.mktime(time.strptime(match[1], "%Y-%m-%d %H:%M:%S"))
    return None
