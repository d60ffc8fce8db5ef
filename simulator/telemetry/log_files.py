"""Where log lines go: files with daily rotation, and a stream. Used by the writer thread alone, and may block it.

No output ever raises: a full disk or a folder that is not writable costs the lines, and one warning.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol, TextIO

# A file that could not be written is tried again after so many seconds.
_RETRY_AFTER = 10.0


class Output(Protocol):
    """Takes whole lines."""

    def write(self, text: str, lines: int) -> None:
        """Write ``lines`` lines, each ended by a line feed."""

    def close(self) -> None:
        """Give the file or stream back."""


class FileOutput:
    """A log file.

    :param path: the file; with ``rotate`` the local date is put before its suffix: ``combined-2026-11-22.log``.
    :param rotate: begin a new file each day; never for what is under ``/dev``.
    :param max_files: with ``rotate``, how many files of this log are kept; 0: all of them.
    :param max_days: with ``rotate``, of how many days files are kept, today's among them; 0: of all.
    :param max_size: with ``rotate``, begin another file of the day (``combined-2026-11-22.log.1``) past so many bytes.
    :param now: POSIX seconds.
    :param complain: told once, in one line, when lines are lost.
    :param what: the file's kind, for that line.
    :param gap: the line that tells where so many are missing.
    """

    def __init__(
        self,
        path: Path,
        *,
        rotate: bool,
        max_files: int,
        max_size: int | None,
        now: Callable[[], float],
        complain: Callable[[str], None],
        max_days: int = 0,
        what: str = "log file",
        gap: Callable[[int], str] = lambda lines: f"({lines} log lines could not be written here)",
    ) -> None:
        self._path = path
        self._rotate = rotate and not is_device(path)
        self._max_files = max_files
        self._max_days = max_days
        self._max_size = max_size
        self._now = now
        self._complain = complain
        self._what = what
        self._gap = gap
        self._complained = False
        self._retry_at = 0.0
        self._lost = 0
        self._file: io.FileIO | None = None
        self._day = ""
        self._size = 0
        name = re.escape(path.stem) + r"-(\d{4}-\d{2}-\d{2})" + re.escape(path.suffix) + r"(?:\.(\d+))?"
        self._rotated_name = re.compile(name)

    @property
    def path(self) -> Path:
        """The file that a line written now would go to, unless it is full."""
        return self._dated_path(self._today()) if self._rotate else self._path

    def write(self, text: str, lines: int) -> None:
        """Write whole lines to the file of the day. Lines that cannot be written are lost, and their number is told."""
        if self._retry_at and time.monotonic() < self._retry_at:
            self._lost += lines
            return
        if self._lost:
            text = f"{self._gap(self._lost)}\n{text}"
        data = text.encode("utf-8", "backslashreplace")
        try:
            self._write_all(self._file_for(len(data)), data)
        except (OSError, ValueError) as error:
            self._fail(error, lines)
        else:
            self._lost = 0
            self._retry_at = 0.0

    def open(self) -> None:
        """Create the file now, so that a place that cannot be written is known from the start."""
        try:
            self._file_for(0)
        except (OSError, ValueError) as error:
            self._fail(error, 0)

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    # -- writing -------------------------------------------------------------------------------------------------------

    def _write_all(self, file: io.FileIO, data: bytes) -> None:
        view = memoryview(data)
        while view:
            # None: a pipe that somebody made non-blocking is full. This thread has nothing better to do than wait.
            written: int | None = file.write(view)
            if written is None:
                time.sleep(0.01)
                continue
            self._size += written
            view = view[written:]

    def _fail(self, error: Exception, lines: int) -> None:
        self.close()
        self._lost += lines
        self._retry_at = time.monotonic() + _RETRY_AFTER
        if not self._complained:
            self._complained = True
            reason = getattr(error, "strerror", None) or str(error)
            self._complain(
                f"cannot write the {self._what} {self.path}: {reason}; its lines are lost until it can be written, "
                "make room there or name another place"
            )

    # -- which file ----------------------------------------------------------------------------------------------------

    def _file_for(self, size: int) -> io.FileIO:
        day = self._today() if self._rotate else ""
        full = self._rotate and self._max_size is not None and 0 < self._size > self._max_size - size
        if self._file is not None and day == self._day and not full:
            return self._file
        self.close()
        path = self._fitting_path(day, size) if self._rotate else self._path
        self._file = _open(path)
        self._day = day
        self._size = os.fstat(self._file.fileno()).st_size if self._rotate else 0
        if self._rotate:
            self._delete_oldest(keep=path)
        return self._file

    def _today(self) -> str:
        return time.strftime("%Y-%m-%d", time.localtime(self._now()))

    def _first_day(self) -> str:
        """The first of the days whose files are kept; empty: all are."""
        if self._max_days <= 0:
            return ""
        today = date.fromtimestamp(self._now())
        return (today - min(timedelta(self._max_days - 1), today - date.min)).isoformat()

    def _dated_path(self, day: str) -> Path:
        return self._path.with_name(f"{self._path.stem}-{day}{self._path.suffix}")

    def _fitting_path(self, day: str, size: int) -> Path:
        """The last file of the day if ``size`` more bytes fit, else the next one."""
        first = self._dated_path(day)
        if self._max_size is None:
            return first
        last = max((number for of, number, _ in self._rotated() if of == day), default=0)
        path = first.with_name(f"{first.name}.{last}") if last else first
        taken = path.stat().st_size if path.exists() else 0
        if 0 < taken > self._max_size - size:
            path = first.with_name(f"{first.name}.{last + 1}")
        return path

    def _rotated(self) -> list[tuple[str, int, Path]]:
        """The files of this log with their day and number, oldest first."""
        with contextlib.suppress(OSError):
            return sorted(
                (match[1], int(match[2] or 0), found)
                for found in self._path.parent.iterdir()
                if (match := self._rotated_name.fullmatch(found.name))
            )
        return []

    def _delete_oldest(self, keep: Path) -> None:
        others = [(day, found) for day, _, found in self._rotated() if found != keep]
        too_many = max(0, len(others) + 1 - self._max_files) if self._max_files > 0 else 0
        first_day = self._first_day()
        for number, (day, found) in enumerate(others):
            if number >= too_many and day >= first_day:
                break
            with contextlib.suppress(OSError):
                found.unlink()


class StreamOutput:
    """The console. Writes past the stream's buffer where it can, unless ``through`` asks for the stream itself.

    A thread that is stuck in a full pipe while it holds the lock of ``sys.stderr`` would stop every other writer, and
    the interpreter at its end.
    """

    def __init__(self, stream: TextIO, *, through: bool = False) -> None:
        self._stream = stream
        self._file: io.FileIO | None = None
        if not through:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                self._file = io.FileIO(stream.fileno(), "wb", closefd=False)

    def write(self, text: str, lines: int) -> None:
        """Write whole lines; what a closed or broken stream does not take is lost."""
        with contextlib.suppress(OSError, ValueError):
            if self._file is None:
                self._stream.write(text)
                self._stream.flush()
                return
            view = memoryview(text.encode("utf-8", "backslashreplace"))
            while view:
                written: int | None = self._file.write(view)
                if written is None:
                    time.sleep(0.01)
                    continue
                view = view[written:]

    def close(self) -> None:
        """The stream is its owner's to close."""


def is_device(path: Path) -> bool:
    """Whether the path is under ``/dev``: no file to rotate, and nothing to create beside it."""
    return path.is_absolute() and path.parts[:2] == ("/", "dev")


def _open(path: Path) -> io.FileIO:
    standard = {"/dev/stdout": 1, "/dev/stderr": 2}.get(str(path))
    if standard is not None and sys.platform != "win32":
        # Opening these by name fails where they are sockets (systemd), and would cut a file that is not appended to.
        return io.FileIO(os.dup(standard), "wb")
    if not is_device(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return io.FileIO(path, "ab")
