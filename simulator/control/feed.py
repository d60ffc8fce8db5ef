"""What has changed: for clients that follow the fleet.

Nothing is queued. The feed remembers of each station *that* it has changed and when, not what; a follower remembers how
far it has read. A slow follower finds more changed stations when it comes back, never a longer queue, and costs the
fleet nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import trio

from simulator import events
from simulator.control.registry.snapshot import Fields
from simulator.events import EventBus
from ui_protocol.frames import REFRESH, encode_notification
from ui_protocol.requests import Subscribe

if TYPE_CHECKING:
    from simulator.control.control import Control

#: Wall seconds between two messages of one kind to one client, at least.
INTERVAL = 1.0
#: Wall seconds between two looks at changes of which none was to be told.
PAUSE = 0.2
#: Stations in one message; the others follow with the next.
MOST_STATIONS = 200
#: Frames of the OCPP wire in one message; of more the newest are told.
MOST_MESSAGES = 500
#: Removed stations that are remembered.
_MOST_REMOVED = 10_000

_KINDS: tuple[type[events.Event], ...] = (
    events.StationStarted,
    events.StationStopped,
    events.StationCrashed,
    events.Connected,
    events.ConnectFailed,
    events.Disconnected,
    events.Registered,
    events.StationChanged,
    events.ConnectorStatusChanged,
    events.TransactionStarted,
    events.TransactionStopped,
    events.MeterSampled,
)


class Changes(msgspec.Struct, frozen=True):
    """What has changed since a number of the feed. ``upto``: where to go on."""

    changed: list[str]
    removed: list[str]
    upto: int


class Feed:
    """Remembers which stations have changed. A change costs well under a microsecond while nobody waits for one."""

    def __init__(self, bus: EventBus) -> None:
        #: Number of the latest change.
        self.sequence = 0
        self._changed: dict[str, int] = {}
        self._removed: dict[str, int] = {}
        self._news: trio.Event | None = None
        self._unsubscribe: list[Callable[[], None]] = [bus.subscribe(kind, self._on_event) for kind in _KINDS]

    def close(self) -> None:
        """Read no more events."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []

    # -- writing -----------------------------------------------------------------------------------------------------

    def _on_event(self, event: events.Event) -> None:
        self.changed(event.hash_id)

    def changed(self, hash_id: str) -> None:
        """A station has changed."""
        self.sequence += 1
        # The latest change is always the last entry, so that readers go back only as far as they must.
        self._changed.pop(hash_id, None)
        self._changed[hash_id] = self.sequence
        if self._news is not None:
            self._tell()

    def removed(self, hash_id: str) -> None:
        """A station has left the fleet."""
        self.sequence += 1
        self._changed.pop(hash_id, None)
        self._removed.pop(hash_id, None)
        self._removed[hash_id] = self.sequence
        if len(self._removed) > _MOST_REMOVED:
            del self._removed[next(iter(self._removed))]
        self._tell()

    def fleet_changed(self) -> None:
        """Something has changed that is of no station."""
        self.sequence += 1
        self._tell()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    # -- reading -----------------------------------------------------------------------------------------------------

    async def wait(self, after: int) -> None:
        """Wait until something has changed after that number."""
        await trio.lowlevel.checkpoint()
        while self.sequence <= after:
            if self._news is None:
                self._news = trio.Event()
            await self._news.wait()

    def since(self, after: int, hash_ids: frozenset[str] | None = None, limit: int = MOST_STATIONS) -> Changes:
        """The stations that have changed after that number, longest ago first, at most ``limit`` of them.

        :param hash_ids: only these; None: all.
        """
        found = []
        for hash_id, sequence in reversed(self._changed.items()):
            if sequence <= after:
                break
            if hash_ids is None or hash_id in hash_ids:
                found.append((hash_id, sequence))
        found.reverse()
        upto = self.sequence if len(found) <= limit else found[limit - 1][1]
        removed = [
            hash_id
            for hash_id, sequence in self._removed.items()
            if after < sequence <= upto and (hash_ids is None or hash_id in hash_ids)
        ]
        return Changes([hash_id for hash_id, _ in islice(found, limit)], removed, upto)


class Follower:
    """One client that is told of changes. Without a subscription it gets ``["refresh"]``."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._subscription = Subscribe()
        self._hash_ids: frozenset[str] | None = None
        self._fields = Fields(None)
        self._read = control.feed.sequence
        self._read_messages = 0
        self._told_at = -INTERVAL
        self._waiting: trio.CancelScope | None = None

    def subscribe(self, request: Subscribe) -> None:
        """Follow what the request names, from now on, instead of what it followed before."""
        wire_log = self._control.wire_log
        self._subscription = request
        self._hash_ids = None if request.hash_ids is None else frozenset(request.hash_ids)
        self._fields = Fields(request.fields)
        self._read = self._control.feed.sequence
        self._read_messages = 0 if wire_log is None else wire_log.sequence
        if self._waiting is not None:
            self._waiting.cancel()

    async def next(self) -> list[str]:
        """Wait until there is something to tell, at most once in :data:`INTERVAL`; returns the messages."""
        while True:
            await trio.sleep_until(self._told_at + INTERVAL)
            follows_messages = "messages" in self._subscription.topics
            # Frames are too many to be waited for one by one: they are looked for once in the interval.
            with trio.move_on_after(INTERVAL if follows_messages else float("inf")) as self._waiting:
                await self._control.feed.wait(self._read)
            self._waiting = None
            texts = await self._stations() + self._messages()
            self._told_at = trio.current_time()
            if texts:
                return texts
            # What has changed is nothing to this client. It must not look at every change of a busy fleet either.
            self._told_at -= INTERVAL - PAUSE

    async def _stations(self) -> list[str]:
        feed = self._control.feed
        if feed.sequence <= self._read:
            return []
        if "stations" not in self._subscription.topics:
            self._read = feed.sequence
            return [REFRESH]
        subscription = self._subscription
        changes = feed.since(self._read, self._hash_ids)
        self._read = changes.upto
        if not changes.changed and not changes.removed:
            return []
        delta = await self._control.delta(changes, self._fields)
        return [encode_notification("stations", delta)] if subscription is self._subscription else []

    def _messages(self) -> list[str]:
        wire_log = self._control.wire_log
        subscription = self._subscription
        if wire_log is None or "messages" not in subscription.topics or wire_log.sequence <= self._read_messages:
            return []
        frames = self._control.messages(
            subscription.hash_ids,
            action=subscription.action,
            direction=subscription.direction,
            after=self._read_messages,
            limit=MOST_MESSAGES,
        )
        self._read_messages = wire_log.sequence
        if not frames:
            return []
        return [encode_notification("messages", {"messages": frames, "skipped": len(frames) >= MOST_MESSAGES})]
