"""What a station is handed by the composition root: shared, per process, and never imported from above."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
import trio

from simulator.clock import Clock
from simulator.config.ws_options import WebSocketOptions
from simulator.events import EventBus
from simulator.ids import MessageIds
from simulator.ocpp.validation import PayloadValidator
from simulator.station.journal import NoJournal, TransactionJournal
from simulator.station.memory import NoStore, StationStore
from simulator.transport.connection import Connection
from simulator.transport.transfer import Received, Transfers


class Dials(Protocol):
    """Whoever opens WebSockets for stations (``transport.websocket.Dialer``)."""

    async def dial(
        self,
        url: str,
        *,
        nursery: trio.Nursery,
        subprotocols: Sequence[str],
        options: WebSocketOptions,
        basic_auth: tuple[str, str | bytes] | None = None,
        open_timeout: float = 30.0,
    ) -> Connection:
        """Open a connection; its tasks, if it has any, run in the nursery until its ``finish`` has returned."""
        ...


class CertificateStore(Protocol):
    """Where the certificates and keys of a station are kept; texts are PEM, shelves are names of a few letters.

    Calls may block for the time of a small file.
    """

    def load(self) -> Mapping[str, Sequence[str]]:
        """The items of every shelf. :raises OSError: they cannot be read."""
        ...

    def save(self, shelf: str, items: Sequence[str]) -> None:
        """Make these the items of a shelf. :raises OSError: they cannot be written; what was there stays."""
        ...


class MovesFiles(Protocol):
    """Whoever fetches and sends files for stations (``transport.transfer.Transfers``)."""

    async def download(self, url: str, *, options: WebSocketOptions) -> Received:
        """Fetch a file, of which size and checksum are kept. :raises TransferFailed: with the reason."""
        ...

    async def upload(self, url: str, name: str, content: bytes, *, options: WebSocketOptions) -> None:
        """Put a file into a directory. :raises TransferFailed: with the reason."""
        ...


class Diagnostics(Protocol):
    """What the process knows of a station beyond what the station knows of itself: its log, its wire."""

    async def files(
        self, hash_id: str, station_id: str, since: float | None, until: float | None
    ) -> Mapping[str, bytes]:
        """Files by name: what happened between two instants of virtual time (None: open). Holds no secrets."""
        ...


class StationServices(msgspec.Struct, frozen=True, kw_only=True):
    """The shared parts of a process that every station uses.

    ``seed`` (with the station's hashId) seeds the station's randomness; None draws it from the operating system.
    ``auto_reconnect_max_retries`` holds for templates that say nothing of it; -1: without end.
    With ``stagger`` a station's first heartbeat comes after a part of the interval that is its own.
    ``certificates`` gives a station, by its hashId, the place for its certificates; without it they are forgotten with
    the process.
    Without ``diagnostics`` a station's diagnostics are what it knows of itself.
    """

    clock: Clock
    bus: EventBus
    dialer: Dials
    validator: PayloadValidator
    message_ids: MessageIds
    journal: TransactionJournal = NoJournal()
    store: StationStore = NoStore()
    transfers: MovesFiles = msgspec.field(default_factory=Transfers)
    diagnostics: Diagnostics | None = None
    seed: int | None = None
    stagger: bool = False
    auto_reconnect_max_retries: int = -1
    certificates: Callable[[str], CertificateStore] | None = None
