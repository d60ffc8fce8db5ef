"""The log of a run, as its configuration says, also after that has changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from simulator.config.model import SimulatorConfig, WireLogConfig
from simulator.events import EventBus
from simulator.telemetry.log import LogSettings, LogWriter, complain, configure_logging, get_logger
from simulator.telemetry.wire_files import WireFiles, WireFileSettings
from simulator.telemetry.wire_records import Selection

log = get_logger("simulator.wire")


class Logs:
    """The log of a run. Relative files are under ``logs`` of the data directory.

    :param console: write to standard error too, whatever the configuration says.
    :param level: in place of the configuration's.
    """

    def __init__(self, data_directory: Path, *, console: bool, level: str | None) -> None:
        self._folder = data_directory / "logs"
        self._console = console
        self._level = level
        self._settings: LogSettings | None = None
        self._writer: LogWriter | None = None

    def open(self, config: SimulatorConfig) -> None:
        """Log as the configuration says."""
        self._settings = self._settings_of(config)
        self._writer = configure_logging(self._settings)

    async def follow(self, config: SimulatorConfig) -> None:
        """Log as a changed configuration says; what is queued still goes where it was meant to."""
        settings = self._settings_of(config)
        if settings != self._settings:
            former: list[LogWriter] = []
            self._settings, self._writer = settings, configure_logging(settings, end=former.append)
            for writer in former:
                await trio.to_thread.run_sync(writer.close)

    def close(self) -> None:
        """Write what is queued, and end."""
        if self._writer is not None:
            self._writer.close()

    def _settings_of(self, config: SimulatorConfig) -> LogSettings:
        max_files, max_days = _kept(config.log_max_files)
        return LogSettings(
            level=self._level or config.log_level,
            console=self._console or config.log_console,
            format=config.log_format,
            rotate=config.log_rotate,
            max_files=max_files,
            max_days=max_days,
            max_size=config.log_max_size,
            file=self._folder / config.log_file if config.log_file else None,
            error_file=self._folder / config.log_error_file if config.log_error_file else None,
            enabled=config.log_enabled,
        )


@contextmanager
def logging_to(config: SimulatorConfig, data_directory: Path, *, console: bool, level: str | None) -> Iterator[Logs]:
    """Log as the configuration says for the duration of the context."""
    logs = Logs(data_directory, console=console, level=level)
    logs.open(config)
    try:
        yield logs
    finally:
        logs.close()


class RunWireFiles:
    """The files of the OCPP wire, as long as the configuration asks for them. They are under ``logs``."""

    def __init__(self, config: SimulatorConfig, bus: EventBus, data_directory: Path) -> None:
        self._bus = bus
        self._folder = data_directory / "logs"
        self._section = config.wire_log
        self._files = _wire_files(config.wire_log, bus, self._folder)

    async def follow(self, config: SimulatorConfig) -> None:
        """Write what a changed configuration asks for; what is queued still goes where it was meant to."""
        if config.wire_log != self._section:
            self._section, former = config.wire_log, self._files
            if former is not None:
                await trio.to_thread.run_sync(former.close)
            self._files = _wire_files(config.wire_log, self._bus, self._folder)

    async def close(self) -> None:
        """Write what is queued, and end; whatever is cancelled."""
        if self._files is not None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._files.close)


def _wire_files(wanted: WireLogConfig, bus: EventBus, folder: Path) -> WireFiles | None:
    """The files that the section asks for, if it does."""
    if not wanted.file:
        return None
    max_files, max_days = _kept(wanted.max_files)
    return WireFiles(
        bus,
        WireFileSettings(
            file=folder / wanted.file,
            rotate=wanted.rotate,
            max_files=max_files,
            max_days=max_days,
            max_size=wanted.max_size,
            selection=Selection(
                stations=wanted.stations,
                actions=wanted.actions,
                direction=None if wanted.direction == "both" else wanted.direction,
            ),
        ),
        complain=_warn,
    )


def _warn(text: str) -> None:
    """Of frames that are lost; also on standard error, as for the log: whoever named the file waits for it."""
    log.warning("%s", text)
    complain(text)


def _kept(files: int | str) -> tuple[int, int]:
    """How many rotated files are kept, and of how many days; 0: all."""
    return (files, 0) if isinstance(files, int) else (0, int(files.rstrip("d")))
