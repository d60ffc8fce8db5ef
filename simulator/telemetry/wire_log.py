"""The last frames on the wire of all stations, within a budget of memory.

Kept as they came and redacted when they are read: keeping must cost next to nothing at tens of thousands of frames a
second, and hardly any frame is ever looked at.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice, takewhile

import msgspec

from simulator.events import EventBus, FrameReceived, FrameSent

from .redaction import redact_frame
from .wire_records import Conversation, Direction, Kind

#: Bytes that a wire log may hold unless told otherwise.
DEFAULT_BUDGET = 16 * 1024 * 1024
# An entry beside its text, measured: the struct, its time and its number, its slot in the deque.
_ENTRY_BYTES = 152


# Frames before those that a follower asks for, which are looked at to find the CALLs that his answer.
_LOOK_BACK = 5000


class WireFrame(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One frame for a reader. ``direction`` is the station's view; secrets in ``text`` are masked."""

    sequence: int
    """Number of the frame in this wire log, from 1: tells a follower where to go on."""
    time: float
    """POSIX seconds."""
    hash_id: str
    station_id: str
    direction: Direction
    kind: Kind
    text: str
    message_id: str | None = None
    action: str | None = None
    """The action of a CALL, and that of the CALL that a result or an error answers while that one is still kept."""


class _Entry(msgspec.Struct, gc=False):
    sequence: int
    time: float
    hash_id: str
    station_id: str
    direction: Direction
    text: str


class WireLog:
    """A ring of frames: appending is O(1), and the oldest go when the budget is spent.

    :param bus: where the frames come from; stations publish frames only while somebody reads them.
    :param budget: bytes of memory that the frames may take.
    :param now: POSIX seconds.
    """

    def __init__(self, bus: EventBus, *, budget: int = DEFAULT_BUDGET, now: Callable[[], float] = time.time) -> None:
        self.budget = budget
        self.size = 0
        """Bytes that the kept frames take."""
        self.sequence = 0
        """Number of the last frame."""
        self._longest = max(1024, budget // 64)
        self._now = now
        self._entries: deque[_Entry] = deque()
        self._unsubscribe = [bus.subscribe(FrameSent, self._on_sent), bus.subscribe(FrameReceived, self._on_received)]

    def __len__(self) -> int:
        return len(self._entries)

    def close(self) -> None:
        """Keep no more frames; those kept stay readable."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []

    def clear(self) -> None:
        """Forget all frames."""
        self._entries.clear()
        self.size = 0

    def read(
        self,
        hash_ids: str | Collection[str] | None = None,
        *,
        action: str | None = None,
        direction: Direction | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[WireFrame]:
        """The newest ``limit`` frames, oldest of them first.

        :param hash_ids: only those of one station, or of several.
        :param action: only the CALLs of that action (in any case) and their answers. Of all stations that takes a look
            at every frame kept, 2 µs each.
        :param direction: only frames that went that way.
        :param after: only frames numbered above it.
        """
        wanted = None if action is None else action.lower()
        # To name the action of an answer one must have seen its CALL, which as a rule is shortly before it.
        newest = self._newest(hash_ids, None if wanted or direction else 2 * limit, max(0, after - _LOOK_BACK))
        found = [
            frame
            for frame in _followed(newest)
            if frame[0].sequence > after
            and (direction is None or frame[0].direction == direction)
            and (wanted is None or (frame[3] is not None and frame[3].lower() == wanted))
        ]
        return [_shown(*frame) for frame in found[max(0, len(found) - limit) :]]

    # -- keeping -------------------------------------------------------------------------------------------------------

    def _on_sent(self, event: FrameSent) -> None:
        self._keep(event.hash_id, event.station_id, "sent", event.text)

    def _on_received(self, event: FrameReceived) -> None:
        self._keep(event.hash_id, event.station_id, "received", event.text)

    def _keep(self, hash_id: str, station_id: str, direction: Direction, text: str) -> None:
        if len(text) > self._longest:
            # One frame must not push out the story of all stations.
            text = f"{text[: self._longest]}… ({len(text) - self._longest} more characters)"
        self.sequence += 1
        self._entries.append(_Entry(self.sequence, self._now(), hash_id, station_id, direction, text))
        self.size += _ENTRY_BYTES + sys.getsizeof(text)
        while self.size > self.budget and self._entries:
            self.size -= _ENTRY_BYTES + sys.getsizeof(self._entries.popleft().text)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _newest(self, hash_ids: str | Collection[str] | None, count: int | None, after: int) -> list[_Entry]:
        """The newest ``count`` entries after that number of a station or of all, oldest first."""
        entries: Iterator[_Entry] = takewhile(lambda entry: entry.sequence > after, reversed(self._entries))
        if hash_ids is not None:
            wanted = {hash_ids} if isinstance(hash_ids, str) else frozenset(hash_ids)
            entries = (entry for entry in entries if entry.hash_id in wanted)
        newest = list(islice(entries, count))
        newest.reverse()
        return newest


_About = tuple[_Entry, Kind, str | None, str | None]


def _followed(entries: Iterable[_Entry]) -> Iterator[_About]:
    """Each entry with its kind, its message id and the action that it is about."""
    conversation = Conversation()
    for entry in entries:
        yield entry, *conversation.follow(entry.hash_id, entry.direction, entry.text)


def _shown(entry: _Entry, kind: Kind, message_id: str | None, action: str | None) -> WireFrame:
    return WireFrame(
        sequence=entry.sequence,
        time=entry.time,
        hash_id=entry.hash_id,
        station_id=entry.station_id,
        direction=entry.direction,
        kind=kind,
        text=redact_frame(entry.text),
        message_id=message_id,
        action=action,
    )
