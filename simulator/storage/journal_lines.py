"""The lines of the transaction journal, and what is left of stations after reading them. Pure.

What a record means is the station's business: it says so by a :class:`Past`, whose ``take`` adds one record.

One record is one line::

    <CRC-32> <station> <line number> <instant> <JSON> <station>

The CRC, 8 hex digits, is over what follows it. ``station`` begins and ends the line so that a damaged one still tells
whom it may have concerned, and the numbers tell how many lines are gone: where the end of a transaction may have been
lost, the transaction is marked doubtful rather than ended a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar
from zlib import crc32

import msgspec

#: Digits of a station's hashId that stand for it in the journal.
STATION_DIGITS = 24
#: Stands for the journal itself, whose lines only keep the time.
NOBODY = "-"

#: A record as it stands in a line.
json_of = msgspec.json.Encoder().encode


class Past(Protocol):
    """What is left of one station; itself a record that replaces all before it."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to keep."""
        ...

    def take(self, record: Any) -> Any:
        """What is left after one more record: this object or a new one."""
        ...

    def doubt(self) -> None:
        """A record of the station may be lost."""
        ...


P = TypeVar("P", bound=Past)


class Kinds(msgspec.Struct, Generic[P], frozen=True):
    """What the records are: the past of a station of which nothing is known, and how to read a record's JSON."""

    past: Callable[[], P]
    decode: Callable[[bytes], Any]


def station_mark(hash_id: str) -> str:
    """What stands for a station in the journal."""
    return hash_id[:STATION_DIGITS]


def line_of(station: bytes, number: int, instant: bytes, json: bytes) -> bytes:
    """One line, its end included. ``instant``: as :func:`instant_of` writes it."""
    body = b"%b %d %b %b %b" % (station, number, instant, json, station)
    return b"%08x %b\n" % (crc32(body), body)


def instant_of(posix: float) -> bytes:
    """An instant of the process's virtual time, POSIX seconds, as it stands in a line."""
    return b"%.3f" % posix


class Line(msgspec.Struct, frozen=True):
    """A line that could be read."""

    station: str
    number: int
    instant: float
    record: Any


def read_line(line: bytes, decode: Callable[[bytes], Any]) -> Line | None:
    """The line without its end; None if it is damaged, or of a kind that this program does not know."""
    digits, _, body = line.partition(b" ")
    try:
        if len(digits) != 8 or int(digits, 16) != crc32(body):
            return None
        station, number, instant, rest = body.split(b" ", 3)
        json = rest.rpartition(b" ")[0]
        return Line(station.decode(), int(number), float(instant), decode(json))
    except (ValueError, msgspec.DecodeError):
        return None


class JournalReader(Generic[P]):
    """Reads the files of a journal, oldest first.

    ``stations`` is what is left by station mark; ``damaged`` counts unreadable stretches, ``latest`` is the last
    instant that any line names (0 without one).
    """

    def __init__(self, kinds: Kinds[P]) -> None:
        self._kinds = kinds
        self.stations: dict[str, P] = {}
        self.damaged = 0
        self.latest = 0.0
        #: The number of the last line that could be read.
        self.number: int | None = None
        #: Unreadable lines since the last good one: the stations that each may be about; none: any station.
        self._unread: list[set[str]] = []

    def read(self, content: bytes) -> None:
        """Read one file."""
        lines = content.split(b"\n")
        torn = lines.pop()  # what follows the last line end: nothing, or a line that was never finished
        for text in lines:
            line = read_line(text, self._kinds.decode)
            if line is None:
                marks = _marks(text)
                self._unread.append(marks if _both_ends(text) else marks & self.stations.keys())
                self.damaged += 1
            else:
                self._take(line)
        if torn:
            whole = read_line(torn, self._kinds.decode)
            if whole is not None:  # nothing is missing but its end
                self._take(whole)
                return
            self.damaged += 1
            if _both_ends(torn):  # it was finished, and then damaged
                self._unread.append(_marks(torn))

    def finish(self) -> None:
        """There is no more."""
        if self._unread:
            self._doubt(len(self._unread))

    def _take(self, line: Line) -> None:
        if self.number is not None:
            if line.number <= self.number:
                return  # a copy of what has been read
            lost = line.number - self.number - 1
            if lost:
                self.damaged += not self._unread
                self._doubt(lost)
        self._unread.clear()
        self.number = line.number
        self.latest = max(self.latest, line.instant)
        if line.station != NOBODY:
            past = self.stations.get(line.station)
            self.stations[line.station] = (self._kinds.past() if past is None else past).take(line.record)

    def _doubt(self, lost: int) -> None:
        """Doubt what the unread lines may have been about: those stations or, if that does not explain it, all."""
        explained = all(self._unread)
        if explained and lost <= sum(map(len, self._unread)):
            suspects: Iterable[str] = set().union(*self._unread)
        else:
            suspects = list(self.stations)
        for station in suspects:
            if station in self.stations:
                self.stations[station].doubt()
        self._unread.clear()


def _marks(text: bytes) -> set[str]:
    """What stands at the two places of the station's mark."""
    head = text[9 : 9 + STATION_DIGITS].partition(b" ")[0]
    tail = text.rpartition(b" ")[2]
    return {head.decode("latin-1"), tail.decode("latin-1")}


def _both_ends(text: bytes) -> bool:
    """Whether a line begins and ends as it should."""
    marks = _marks(text)
    return len(marks) == 1 and text.endswith(b"} " + marks.pop().encode("latin-1"))
