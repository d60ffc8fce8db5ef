"""The OCPP wire in files, and what readers make of it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from simulator.cli.log import wire_log
from simulator.cli.output import Failure
from simulator.events import EventBus, FrameReceived, FrameSent
from simulator.telemetry import wire_files
from simulator.telemetry.log_files import FileOutput
from simulator.telemetry.wire_diagram import PAUSE, sequence_diagram
from simulator.telemetry.wire_files import WireFiles, WireFileSettings
from simulator.telemetry.wire_records import Selection, WireRecord, from_line, make_record, to_line

A, B = ("a" * 96, "CS-A"), ("b" * 96, "CS-B")
NOON = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
BOOT = '[2,"1","BootNotification",{"chargePointVendor":"Acme"}]'
BOOTED = '[3,"1",{"status":"Accepted","currentTime":"2026-11-22T12:00:00Z","interval":300}]'

Open = Callable[..., WireFiles]


@pytest.fixture
def bus() -> EventBus:
    return EventBus()


@pytest.fixture
def opened(bus: EventBus, tmp_path: Path) -> Iterator[Open]:
    """Opens a wire log in ``tmp_path``, not rotated unless told otherwise; closed at the end."""
    files: list[WireFiles] = []

    def opened(now: Callable[[], float] = lambda: NOON, **settings: Any) -> WireFiles:
        settings = {"file": tmp_path / "wire.ndjson", "rotate": False, **settings}
        files.append(WireFiles(bus, WireFileSettings(**settings), now=now, complain=complaints.append))
        return files[-1]

    complaints: list[str] = []
    opened.complaints = complaints  # type: ignore[attr-defined]
    yield opened
    for file in files:
        file.close()


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("wire*")) for line in file.read_text().splitlines()]


def shown(*arguments: str | Path) -> Result:
    return CliRunner().invoke(wire_log, [str(argument) for argument in arguments], standalone_mode=False)


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_line_tells_all_about_a_frame_and_holds_it_as_json(bus: EventBus, opened: Open, tmp_path: Path) -> None:
    log = opened()
    bus.publish(FrameSent(*A, BOOT))
    bus.publish(FrameReceived(*A, BOOTED.replace(",", ",\n ")))
    bus.publish(FrameReceived(*A, "no JSON"))
    assert log.flush()
    call, result, other = written(tmp_path)
    assert re.fullmatch(r"2026-11-2[123]T\d\d:00:00\.000Z", call.pop("time"))
    assert call == {
        "stationId": "CS-A",
        "hashId": A[0],
        "direction": "sent",
        "kind": "call",
        "messageId": "1",
        "action": "BootNotification",
        "frame": json.loads(BOOT),
    }
    assert (result["kind"], result["direction"], result["action"]) == ("result", "received", "BootNotification")
    assert result["frame"][2]["status"] == "Accepted"
    assert (other["kind"], other["text"]) == ("other", "no JSON")
    assert "frame" not in other


def test_only_what_is_selected_is_written(bus: EventBus, opened: Open, tmp_path: Path) -> None:
    log = opened(selection=Selection(stations=("CS-B*",), actions=("heartbeat",), direction="received"))
    for station in (A, B):
        for action, identity in (("BootNotification", "1"), ("Heartbeat", "2")):
            bus.publish(FrameSent(*station, f'[2,"{identity}","{action}",{{}}]'))
            bus.publish(FrameReceived(*station, f'[3,"{identity}",{{}}]'))
    assert log.flush()
    (line,) = written(tmp_path)
    assert (line["stationId"], line["action"], line["direction"]) == ("CS-B", "Heartbeat", "received")


@pytest.mark.parametrize(
    "frame",
    [
        '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"f00dcafe"}]',
        '[3,"1",{"configurationKey":[{"key":"AuthorizationKey","readonly":false,"value":"f00dcafe"}]}]',
        '[2,"1","DataTransfer",{"vendorId":"x","data":"{\\"password\\":\\"f00dcafe\\"}"}]',
        '[2,"1","UpdateFirmware",{"location":"ftp://user:f00dcafe@files.test/fw.bin"}]',
        '[2,"1","DataTransfer",{"vendorId":"x","data":"Authorization: Basic f00dcafe"}]',
        '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"f00dcafe"',
    ],
)
def test_no_secret_is_written(bus: EventBus, opened: Open, tmp_path: Path, frame: str) -> None:
    log = opened()
    bus.publish(FrameReceived(*A, frame))
    assert log.flush()
    assert len(written(tmp_path)) == 1
    assert "f00dcafe" not in (tmp_path / "wire.ndjson").read_text()


def test_files_are_rotated_by_day_and_by_size(bus: EventBus, opened: Open, tmp_path: Path) -> None:
    day = 0
    log = opened(lambda: NOON + day * 86_400, rotate=True, max_files=2)
    for day in range(3):
        bus.publish(FrameSent(*A, f'[2,"{day}","Heartbeat",{{}}]'))
        assert log.flush()
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"wire-2026-11-{day + 22}.ndjson" for day in (1, 2)]
    log.close()
    log = opened(lambda: NOON, rotate=True, max_size=1000)
    for _ in range(10):
        bus.publish(FrameSent(*A, BOOT))
        assert log.flush()
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    assert len(written(tmp_path)) > 10


def test_a_slow_disk_costs_frames_and_never_the_stations_time(
    bus: EventBus, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, released = threading.Event(), threading.Event()
    write_all = FileOutput._write_all

    def slow(self: FileOutput, file: FileIO, data: bytes) -> None:
        reached.set()
        released.wait()
        write_all(self, file, data)

    monkeypatch.setattr(FileOutput, "_write_all", slow)
    monkeypatch.setattr(wire_files, "MOST_WAITING", 100_000)
    log = opened()
    bus.publish(FrameSent(*A, BOOT))
    assert reached.wait(10)
    for _ in range(1000):  # would last for ever if any of them waited for the disk
        bus.publish(FrameSent(*A, BOOT))
    assert 500 < log.dropped < 1000
    released.set()
    assert log.flush()
    bus.publish(FrameSent(*A, BOOT))
    assert log.flush()
    lines = written(tmp_path)
    assert len(lines) == 1002 - log.dropped
    assert lines[-1]["dropped"] == log.dropped
    assert opened.complaints == [  # type: ignore[attr-defined]
        "the wire log cannot be written as fast as frames come: some are missing there; "
        "wireLog.stations and wireLog.actions keep fewer"
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_complaint(bus: EventBus, opened: Open) -> None:
    log = opened(file=Path("/dev/full"))
    for _ in range(3):
        bus.publish(FrameSent(*A, BOOT))
        assert log.flush()
    (complaint,) = opened.complaints  # type: ignore[attr-defined]
    assert complaint.startswith("cannot write the wire log /dev/full: No space left on device; ")


# -- reading -----------------------------------------------------------------------------------------------------------


def record(moment: float, direction: Any, text: str, **members: Any) -> WireRecord:
    named = {"kind": "call", "message_id": "1", "action": "Heartbeat", **members}
    return make_record(moment, *A, direction, named["kind"], named["message_id"], named["action"], text)


def write_log(folder: Path) -> Path:
    file = folder / "wire.ndjson"
    lines = []
    for station, status in ((A, "Accepted"), (B, "Invalid")):
        lines += [
            make_record(NOON, *station, "sent", "call", "1", "Authorize", '[2,"1","Authorize",{"idTag":"T"}]'),
            make_record(
                NOON,
                *station,
                "received",
                "result",
                "1",
                "Authorize",
                f'[3,"1",{{"idTagInfo":{{"status":"{status}"}}}}]',
            ),
            make_record(NOON, *station, "sent", "call", "2", "Heartbeat", '[2,"2","Heartbeat",{}]'),
        ]
    file.write_text("".join(f"{to_line(line)}\n" for line in lines))
    return file


def test_a_line_is_read_as_it_was_written() -> None:
    one = record(NOON, "sent", '[2,"1","Heartbeat",{"a":1e400,"ü":12345678901234567890123}]')
    assert from_line(to_line(one)) == one
    assert from_line("[]") is None
    assert from_line('{"time":"x","stationId":"y","direction":"sent","kind":"call"}') is None


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ((), 6),
        (("--station", "CS-A"), 3),
        (("--station", "CS-?", "--action", "authorize"), 4),
        (("--station", "b*", "--direction", "received"), 1),
        (("--grep", "Inval(id)?"), 1),
        (("-n", "2"), 2),
        (("-n", "0", "--action", "Heartbeat", "--action", "Authorize"), 6),
        (("--action", "Reset"), 0),
    ],
)
def test_messages_are_selected(tmp_path: Path, options: tuple[str, ...], number: int) -> None:
    file = write_log(tmp_path)
    for form in ((), ("--json",)):
        result = shown(file, *options, *form)
        assert result.exception is None
        assert len(result.stdout.splitlines()) == number


def test_a_line_for_people_has_time_station_arrow_action_and_frame(tmp_path: Path) -> None:
    first, second, *_ = shown(write_log(tmp_path)).stdout.splitlines()
    assert first == '2026-11-22 12:00:00.000 CS-A -> Authorize [2,"1","Authorize",{"idTag":"T"}]'
    assert second == '2026-11-22 12:00:00.000 CS-A <- Authorize result [3,"1",{"idTagInfo":{"status":"Accepted"}}]'


def test_a_name_without_date_and_a_folder_stand_for_all_files(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    text = file.read_text()
    file.unlink()
    for name in ("wire-2026-11-22.ndjson", "wire-2026-11-22.ndjson.1", "wire-2026-11-23.ndjson"):
        (tmp_path / name).write_text(text)
    assert len(shown(file).stdout.splitlines()) == 18
    assert len(shown(tmp_path).stdout.splitlines()) == 18


def test_a_broken_line_is_passed_over_and_an_unfinished_one_left_alone(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    file.write_text("half a li\n" + file.read_text() + '{"time": "20')
    result = shown(file)
    assert len(result.stdout.splitlines()) == 6
    assert result.stderr == f"warning: {file}: 1 line passed over that cannot be read, the first is 1\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "there is no such file; the configuration's wireLog.file makes one, in the folder logs"),
        (
            "a log\nof another kind\n",
            "holds no OCPP messages in lines of JSON, as the configuration's wireLog.file has them",
        ),
    ],
)
def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, content: str | None, complaint: str) -> None:
    file = tmp_path / "x.ndjson"
    if content is not None:
        file.write_text(content)
    result = shown(file)
    assert isinstance(result.exception, Failure)
    assert str(result.exception) == f"{file}: {complaint}"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--grep", "("), r'"\(" is no regular expression \(.+\), for example'),
        (("--mermaid", "--follow"), "a diagram ends: --mermaid and --follow do not go together"),
        (("--lines", "few"), 'expected a whole number from 0, got "few", for example --lines 100'),
        (("--direction", "up"), 'expected one of sent, received, got "up"'),
    ],
)
def test_a_wrong_option_says_what_to_write(tmp_path: Path, options: tuple[str, ...], complaint: str) -> None:
    result = shown(write_log(tmp_path), *options)
    assert re.search(complaint, str(result.exception))


def test_where_no_simulator_answers_it_says_so() -> None:
    result = shown("--url", "http://127.0.0.1:1")
    assert "no simulator answers there" in str(result.exception)


# -- diagrams ----------------------------------------------------------------------------------------------------------


def test_a_diagram_shows_requests_answers_refusals_and_pauses() -> None:
    records = [
        record(NOON, "sent", '[2,"1","StatusNotification",{"connectorId":1,"status":"Available","timestamp":"t"}]'),
        record(NOON, "received", '[3,"1",{}]', kind="result"),
        record(NOON + PAUSE, "received", '[2,"2","Reset",{"type":"Soft; now"}]', action="Reset"),
        record(NOON + PAUSE, "sent", '[4,"2","NotSupported","no #1",{}]', kind="error", action="Reset"),
        record(NOON + PAUSE + 7200, "received", "hello", kind="other", action=None),
    ]
    records[0] = msgspec.structs.replace(records[0], action="StatusNotification")
    assert sequence_diagram(records).splitlines() == [
        "sequenceDiagram",
        "    participant S1 as CS-A",
        "    participant C as Central system",
        "    S1->>C: StatusNotification connectorId=1, status=Available",
        "    C-->>S1: Heartbeat",
        "    Note over S1,C: 10 s later",
        "    C->>S1: Reset type=Soft#59; now",
        "    S1--xC: Reset: NotSupported, no #35;1",
        "    Note over S1,C: 2 h 0 min later",
        "    C-)S1: hello",
    ]


def test_a_file_becomes_a_diagram(tmp_path: Path) -> None:
    result = shown(write_log(tmp_path), "--mermaid", "--station", "CS-B")
    assert result.stdout.splitlines()[1:4] == [
        "    participant S1 as CS-B",
        "    participant C as Central system",
        "    S1->>C: Authorize idTag=T",
    ]
    assert "C-->>S1: Authorize: idTagInfo=(status=Invalid)" in result.stdout
