"""The log as a user meets it: lines, files, rotation, and a disk or a terminal that does not play along."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.telemetry.log import (
    LogSettings,
    LogWriter,
    configure_logging,
    get_logger,
    get_station_logger,
    known_formats,
    level_number,
)
from simulator.telemetry.log_files import FileOutput

# 2026-11-22 13:45:00 local time, whatever the zone of the machine.
NOON = time.mktime((2026, 11, 22, 13, 45, 0, 0, 0, -1))
DAY = 86_400.0

log = get_logger("simulator.test")
station_log = get_station_logger("CS-SIEMENS-00001")

Configure = Callable[..., LogWriter]


@pytest.fixture
def configure(tmp_path: Path) -> Iterator[Configure]:
    """Configures with both files in ``tmp_path``, not rotated, unless told otherwise; closes at the end."""
    writers = []

    def configure(
        *, now: Callable[[], float] = lambda: NOON, console_stream: io.TextIOBase | None = None, **settings: object
    ) -> LogWriter:
        settings = {
            "rotate": False,
            "file": tmp_path / "combined.log",
            "error_file": tmp_path / "error.log",
            **settings,
        }
        writer = configure_logging(LogSettings(**settings), now=now, console=console_stream)  # type: ignore[arg-type]
        writers.append(writer)
        return writer

    yield configure
    for writer in writers:
        writer.close()


class StuckStream(io.StringIO):
    """A terminal that takes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.released.wait()
        return super().write(text)


# -- lines -------------------------------------------------------------------------------------------------------------


def test_a_simple_line_has_level_local_time_station_message_and_fields(configure: Configure, tmp_path: Path) -> None:
    writer = configure()
    station_log.warning("no answer to %s", "Heartbeat", after=30.5, connectorId=1)
    log.info("started")
    assert writer.flush()
    assert (tmp_path / "combined.log").read_text().splitlines() == [
        'warning: 2026-11-22 13:45:00.000 CS-SIEMENS-00001 | no answer to Heartbeat {"after":30.5,"connectorId":1}',
        "info: 2026-11-22 13:45:00.000 simulator.test | started",
    ]


def test_bound_values_are_in_each_line_and_stay_with_their_logger(configure: Configure, tmp_path: Path) -> None:
    writer = configure()
    bound = log.bind(station="CS-2", connectorId=2)
    bound.info("plugged in")
    log.info("idle")
    writer.flush()
    first, second = (tmp_path / "combined.log").read_text().splitlines()
    assert first.endswith('CS-2 | plugged in {"connectorId":2}')
    assert second.endswith("simulator.test | idle")


def test_json_lines_are_objects_with_unique_members(configure: Configure, tmp_path: Path) -> None:
    writer = configure(format="json")
    station_log.notice("half full\nof %d %%", 50, level=3, data={1: {"x"}}, odd=object)
    writer.flush()
    (line,) = (tmp_path / "combined.log").read_text().splitlines()
    pairs = json.loads(line, object_pairs_hook=list)
    members = dict(pairs)
    assert len(members) == len(pairs)
    assert re.fullmatch(r"2026-11-2\dT\d\d:\d\d:00\.000Z", members["timestamp"])
    assert members["level"] == "notice"
    assert members["level_"] == 3
    assert members["station"] == "CS-SIEMENS-00001"
    assert members["message"] == "half full\nof 50 %"


@pytest.mark.parametrize("name", known_formats())
def test_every_known_format_tells_level_station_message_fields_and_traceback(
    configure: Configure, tmp_path: Path, name: str
) -> None:
    writer = configure(format=name)
    try:
        raise ValueError("broken meter")
    except ValueError:
        station_log.exception("cannot sample", connectorId=7)
    writer.flush()
    text = (tmp_path / "error.log").read_text()
    for part in ("error", "CS-SIEMENS-00001", "cannot sample", "connectorId", "7", "ValueError: broken meter"):
        assert part in text


@pytest.mark.parametrize("settings", [{"format": "fancy"}, {"level": "loud"}])
def test_unknown_names_are_refused_with_the_known_ones(configure: Configure, settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r'unknown log (format "fancy"|level "loud"); known are .*(simple|debug)'):
        configure(**settings)


def test_levels_have_the_names_of_syslog_and_of_other_tools() -> None:
    names = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"]
    numbers = [level_number(name) for name in names]
    assert numbers == sorted(numbers, reverse=True)
    assert level_number("WARN") == level_number("warning")
    assert level_number("verbose") == level_number("http") == level_number("info")
    assert level_number("silly") == level_number("debug")


