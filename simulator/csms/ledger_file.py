"""The central system's transactions as a file, so that the next run knows those that stations carried on meanwhile.

JSON Lines: the transaction as it is after each start and stop, so that the last line of an id counts. At the start what
has been read is written anew, without the transactions that ended long ago.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from simulator.csms.ledger import LedgerTransaction

log = logging.getLogger("simulator.csms")

#: Ended transactions that are kept, the latest: a station may send its last messages once more.
CLOSED_KEPT = 1000

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(LedgerTransaction).decode


class LedgerFile:
    """The file of one central system. What cannot be read or written is told in one warning, and the run goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def open(self) -> list[LedgerTransaction]:
        """Read what earlier runs have left, in the order of the ids, and begin to write. Blocks for a moment."""
        known = _recent(self._read())
        try:
            self._begin(known)
        except OSError as error:
            self._fail(error)
        return known

    def write(self, transaction: LedgerTransaction) -> None:
        """Note a transaction that has begun or ended."""
        if self._file is None:
            return
        try:
            os.write(self._file, _encode(transaction) + b"\n")
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Write no more."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _read(self) -> Iterable[LedgerTransaction]:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("%s: cannot be read (%s): earlier transactions are unknown", self._path, error.strerror)
            return []
        known: dict[int, LedgerTransaction] = {}
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError):  # the last line of a run that was killed may be torn
                transaction = _decode(line)
                known[transaction.transaction_id] = transaction
        return known.values()

    def _begin(self, known: Iterable[LedgerTransaction]) -> None:
        fresh = self._path.with_name(f".{self._path.name}.tmp")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_BINARY", 0)
        file = os.open(fresh, flags, 0o600)
        with os.fdopen(file, "wb", buffering=0) as stream:
            stream.write(b"".join(_encode(transaction) + b"\n" for transaction in known))
            os.fsync(file)
        os.replace(fresh, self._path)
        self._file = os.open(self._path, flags & ~os.O_TRUNC, 0o600)

    def _fail(self, error: OSError) -> None:
        log.warning(
            "%s: cannot be written (%s): the next run will not know this one's transactions",
            self._path,
            error.strerror or error,
        )
        with contextlib.suppress(OSError):
            self.close()


def _recent(transactions: Iterable[LedgerTransaction]) -> list[LedgerTransaction]:
    """All that are open and the latest that have ended, in the order of their ids."""
    ordered = sorted(transactions, key=lambda transaction: transaction.transaction_id)
    ended = [transaction.transaction_id for transaction in ordered if not transaction.is_open]
    old = frozenset(ended[:-CLOSED_KEPT])
    return [transaction for transaction in ordered if transaction.transaction_id not in old]
