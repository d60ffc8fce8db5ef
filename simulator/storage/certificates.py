"""Certificates and private keys of a station as files, so that people and OpenSSL can read them.

``certificates/<hashId>/<shelf>/<fingerprint>.pem``: a folder per shelf (``CentralSystemRootCertificate``,
``ChargePointCertificate``, ...), a file per item, named after its content. Folders are 0700 and files 0600, as some of
them hold private keys. A file is complete or not there: it is written under another name and then renamed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".pem"


class CertificateFiles:
    """The shelves of one station (``station.certificates.CertificateStore``).

    Calls block for the time of a small file: certificates change seldom.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> dict[str, tuple[str, ...]]:
        """The items of every shelf, the oldest first.

        :raises OSError: a file is there and cannot be read.
        """
        found: dict[str, tuple[str, ...]] = {}
        if not self._folder.is_dir():
            return found
        for shelf in sorted(path for path in self._folder.iterdir() if path.is_dir()):
            files = sorted(shelf.glob(f"*{_SUFFIX}"), key=lambda path: (path.stat().st_mtime_ns, path.name))
            found[shelf.name] = tuple(path.read_text(encoding="utf-8", errors="replace") for path in files)
        return found

    def save(self, shelf: str, items: Sequence[str]) -> None:
        """Make these the items of a shelf. New ones are written before old ones go, so that none is ever missing.

        :raises OSError: a file cannot be written; what was there stays.
        """
        folder = self._folder / shelf
        wanted = {_name(item): item for item in items}
        present = {path.name for path in folder.glob(f"*{_SUFFIX}")} if folder.is_dir() else set()
        if wanted:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for made in (folder, self._folder):
                made.chmod(0o700)
        for name, item in wanted.items():
            if name not in present:
                _write(folder / name, item)
        for name in present - wanted.keys():
            (folder / name).unlink(missing_ok=True)


def _name(item: str) -> str:
    return hashlib.sha256(item.encode()).hexdigest()[:32] + _SUFFIX


def _write(path: Path, text: str) -> None:
    # Made with mode 0600, in the same folder, so that the renaming is atomic.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
