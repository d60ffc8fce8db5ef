"""What structlog does of the log: values bound to a logger, and the chain of processors of each line.

Imported with the first line that is wanted, or by :func:`simulator.telemetry.log.configure_logging`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, ClassVar

from .redaction import redact, redact_text


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """Let a package that is not imported yet seem not installed."""
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[name]


# structlog draws tracebacks for developers with rich where it finds it, and that import takes longer than its own and
# all others of the log together; nothing here draws any.
with _absent("rich"):
    from structlog import BoundLoggerBase


def _redact_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: no secret, in a field or in the text, goes further."""
    message = event.pop("event")
    masked: MutableMapping[str, Any] = redact(event)
    masked["event"] = redact_text(message)
    return masked


def _to_arguments(_: object, __: str, event: MutableMapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Processor: the end of the chain; the message and everything else."""
    return (event.pop("event"), event), {}


class Chain(BoundLoggerBase):
    """The bound values of a logger and what becomes of each of its lines."""

    PROCESSORS: ClassVar[Any] = (_redact_secrets, _to_arguments)

    def process(self, level: str, message: str, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The message and the fields of a line, the bound ones among them, without secrets."""
        (text, rest), _ = self._process_event(level, message, fields)
        return text, rest
