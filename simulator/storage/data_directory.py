"""The data directory: where state and logs of one simulator live, locked against a second one."""

from __future__ import annotations

import contextlib
import errno
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
        handle = open(directory / LOCK, "a+b", buffering=0)  # noqa: SIM115 - closed below, after the body
    except (OSError, ValueError) as error:
        raise _unusable(directory, error) from None
    with handle:
        try:
            free = _lock(handle)
            if free:
                handle.seek(0)
                handle.truncate()
                handle.write(b"%d\n" % os.getpid())
        except OSError as error:
            raise _unusable(directory, error) from None
        if not free:
            raise DataDirectoryError(
                f"{directory}: another simulator{_holder(handle)} uses this data directory; "
                "end it, or name another with --data-dir"
            )
        yield directory


def _unusable(directory: Path, error: OSError | ValueError) -> DataDirectoryError:
    reason = getattr(error, "strerror", None) or str(error)
    if getattr(error, "errno", None) in (errno.EEXIST, errno.ENOTDIR):
        reason = "it is a file, or below one"
    return DataDirectoryError(
        f"{directory}: the data directory cannot be written ({reason}); name another with --data-dir"
    )


def _holder(handle: IO[bytes]) -> str:
    """Who holds the lock, as far as the file tells."""
    with contextlib.suppress(OSError, ValueError):  # a locked file cannot be read on Windows
        handle.seek(0)
        return f" (process {int(handle.read(20))})"
    return ""


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(handle: IO[bytes]) -> bool:
        try:
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
else:
    import fcntl

    def _lock(handle: IO[bytes]) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
