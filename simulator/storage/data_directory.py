"""The data directory: where state and logs of one simulator live, locked against a second one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import platformdirs

APPLICATION = "ocpp-fleet-simulator"
LOCK = ".lock"


class DataDirectoryError(Exception):
    """The data directory cannot be used; the text is one line for the user."""


def choose(option: Path | None, environ: Mapping[str, str]) -> Path:
    """The directory of ``--data-dir``, else of ``$SIMULATOR_DATA_DIR``, else the platform's place for user data."""
    if option is not None:
        return option
    if environ.get("SIMULATOR_DATA_DIR"):
        return Path(environ["SIMULATOR_DATA_DIR"])
    return Path(platformdirs.user_data_dir(APPLICATION, appauthor=False))


@contextmanager
def locked(directory: Path) -> Iterator[Path]:
    """Create the directory if need be and hold its lock; the system frees it if the process dies.

    :raises DataDirectoryError: it cannot be written, or another simulator uses it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = open(directory / LOCK, "a+", encoding="ascii")  # noqa: SIM115 - closed below, after the body
    except OSError as error:
        raise DataDirectoryError(
            f"{directory}: the data directory cannot be written ({error.strerror}); name another with --data-dir"
        ) from None
    with handle:
        if not _lock(handle):
            raise DataDirectoryError(
                f"{directory}: another simulator uses this data directory; end it, or name another with --data-dir"
            )
        handle.seek(0)
        handle.truncate()
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield directory


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(handle: IO[str]) -> bool:
        try:
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(handle: IO[str]) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
