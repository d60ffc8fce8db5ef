"""One thread that writes what others queue: whoever queues never waits for a disk or a terminal."""

from __future__ import annotations

import atexit
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# Items of one write: enough to make the system calls rare, few enough to keep the memory of a batch small.
_BATCH = 4096
# After a batch the thread rests, so that a busy fleet wakes it a few times a second instead of once per item. A wake-up
# costs the fleet's thread more than the item did.
_REST = 0.05


class BatchThread(Generic[T]):
    """Hands items to ``write`` in batches, in their order.

    The queue has no bound: whoever puts looks at :attr:`waiting` first, or counts bytes.

    :param name: of the thread.
    :param write: called in the thread with a batch that may be empty; it may block and must not raise.
    :param end: called in the thread after the last batch.
    """

    def __init__(self, name: str, write: Callable[[list[T]], None], end: Callable[[], None]) -> None:
        self._write = write
        self._end = end
        self._queue: queue.SimpleQueue[T | threading.Event | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._abandoned = False
        # A daemon: a console or a disk that hangs must not keep the program from ending.
        self._thread: threading.Thread | None = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return self._queue.qsize()

    def put(self, item: T) -> None:
        """Queue one item; callable from any thread and from signal handlers."""
        self._queue.put(item)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was put before is written; whether it was in time. Blocks the calling thread."""
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

    def _run(self) -> None:
        waiting = self._queue
        going = True
        while going and not self._abandoned:
            # This thread is the only reader: what qsize() counts is there to be taken.
            items = [waiting.get()]
            items += [waiting.get() for _ in range(min(waiting.qsize(), _BATCH))]
            batch: list[T] = []
            reached: list[threading.Event] = []
            for item in items:
                if item is None:
                    going = False
                elif isinstance(item, threading.Event):
                    reached.append(item)
                else:
                    batch.append(item)
            self._write(batch)
            for event in reached:
                event.set()
            # Nothing of it is kept until the next one comes.
            del items, batch, reached, item
            if going and waiting.qsize() < _BATCH:
                self._hurry.wait(_REST)
                self._hurry.clear()
        self._end()
