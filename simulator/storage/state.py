"""Everything that stations leave to the next run: the journal of their transactions and their files."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Generic

import trio

from simulator.storage.journal_lines import Kinds, P
from simulator.storage.station_files import StationFiles
from simulator.storage.transaction_journal import FileJournal
from simulator.supervision import guard


class State(Generic[P]):
    """The state in one data directory: ``journal/`` and ``configurations/``."""

    def __init__(self, directory: Path, kinds: Kinds[P]) -> None:
        self._directory = directory
        self.journal = FileJournal(directory / "journal", kinds)
        self.files = StationFiles(directory / "configurations")

    async def read(self) -> None:
        """Learn what there is."""
        await trio.to_thread.run_sync(self.journal.read)
        await trio.to_thread.run_sync(self.files.look)

    def start(self, nursery: trio.Nursery) -> None:
        """Begin to write, once the stations of the start have joined."""
        nursery.start_soon(partial(guard, "transaction journal", self.journal.run))
        nursery.start_soon(partial(guard, "station files", self.files.run))

    def reunite(self, stations: Mapping[str, tuple[str, str]]) -> None:
        """Give stations what is kept of them under the hashId that they had before their template was edited.

        :param stations: name of the station and of its template, by hashId. None of them has been made yet.

        The journal must be open. Blocks for the time of reading the files of stations that are no more, if any
        station has no file.
        """
        for after, before in self.files.strays(stations).items():
            self.rename(before, after)

    def rename(self, before: str, after: str) -> None:
        """A station that is not there at the moment comes back under another hashId: what is kept of it goes along."""
        self.journal.rename(before, after)
        self.files.rename(before, after)
        certificates = self._directory / "certificates"
        with contextlib.suppress(OSError):
            (certificates / before).rename(certificates / after)

    def forget(self, hash_id: str) -> None:
        """A station will not come back: nothing is kept of it."""
        self.journal.forget(hash_id)
        self.files.forget(hash_id)

    async def close(self, within: float) -> None:
        """Write what is not written yet, for at most so many wall seconds; nobody changes anything any more."""
        await self.files.finish(within)
        self.journal.close()