def test_the_level_decides_what_the_combined_file_takes(configure: Configure, tmp_path: Path) -> None:
    writer = configure(level="warn")
    for level in ("debug", "info", "notice", "warning", "error", "crit", "alert", "emerg"):
        getattr(log, level)("a %s line", level)
    writer.flush()
    levels = [line.partition(":")[0] for line in (tmp_path / "combined.log").read_text().splitlines()]
    assert levels == ["warning", "error", "crit", "alert", "emerg"]
    levels = [line.partition(":")[0] for line in (tmp_path / "error.log").read_text().splitlines()]
    assert levels == ["error", "crit", "alert", "emerg"]
    assert not log.enabled_debug


def test_the_error_file_has_errors_even_when_the_level_is_above_them(configure: Configure, tmp_path: Path) -> None:
    writer = configure(level="crit")
    log.error("a transaction was lost")
    writer.flush()
    assert (tmp_path / "combined.log").read_text() == ""
    assert "a transaction was lost" in (tmp_path / "error.log").read_text()


def test_the_text_of_a_peer_neither_forges_a_line_nor_steers_the_terminal(configure: Configure, tmp_path: Path) -> None:
    writer = configure()
    get_station_logger("CS\n1").info("reason: %s", "x\nerror: forged\x1b[2J\x9b", more="y\nz")
    writer.flush()
    text = (tmp_path / "combined.log").read_text()
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()
    assert r"x\nerror: forged\x1b[2J\x9b" in text


def test_a_traceback_never_begins_a_line_at_the_margin(configure: Configure, tmp_path: Path) -> None:
    writer = configure()
    log.error("crashed", exc_info=ExceptionGroup("many", [ValueError("one\nerror: forged")]))
    writer.flush()
    lines = (tmp_path / "error.log").read_text().splitlines()
    assert len(lines) > 3
    assert all(line.startswith("    ") for line in lines[1:])


def test_secrets_are_in_no_line(configure: Configure, tmp_path: Path) -> None:
    writer = configure(level="debug", format="json")
    station_log.info(
        "dialling ws://u:hunter2@h/CS", supervisionPassword="hunter2", headers={"Authorization": "hunter2"}
    )
    station_log.debug("sent %s", '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"hunter2"}]')
    station_log.info("changed", key="AuthorizationKey", value="hunter2")
    logging.getLogger("simulator.plain").error("refused password=hunter2", extra={"password": "hunter2"})
    try:
        raise RuntimeError("Authorization: Basic hunter2")
    except RuntimeError:
        station_log.exception("failed")
    writer.flush()
    text = (tmp_path / "combined.log").read_text()
    assert text.count("\n") == 5
    assert "hunter2" not in text
    assert "hunter2" not in (tmp_path / "error.log").read_text()


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_no_argument_makes_a_log_call_fail(configure: Configure, tmp_path: Path) -> None:
    writer = configure()
    circular: dict[str, object] = {}
    circular["self"] = circular
    log.info("too few %s %s", 1)
    log.info("hostile %s", Hostile())
    log.info("hostile field", thing=Hostile())
    log.info("circular", thing=circular)
    log.info("surrogate \ud800", nan=float("nan"), huge=10**40)
    log.info("with a bare exc_info", exc_info=True)
    log.info("long %s", "x" * 1_000_000)
    writer.flush()
    text = (tmp_path / "combined.log").read_text()
    assert text.count("info: 2026") + text.count("error: 2026") == 7
    assert len(text) < 100_000


def test_a_line_below_the_level_is_not_even_formatted(configure: Configure) -> None:
    configure(level="info")
    log.debug("hostile %s", Hostile(), thing=Hostile())


# -- the standard library's records ------------------------------------------------------------------------------------


def test_records_of_the_standard_library_take_the_same_way(configure: Configure, tmp_path: Path) -> None:
    writer = configure()
    logging.getLogger("simulator.events").info("a reader of %s failed", "CallSent", extra={"station": "CS-9"})
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("worth %d look", 1)
    logging.getLogger("some.library").log(60, "as an alert")
    writer.flush()
    assert (tmp_path / "combined.log").read_text().splitlines() == [
        "info: 2026-11-22 13:45:00.000 CS-9 | a reader of CallSent failed",
        "warning: 2026-11-22 13:45:00.000 some.library | worth 1 look",
        "alert: 2026-11-22 13:45:00.000 some.library | as an alert",
    ]


