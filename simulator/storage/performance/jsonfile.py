"""Performance records in a JSON file: an array with one record per line, bounded by rotation.

The file is a whole JSON document after each batch: the closing bracket is written over, and written again behind the
new records, in one piece. What a power failure tears off is cut away at the next start.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from simulator.storage.performance.files import file_trouble
from simulator.storage.performance.records import Record, Unavailable, Unusable
from simulator.telemetry.log import get_logger

log = get_logger("simulator.storage")

#: Bytes at which a file is put aside, and how many of those are kept besides the one that grows.
MAX_BYTES = 64 * 1024 * 1024
KEPT = 4

_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


class JsonFile:
    """``performanceRecords.json``, and ``performanceRecords.1.json`` (the latest put aside) to ``…4.json``."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._file: int | None = None
        #: Where the next record goes: behind the last one, over the closing bracket.
        self._end = 0
        self._empty = True

    def load(self) -> None:
        """Nothing is needed but a place. :raises Unusable: the file can never be written there."""
        if (trouble := file_trouble(self._path)) is not None:
            raise Unusable(trouble)

    def open(self) -> None:
        """Open or make the file; one that is no array of records is put aside. :raises Unavailable: it cannot be."""
        try:
            self._open()
        except OSError as error:
            self.close()
            raise Unavailable(error.strerror or str(error)) from None

    def write(self, records: Sequence[Record]) -> None:
        """Append records, and bring them to the disk. :raises Unavailable: none is stored."""
        try:
            if self._is_another():
                self.close()
                self._open()
            lines = [msgspec.json.encode(record.document()) for record in records]
            if not self._empty and self._end + sum(map(len, lines)) > self._max_bytes:
                self._rotate()
            self._append(lines)
        except OSError as error:
            raise Unavailable(error.strerror or str(error)) from None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                os.close(file)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, flags, 0o644)
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        content = self._path.read_bytes()
        end = _end_of(content)
        if end is None:
            self.close()
            aside = self._path.with_name(self._path.name + ".damaged")
            os.replace(self._path, aside)
            log.warning("%s: is no array of performance records: it is kept as %s", self._path, aside)
            self._file = os.open(self._path, flags, 0o644)
            end = 0
        if end == 0:
            self._begin()
        else:
            self._end, self._empty = end, content[:end].strip() == b"["

    def _begin(self) -> None:
        self._end, self._empty = 1, True
        self._put(0, b"[\n]\n")

    def _append(self, lines: Sequence[bytes]) -> None:
        text = (b"\n" if self._empty else b",\n") + b",\n".join(lines)
        self._put(self._end, text + b"\n]\n", keep=True)
        self._end += len(text)
        self._empty = False

    def _put(self, at: int, text: bytes, *, keep: bool = False) -> None:
        """Write to the end of the file. If that fails, the file is as it was."""
        assert self._file is not None
        try:
            os.lseek(self._file, at, os.SEEK_SET)
            view = memoryview(text)
            while view:
                view = view[os.write(self._file, view) :]
            os.ftruncate(self._file, at + len(text))
            os.fsync(self._file)
        except OSError:
            if keep:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, at)
                    os.lseek(self._file, at, os.SEEK_SET)
                    os.write(self._file, b"\n]\n")
            raise

    def _is_another(self) -> bool:
        """Whether the file was deleted, replaced or changed by somebody else."""
        assert self._file is not None
        mine = os.fstat(self._file)
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(mine, there) or not self._end < mine.st_size <= self._end + 3

    def _rotate(self) -> None:
        self.close()
        names = [self._path, *(self._aside(number) for number in range(1, self._kept + 1))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            with contextlib.suppress(FileNotFoundError):
                os.replace(newer, older)
        self._open()

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.stem}.{number}{self._path.suffix}")


def _end_of(content: bytes) -> int | None:
    """Where the next record goes: 0 in an empty file; None where the content is no array."""
    if not content.strip():
        return 0
    content = content.rstrip()
    if _is_array(content):
        return len(content[:-1].rstrip())
    # Torn off within the last line, or before the bracket: every line before it is whole.
    whole = content[: content.rfind(b"\n") + 1].rstrip().removesuffix(b",")
    for candidate in (content.removesuffix(b","), whole):
        if _is_array(candidate + b"]"):
            return len(candidate)
    return None


def _is_array(text: bytes) -> bool:
    try:
        _ELEMENTS.decode(text)
    except msgspec.DecodeError:
        return False
    return True
