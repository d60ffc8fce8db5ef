"""The one thread that writes the log, and the bounded queue before it."""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from .log_files import Output

# Lines of one write: enough to make the system calls rare, few enough to keep the memory of a batch small.
_BATCH = 4096
# After a batch the thread rests, so that a busy fleet wakes it a few times a second instead of once per line. A wake-up
# costs the fleet's thread more than the line did.
_REST = 0.05


class LogWriter:
    """Hands lines to outputs without ever blocking who logs them.

    :param outputs: each with the least level number that it takes.
    :param max_lines: lines that may wait; beyond it lines are dropped, and one line tells how many.
    :param tell_dropped: makes the line that tells of so many dropped ones, with its level number.
    :param on_close: called at the beginning of :meth:`close`: nobody should log here any more.

    A context manager: leaving it closes.
    """

    def __init__(
        self,
        outputs: Sequence[tuple[int, Output]],
        *,
        max_lines: int,
        tell_dropped: Callable[[int], tuple[int, str]],
        on_close: Callable[[], None],
    ) -> None:
        self._outputs = outputs
        self._max_lines = max_lines
        self._tell_dropped = tell_dropped
        self._on_close = on_close
        self._queue: queue.SimpleQueue[tuple[int, str] | threading.Event | None] = queue.SimpleQueue()
        self._dropped = 0
        self._hurry = threading.Event()
        self._abandoned = False
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """Lines dropped so far because the queue was full."""
        if outputs:
            # A daemon: a console or a disk that hangs must not keep the program from ending.
            self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def put(self, level: int, line: str) -> None:
        """Queue one line; callable from any thread and from signal handlers."""
        if self._queue.qsize() >= self._max_lines:
            self._dropped += 1
            self.dropped += 1
            return
        self._queue.put((level, line))

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was logged before is written; whether it was in time. Blocks the calling thread."""
        if self._thread is None or not self._thread.is_alive():
            return True
        reached = threading.Event()
        self._queue.put(reached)
        self._hurry.set()
        return reached.wait(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is queued, for at most ``timeout`` seconds, and end; whether all of it was written.

        Blocks the calling thread: call it when the trio run is over, or in a worker thread. Closing again does nothing.
        """
        self._on_close()
        thread = self._thread
        if thread is None:
            return True
        atexit.unregister(self.close)
        self._queue.put(None)
        self._hurry.set()
        thread.join(timeout)
        if thread.is_alive():
            self._abandoned = True
            return False
        self._thread = None
        return True

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        waiting = self._queue
        going = True
        while going and not self._abandoned:
            # This thread is the only reader: what qsize() counts is there to be taken.
            items = [waiting.get()]
            items += [waiting.get() for _ in range(min(waiting.qsize(), _BATCH))]
            self._write([item for item in items if isinstance(item, tuple)])
            for item in items:
                if item is None:
                    going = False
                elif isinstance(item, threading.Event):
                    item.set()
            if going and waiting.qsize() < _BATCH:
                self._hurry.wait(_REST)
                self._hurry.clear()
        for _, output in self._outputs:
            output.close()

    def _write(self, batch: list[tuple[int, str]]) -> None:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            batch.append(self._tell_dropped(count))
        for least, output in self._outputs:
            lines = [line for level, line in batch if level >= least]
            if lines:
                lines.append("")
                with contextlib.suppress(Exception):  # an output's fault must not end the log of the others
                    output.write("\n".join(lines), len(lines) - 1)