def test_without_configuration_lines_go_to_the_standard_library(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("NOTICE", logger="simulator.station"):
        station_log.notice("registered %s", "twice", interval=60, password="hunter2")
        station_log.info("not asked for")
    (record,) = caplog.records
    assert record.getMessage() == 'CS-SIEMENS-00001 | registered twice {"interval":60,"password":"***"}'
    assert record.levelname == "NOTICE"
    assert record.filename == Path(__file__).name


def test_closing_puts_the_standard_library_back(configure: Configure, caplog: pytest.LogCaptureFixture) -> None:
    before = (list(logging.root.handlers), logging.root.level, logging.getLogger("simulator").level)
    writer = configure(level="debug")
    assert log.enabled_debug
    assert writer.close()
    assert writer.close()
    assert (list(logging.root.handlers), logging.root.level, logging.getLogger("simulator").level) == before
    log.warning("after the end")
    assert "after the end" in caplog.text


def test_configuring_again_moves_on_to_the_new_files(configure: Configure, tmp_path: Path) -> None:
    configure()
    log.info("first")
    writer = configure(file=tmp_path / "second.log")
    log.info("second")
    writer.flush()
    assert "first" in (tmp_path / "combined.log").read_text()
    text = (tmp_path / "second.log").read_text()
    assert "second" in text
    assert text.count("\n") == 1


# -- console -----------------------------------------------------------------------------------------------------------


def test_the_console_is_standard_error_and_nothing_goes_to_standard_output(
    configure: Configure, capfd: pytest.CaptureFixture[str]
) -> None:
    writer = configure(console=True, file=None, error_file=None)
    log.info("on the console")
    writer.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith("simulator.test | on the console\n")


@pytest.mark.skipif(sys.platform == "win32", reason="has no /dev")
def test_device_files_are_written_to_as_they_are(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    writer = configure(rotate=True, file=Path("/dev/stdout"), error_file=Path("/dev/stderr"))
    log.info("to the container's log")
    log.error("to both")
    writer.close()
    out, err = capfd.readouterr()
    assert [line.rpartition("| ")[2] for line in out.splitlines()] == ["to the container's log", "to both"]
    assert [line.rpartition("| ")[2] for line in err.splitlines()] == ["to both"]


def test_disabled_means_no_files_and_no_lines(
    configure: Configure, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    writer = configure(enabled=False, console=True)
    log.emerg("nobody wants to know")
    logging.getLogger("some.library").critical("nobody wants to know")
    assert writer.close()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


# -- rotation ----------------------------------------------------------------------------------------------------------


def test_each_day_has_its_file_and_the_oldest_go(configure: Configure, tmp_path: Path) -> None:
    bystanders = {"combined.log", "combined-notes.log", "combined-2026-11-01.log.gz", "other-2026-11-01.log"}
    for name in bystanders:
        (tmp_path / name).write_text("mine")
    (tmp_path / "combined-2026-10-31.log").write_text("old")
    day = 0
    writer = configure(rotate=True, max_files=3, error_file=None, now=lambda: NOON + day * DAY)
    for day in range(5):
        log.info("day %s", day)
        writer.flush()
    found = {path.name for path in tmp_path.iterdir()} - bystanders
    assert found == {"combined-2026-11-24.log", "combined-2026-11-25.log", "combined-2026-11-26.log"}
    assert (tmp_path / "combined-2026-11-26.log").read_text().endswith("day 4\n")


def test_a_restart_goes_on_with_the_file_of_the_day(configure: Configure, tmp_path: Path) -> None:
    for text in ("one", "two"):
        writer = configure(rotate=True, error_file=None)
        log.info(text)
        writer.close()
    (found,) = tmp_path.iterdir()
    assert found.name == "combined-2026-11-22.log"
    assert len(found.read_text().splitlines()) == 2


def test_a_full_file_is_followed_by_another_of_the_day(configure: Configure, tmp_path: Path) -> None:
    for run in range(2):
        writer = configure(rotate=True, max_size=400, max_files=0, error_file=None)
        for line in range(3):
            log.info("%s %s %s", run, line, "x" * 100)
            writer.flush()
        writer.close()
    names = ["combined-2026-11-22.log", "combined-2026-11-22.log.1", "combined-2026-11-22.log.2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    text = "".join((tmp_path / name).read_text() for name in names)
    assert re.findall(r"\| (\d \d)", text) == ["0 0", "0 1", "0 2", "1 0", "1 1", "1 2"]


def test_files_of_so_many_days_are_kept_however_many_a_day_has(configure: Configure, tmp_path: Path) -> None:
    day = 0
    writer = configure(
        rotate=True, max_size=400, max_files=0, max_days=2, error_file=None, now=lambda: NOON + day * DAY
    )
    for day in range(4):
        for line in range(4):
            log.info("%s %s %s", day, line, "x" * 150)
            writer.flush()
    names = [path.name for path in tmp_path.iterdir()]
    assert {name[: len("combined-2026-11-24")] for name in names} == {"combined-2026-11-24", "combined-2026-11-25"}
    assert len(names) > 2


def test_a_name_without_suffix_gets_its_date_at_the_end(configure: Configure, tmp_path: Path) -> None:
    writer = configure(rotate=True, file=tmp_path / "new" / "folder" / "log", error_file=None)
    log.info("x")
    writer.close()
    assert (tmp_path / "new" / "folder" / "log-2026-11-22").exists()


# -- trouble -----------------------------------------------------------------------------------------------------------


def test_a_place_that_cannot_be_written_costs_one_warning(
    configure: Configure, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    writer = configure(file=tmp_path / "file" / "combined.log")
    for _ in range(3):
        log.error("still here")
        writer.flush()
    assert writer.close()
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"warning: cannot write the log file {tmp_path}/file/combined.log: ")
    assert (tmp_path / "error.log").read_text().count("still here") == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_one_warning(configure: Configure, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    writer = configure(file=Path("/dev/full"))
    for _ in range(3):
        log.error("still here")
        writer.flush()
    assert writer.close()
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "No space left on device" in err
    assert (tmp_path / "error.log").read_text().count("still here") == 3


def test_the_log_tells_what_was_lost_once_it_can_be_written_again(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.telemetry.log_files._RETRY_AFTER", 0.0)
    folder = tmp_path / "folder"
    folder.write_text("in the way")
    writer = configure(file=folder / "combined.log", error_file=None)
    log.info("lost")
    log.info("lost too")
    writer.flush()
    folder.unlink()
    log.info("kept")
    writer.flush()
    first, second = (folder / "combined.log").read_text().splitlines()
    assert first == "(2 log lines could not be written here)"
    assert second.endswith("kept")


def test_a_stuck_terminal_holds_nobody_up_and_lines_beyond_the_bound_are_counted(configure: Configure) -> None:
    stream = StuckStream()
    writer = configure(console=True, console_stream=stream, file=None, error_file=None, max_lines=100)
    log.info("first")
    assert stream.reached.wait(10)
    for number in range(1000):
        log.info("line %s", number)
    assert writer.dropped == 900
    stream.released.set()
    assert writer.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 102
    assert [line for line in lines if "900 log lines were dropped" in line] == [lines[-1]]


def test_closing_waits_no_longer_than_it_is_told(configure: Configure) -> None:
    stream = StuckStream()
    writer = configure(console=True, console_stream=stream, file=None, error_file=None)
    log.info("never arrives")
    assert stream.reached.wait(10)
    before = time.monotonic()
    assert not writer.flush(timeout=0.05)
    assert not writer.close(timeout=0.05)
    assert time.monotonic() - before < 5
    stream.released.set()


def test_a_slow_disk_holds_nobody_up(configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, released = threading.Event(), threading.Event()
    write_all = FileOutput._write_all

    def slow(self: FileOutput, file: io.FileIO, data: bytes) -> None:
        reached.set()
        released.wait()
        write_all(self, file, data)

    monkeypatch.setattr(FileOutput, "_write_all", slow)
    writer = configure(error_file=None)
    log.info("first")
    assert reached.wait(10)
    for number in range(5000):  # would last for ever if any of them waited for the disk
        log.info("line %s", number)
    released.set()
    assert writer.close()
    assert len((tmp_path / "combined.log").read_text().splitlines()) == 5001


def test_loggers_cost_no_import_until_something_is_logged() -> None:
    code = """
import sys
from simulator.telemetry.log import LogSettings, configure_logging, get_logger
log = get_logger("x").bind(station="CS-1")
log.debug("not wanted")
assert "structlog" not in sys.modules
with configure_logging(LogSettings(console=True)):
    log.info("wanted")
assert "structlog" in sys.modules and "rich" not in sys.modules
import rich.console
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr.count("\n")) == (0, 1), run.stderr
    assert run.stderr.endswith(" CS-1 | wanted\n")


def test_closing_writes_everything_that_was_logged_before(configure: Configure, tmp_path: Path) -> None:
    writer = configure()
    for number in range(20_000):
        log.info("line %s", number)
    assert writer.close()
    numbers = [int(line.rpartition(" ")[2]) for line in (tmp_path / "combined.log").read_text().splitlines()]
    assert numbers == list(range(20_000))
