"""The log: who logs pays for one formatted line and a put on a queue, and never waits for a disk or a terminal.

A module makes its logger once (``log = get_logger(__name__)``), a station binds its id
(``log = get_station_logger("CS-1")``); both follow :func:`configure_logging` whenever it comes. Before it, and in tests
without it, lines go to :mod:`logging` as usual. Records of :mod:`logging`, those of libraries among them, take the same
way as our own once it is configured.

::

    log.info("registered, heartbeat every %s s", interval, status="Accepted")
    if log.enabled_debug:  # where even the arguments cost
        log.debug("sent", frame=text)
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from .log_files import FileOutput, Output, StreamOutput, is_device
from .log_format import LEVELS, Formatter, Line, encode_fields, find_format, known_formats, level_number
from .log_writer import LogWriter
from .redaction import redact, redact_text

if TYPE_CHECKING:
    from .log_chain import Chain

__all__ = [
    "LogSettings",
    "LogWriter",
    "Logger",
    "configure_logging",
    "current_log_file",
    "dropped_lines",
    "get_logger",
    "get_station_logger",
    "known_formats",
    "level_number",
]

DEBUG, INFO, NOTICE, WARNING, ERROR = 10, 20, 25, 30, 40
CRIT, ALERT, EMERG = 50, 60, 70
_OFF = 1000
# A message past this is cut: one runaway payload must not fill the queue's memory.
_LONGEST_MESSAGE = 65_536

for _number, _name in ((NOTICE, "NOTICE"), (ALERT, "ALERT"), (EMERG, "EMERG")):
    logging.addLevelName(_number, _name)


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What :func:`configure_logging` needs to know. Paths are taken as they are."""

    level: str = "info"
    """Least severe level that is logged; a name of syslog or a usual alias (see :func:`level_number`)."""
    console: bool = False
    """Write to standard error too (never to standard output, which belongs to results)."""
    format: str = "simple"
    """One of :func:`known_formats`."""
    rotate: bool = True
    """Begin new files each day, with the date in the name."""
    max_files: int = 7
    """With ``rotate``, how many files of each log are kept; 0: all."""
    max_days: int = 0
    """With ``rotate``, of how many days files are kept, this one among them; 0: of all."""
    max_size: int | None = None
    """With ``rotate``, bytes after which another file of the day is begun."""
    file: Path | None = None
    """Takes every line; None: no such file."""
    error_file: Path | None = None
    """Takes lines at ``error`` and above; None: no such file."""
    enabled: bool = True
    """False: nothing is logged anywhere."""
    max_lines: int = 100_000
    """Lines that may wait for the disk; beyond it they are dropped and counted."""


class _State:
    """What all loggers of the process share. Without a sink, lines go to :mod:`logging`, which filters them itself."""

    __slots__ = ("chain", "file", "sink", "threshold", "writer")

    def __init__(self) -> None:
        self.threshold = 0
        self.sink: _Sink | None = None
        self.writer: LogWriter | None = None
        self.file: Path | None = None
        #: One for all loggers; a fleet has thousands of these.
        self.chain: Chain | None = None

    def connect(self) -> Chain:
        """Make the chain of processors, which imports what it takes."""
        from simulator.telemetry.log_chain import Chain

        self.chain = Chain(None, Chain.PROCESSORS, {})
        return self.chain


class _Sink:
    """A formatter and the queue behind it."""

    __slots__ = ("_format", "_now", "_put")

    def __init__(self, formatter: Formatter, now: Callable[[], float]) -> None:
        self._format = formatter
        self._now = now
        self._put: Callable[[int, str], None] = _ignore

    def connect(self, writer: LogWriter) -> None:
        self._put = writer.put

    def log(self, number: int, level: str, message: str, fields: dict[str, Any]) -> None:
        """Format and queue one line; ``fields`` may hold ``station``, ``logger`` and ``exc_info`` too. Never raises."""
        try:
            text = self.format(level, message, fields)
        except Exception as error:
            text = self.format("error", f"a log line could not be made ({type(error).__name__}): {message!a:.200}", {})
        self._put(number, text)

    def format(self, level: str, message: str, fields: dict[str, Any]) -> str:
        station, logger = fields.pop("station", None), fields.pop("logger", "")
        exception = fields.pop("exc_info", None)
        return self._format(
            Line(
                self._now(),
                level,
                message if len(message) <= _LONGEST_MESSAGE else _cut(message),
                fields,
                station if station is None or isinstance(station, str) else str(station),
                logger,
                None if not exception else redact_text(_traceback(exception)),
            )
        )


_state = _State()


# -- loggers -----------------------------------------------------------------------------------------------------------


