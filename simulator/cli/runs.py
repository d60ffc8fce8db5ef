"""What the commands ``run`` and ``demo`` set going, once the fleet is planned."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import trio

from simulator.app import CannotListen, RunOptions, Simulator
from simulator.cli.live import draws, watcher
from simulator.cli.outcome import LastTrouble, failure, summary_line, violations_line
from simulator.cli.output import Failure, count, give, printable, tell
from simulator.control.reload import Reading, Sources
from simulator.failures import UiCannotListen
from simulator.run_log import logging_to
from simulator.storage.data_directory import DataDirectoryError, choose, locked
from simulator.storage.performance.records import Unusable
from simulator.supervision import leaves
from simulator.telemetry.process import allow_open_files

#: What ends a run before it has begun, for a reason that the user can mend.
MISTAKES = (DataDirectoryError, CannotListen, UiCannotListen, Unusable)

#: Files that a process has open besides its stations' connections.
OTHER_FILES = 64


def go(
    reading: Reading,
    sources: Sources,
    *,
    environ: Mapping[str, str],
    embedded: bool,
    duration: float | None,
    seed: int | None,
    speed: float,
    data_dir: Path | None,
    as_json: bool,
    log_level: str | None,
    no_ui: bool,
    no_watch: bool,
    interrupted: Callable[[], bool],
) -> int:
    """Run a fleet to its end, tell how it went, and return the exit code.

    :param embedded: with a central system of its own, and without ``data_dir`` in a temporary directory.
    :raises Failure: the run could not start, or failed.
    """
    loaded, plan = reading.loaded, reading.plan
    options = RunOptions(seed=seed, speed=speed, duration=duration, embedded=embedded, ui=not no_ui)
    console = log_level is not None or loaded.config.log_console
    logs_here = console and sys.stderr is not None and sys.stderr.isatty()
    simulator = Simulator(
        loaded,
        plan,
        options,
        sources=None if no_watch else sources,
        watch=None if as_json else watcher(sys.stdout, logs_here=logs_here),
        interrupted=interrupted,
    )
    if simulator.has_ui:
        # The web framework takes most of a second to import: now, and not while stations wait for the loop.
        importlib.import_module("simulator.ui_server.serve")
    trouble = LastTrouble(simulator.bus)
    if not (console or draws(None if as_json else sys.stdout, logs_here=logs_here)):
        simulator.news.append(_tell_news)
    _allow_connections(len(plan.stations), 2 if embedded else 1)
    try:
        with (
            _folder(data_dir, environ, temporary=embedded) as folder,
            locked(folder) as directory,
            logging_to(loaded.config, directory, console=console, level=log_level) as simulator.logs,
        ):
            summary = trio.run(simulator.run, directory)
    except MISTAKES as error:
        raise Failure(str(error)) from None
    except ExceptionGroup as group:
        found = next((leaf for leaf in leaves(group) if isinstance(leaf, MISTAKES)), None)
        if found is None:
            raise
        raise Failure(str(found)) from None
    _report(simulator, summary, as_json=as_json)
    failed = failure(simulator, summary, trouble)
    if failed is not None:
        raise Failure(failed)
    return 0


@contextlib.contextmanager
def _folder(option: Path | None, environ: Mapping[str, str], *, temporary: bool) -> Iterator[Path]:
    if option is not None or not temporary:
        yield choose(option, environ)
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="simulator-demo-", ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise Failure(f"there is no place for a temporary folder ({reason}); name one with --data-dir") from None
    with folder as name:
        yield Path(name)


def _allow_connections(stations: int, files_each: int) -> None:
    wanted = stations * files_each + OTHER_FILES
    allowed = allow_open_files(wanted)
    if allowed is not None:
        fit = max(0, (allowed - OTHER_FILES) // files_each)
        tell(
            f"warning: this process may open {allowed} files and needs about {wanted}: of the {stations} stations "
            f"about {fit} will connect; raise the hard limit (ulimit -Hn {wanted} as root, LimitNOFILE={wanted} "
            f"of systemd, --ulimit nofile={wanted} of docker), or run fewer with --stations"
        )


def _tell_news(line: str, bad: bool) -> None:
    # Of a thread: whoever reads standard error may be slow.
    text = printable(f"error: {line}" if bad else line)
    threading.Thread(target=tell, args=(text,), name="news", daemon=True).start()


def _report(simulator: Simulator, summary: Mapping[str, Any], *, as_json: bool) -> None:
    give(json.dumps(summary) if as_json else summary_line(summary))
    broken_rules = violations_line(simulator)
    if broken_rules is not None:
        tell(f"warning: {broken_rules}")
    if simulator.cut_short:
        return
    if not simulator.in_order:
        tell("warning: not every station ended in order within the time given")
    transactions = summary["transactions"]
    if (left := transactions["started"] - transactions["stopped"]) > 0:
        tell(f"warning: {count(left, 'transaction')} left open: the central system answered no StopTransaction")
