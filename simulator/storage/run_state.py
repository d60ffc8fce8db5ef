"""Whether the fleet runs, from process to process: ``simulator-state.json``.

``{"version": 1, "started": false}`` as in the e-mobility charging stations simulator: people have ended the fleet with
``stopSimulator``, and nobody has started it since.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from simulator.telemetry.log import get_logger

log = get_logger("simulator.storage")

#: The version of the file that this program writes.
VERSION = 1
FILE = "simulator-state.json"


class _State(msgspec.Struct):
    version: int
    started: bool


class RunState:
    """The file in one data directory. What cannot be read or written is told in one warning, and the run goes on."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def read(self) -> bool:
        """Whether the fleet was left running; True where nothing says otherwise."""
        try:
            state = msgspec.json.decode(self._path.read_bytes(), type=_State)
        except FileNotFoundError:
            return True
        except (OSError, ValueError, RecursionError, msgspec.DecodeError) as error:
            log.warning(
                "%s: cannot be read (%s): the fleet starts", self._path, getattr(error, "strerror", "") or error
            )
            return True
        if state.version > VERSION:
            log.warning("%s: is of a newer version of this program: the fleet starts", self._path)
            return True
        return state.started

    def write(self, started: bool) -> None:
        """Note that the fleet was started or ended; it is on the disk then. Blocks: call it in a thread."""
        temporary = self._path.with_name(f".{FILE}.tmp")
        try:
            with open(temporary, "wb") as file:
                file.write(msgspec.json.encode(_State(VERSION, started)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            word = "runs" if started else "is stopped"
            log.warning(
                "%s: cannot be written (%s): the next run will not know that the fleet %s",
                self._path,
                error.strerror or error,
                word,
            )