class Logger:
    """Logs with bound values: ``log.bind(station="CS-1").warning("no answer to %s", action, after=30)``.

    Positional arguments fill the message in as in :mod:`logging`, named ones become fields of the line. A call below
    the level in force returns at once. No call raises because of what it was given.

    structlog does the work from the first line on that is wanted: commands that log nothing do not import it.
    """

    __slots__ = ("_bound", "_logger")

    def __init__(self, name: str, bound: Mapping[str, Any]) -> None:
        self._logger = logging.getLogger(name)
        self._bound = bound

    def bind(self, **values: Any) -> Logger:
        """A logger with these values in each of its lines too."""
        return Logger(self._logger.name, {**self._bound, **values})

    @property
    def enabled_debug(self) -> bool:
        """Whether debug lines are wanted: for callers that would have to prepare something for one."""
        return _state.threshold <= DEBUG and (_state.sink is not None or bool(self._logger.isEnabledFor(DEBUG)))

    def is_enabled_for(self, level: int) -> bool:
        """Whether lines of that level number are wanted."""
        if _state.sink is None:
            return bool(self._logger.isEnabledFor(level))
        return level >= _state.threshold

    def debug(self, event: str, /, *args: Any, **fields: Any) -> None:
        """What a developer follows: single messages and decisions."""
        if _state.threshold <= DEBUG:
            self._log(DEBUG, "debug", event, args, fields)

    def info(self, event: str, /, *args: Any, **fields: Any) -> None:
        """What a user follows in a run that goes well."""
        if _state.threshold <= INFO:
            self._log(INFO, "info", event, args, fields)

    def notice(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Normal but significant."""
        if _state.threshold <= NOTICE:
            self._log(NOTICE, "notice", event, args, fields)

    def warning(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Something is not as it should be, and the work goes on."""
        if _state.threshold <= WARNING:
            self._log(WARNING, "warning", event, args, fields)

    def error(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Something failed. ``exc_info=error`` adds the traceback."""
        if _state.threshold <= ERROR:
            self._log(ERROR, "error", event, args, fields)

    def exception(self, event: str, /, *args: Any, **fields: Any) -> None:
        """An error with the traceback of the exception being handled."""
        if _state.threshold <= ERROR:
            fields.setdefault("exc_info", True)
            self._log(ERROR, "error", event, args, fields)

    def crit(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Part of the program is lost."""
        if _state.threshold <= CRIT:
            self._log(CRIT, "crit", event, args, fields)

    critical = crit

    def alert(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Somebody must act now."""
        if _state.threshold <= ALERT:
            self._log(ALERT, "alert", event, args, fields)

    def emerg(self, event: str, /, *args: Any, **fields: Any) -> None:
        """The program cannot go on."""
        if _state.threshold <= EMERG:
            self._log(EMERG, "emerg", event, args, fields)

    def _log(self, number: int, level: str, event: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        sink = _state.sink
        if sink is None and not self._logger.isEnabledFor(number):
            return
        try:
            chain = _state.chain or _state.connect()
            message, rest = chain.process(level, _fill_in(event, args), {**self._bound, **fields})
        except Exception as error:
            # Whatever the fields hold, the caller has better things to do than to fail for its log.
            message, rest = f"{event!a:.200} (its fields are unreadable: {type(error).__name__})", {}
        if sink is not None:
            rest["logger"] = self._logger.name
            sink.log(number, level, message, rest)
            return
        exc_info, station = rest.pop("exc_info", None), rest.pop("station", None)
        text = message if station is None else f"{station} | {message}"
        if rest:
            text = f"{text} {encode_fields(rest)}"
        self._logger.log(number, "%s", text, exc_info=exc_info, stacklevel=3)


def get_logger(name: str, /, **bound: Any) -> Logger:
    """A logger of that name (a module's ``__name__``) with the given values in each of its lines."""
    return Logger(name, bound)


def get_station_logger(station_id: str) -> Logger:
    """A logger whose lines bear the station's id."""
    return get_logger("simulator.station", station=station_id)


# -- configuration -----------------------------------------------------------------------------------------------------


def configure_logging(
    settings: LogSettings,
    *,
    now: Callable[[], float] = time.time,
    console: TextIO | None = None,
    end: Callable[[LogWriter], object] = LogWriter.close,
) -> LogWriter:
    """Send every logger of the process to the outputs of ``settings``; the result's ``close()`` ends it.

    A place that cannot be written costs one warning on standard error, not the run. Configuring again closes the
    writer of before.

    :param now: POSIX seconds, for the times and the rotation.
    :param console: takes the console's lines in place of standard error (a live display that prints above itself).
    :param end: ends the writer of before; by default here and now, which may take seconds where a disk is slow.
    :raises ValueError: for an unknown level or format.
    """
    # Now, and not when the first line is wanted, which may be in the middle of something.
    importlib.import_module("simulator.telemetry.log_chain")
    level, formatter = level_number(settings.level), find_format(settings.format)
    former = _state.writer
    if former is not None:
        former.release()

    outputs: list[tuple[int, Output]] = []
    if settings.enabled:
        for path, least in ((settings.file, level), (settings.error_file, ERROR)):
            if path is not None:
                file = FileOutput(
                    path,
                    rotate=settings.rotate,
                    max_files=settings.max_files,
                    max_days=settings.max_days,
                    max_size=settings.max_size,
                    now=now,
                    complain=complain,
                )
                file.open()
                outputs.append((least, file))
        if settings.console and console is not None:
            outputs.append((level, StreamOutput(console, through=True)))
        elif settings.console and sys.stderr is not None:  # a windowed interpreter has none
            outputs.append((level, StreamOutput(sys.stderr)))

    sink = _Sink(formatter, now)
    handler = _Bridge(sink)
    restore = _take_over(handler, min((least for least, _ in outputs), default=_OFF))
    writer = LogWriter(
        outputs,
        max_lines=settings.max_lines,
        tell_dropped=lambda count: (
            WARNING,
            sink.format(
                "warning",
                f"{count} log lines were dropped: they came faster than they could be written; "
                "a higher logLevel or a faster place for logFile helps",
                {},
            ),
        ),
        on_close=restore,
    )
    sink.connect(writer)
    _state.writer, _state.sink = writer, sink
    _state.file = settings.file if settings.enabled else None
    if former is not None:
        end(former)
    return writer


def current_log_file() -> Path | None:
    """The file that takes every line, as configured: with rotation its dated brothers lie beside it.

    None: nothing is written, or to a device, which gives nothing back.
    """
    return None if _state.file is None or is_device(_state.file) else _state.file


def dropped_lines() -> int:
    """Lines of the log that were dropped so far because they came faster than they could be written."""
    return 0 if _state.writer is None else _state.writer.dropped


class _Bridge(logging.Handler):
    """Records of :mod:`logging` on their way into our log."""

    def __init__(self, sink: _Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        fields = {key: value for key, value in record.__dict__.items() if key not in _RECORD_MEMBERS}
        try:
            event = {**redact(fields), "event": redact_text(_fill_in(str(record.msg), record.args))}
        except Exception:
            event = {"event": f"a log record of {record.name} could not be read"}
        event["logger"] = record.name
        event["exc_info"] = record.exc_info
        self._sink.log(record.levelno, _level_name(record.levelno), event.pop("event"), event)


def _take_over(handler: logging.Handler, threshold: int) -> Callable[[], None]:
    """Put ``handler`` under every logger of :mod:`logging`; the result puts everything back, once."""
    root, ours = logging.getLogger(), logging.getLogger("simulator")
    before = (_state.threshold, root.level, ours.level)
    _state.threshold = threshold
    ours.setLevel(threshold)
    # What libraries tell below a warning is about themselves; with "debug" somebody asked for it.
    root.setLevel(max(threshold, INFO if threshold <= DEBUG else WARNING))
    root.addHandler(handler)

    def restore() -> None:
        if handler in root.handlers:
            root.removeHandler(handler)
            _state.sink = _state.writer = None
            _state.file = None
            _state.threshold = before[0]
            root.setLevel(before[1])
            ours.setLevel(before[2])

    return restore


# -- parts -------------------------------------------------------------------------------------------------------------

_RECORD_MEMBERS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def _fill_in(message: str, args: Any) -> str:
    if not args:
        return str(message)
    try:
        return str(str(message) % args)
    except Exception:
        try:
            return f"{message} {args!r}"
        except Exception:
            return str(message)


def _cut(message: str) -> str:
    return f"{message[:_LONGEST_MESSAGE]}… ({len(message) - _LONGEST_MESSAGE} more characters)"


def _traceback(exception: Any) -> str:
    if isinstance(exception, BaseException):
        return "".join(traceback.format_exception(exception)).rstrip()
    if isinstance(exception, tuple) and len(exception) == 3:
        return "".join(traceback.format_exception(exception[1])).rstrip()
    return traceback.format_exc().rstrip()


def _level_name(number: int) -> str:
    return next((name for name, least in LEVELS.items() if number >= least), "debug")


def complain(text: str) -> None:
    """Warn on standard error of what the log itself cannot take."""
    if sys.stderr is not None:
        StreamOutput(sys.stderr).write(f"warning: {text}\n", 1)


def _ignore(number: int, line: str) -> None:
    """Nowhere to put it yet."""
