"""The signals that end a program in order, from its first moment to its last."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

#: SIGBREAK is the Ctrl-Break of Windows.
STOP_SIGNALS: tuple[signal.Signals, ...] = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGBREAK") if name in signal.Signals.__members__
)


class Interrupts:
    """Keeps a signal that comes while nobody listens for signals yet: while modules and files are read.

    A second one raises KeyboardInterrupt. Signals that were inherited as ignored, as by a job in the background of a
    shell script, are obeyed too. A context manager, for the main thread.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._former: dict[signal.Signals, Any] = {}

    def happened(self) -> bool:
        """Whether a signal has come."""
        return self._seen > 0

    def __enter__(self) -> Interrupts:
        for number in STOP_SIGNALS:
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._seen += 1
        if self._seen > 1:
            raise KeyboardInterrupt
