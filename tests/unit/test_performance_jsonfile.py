"""Performance records in a JSON file: always a whole document, bounded, and never lost for a fault of the file."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.storage.performance.jsonfile import JsonFile
from simulator.storage.performance.records import Unavailable, Unusable
from tests.fakes.performance import keyed, made_records, plain

RECORDS = keyed(made_records(6))
PLAIN = [plain(record) for record in RECORDS]


def content(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def opened(path: Path, **options: Any) -> JsonFile:
    file = JsonFile(path, **options)
    file.load()
    file.open()
    return file


def test_the_file_is_a_whole_document_after_each_batch(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "performanceRecords.json"
    file = opened(path)
    assert content(path) == []
    for record, end in zip(RECORDS, range(1, 7), strict=True):
        file.write([record])
        assert content(path) == PLAIN[:end]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 6 + 2, "one line per record"
    file.close()


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ("", []),
        ("[]", []),
        (" [\n ]\n\n", []),
        ("[", []),
        (json.dumps([{"id": "a"}, {"id": "b"}], indent=2), [{"id": "a"}, {"id": "b"}]),
        ('[\n{"id":"a"},\n{"id":"b"}', [{"id": "a"}, {"id": "b"}]),
        ('[\n{"id":"a"},\n', [{"id": "a"}]),
        ('[\n{"id":"a"},\n{"id":"b","uri":"ws:', [{"id": "a"}]),
        ('[\n{"id":"a"},\n{"id":"b","series":[1,2]', [{"id": "a"}]),
    ],
)
def test_what_an_earlier_run_left_is_kept(tmp_path: Path, before: str, kept: list[Any]) -> None:
    """Also the file of another program, whatever its layout, and one whose end was torn off."""
    path = tmp_path / "performanceRecords.json"
    path.write_text(before)
    file = opened(path)
    file.write(RECORDS[:2])
    file.write(RECORDS[2:3])
    file.close()
    assert content(path) == kept + PLAIN[:3]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", ['{"id": "a"}', "hello", "\0\0\0", '[\n{"id":\n{"id":\n'])
def test_a_file_that_holds_no_records_is_put_aside(tmp_path: Path, before: str) -> None:
    path = tmp_path / "performanceRecords.json"
    path.write_text(before)
    file = opened(path)
    file.write(RECORDS)
    file.close()
    assert content(path) == PLAIN
    assert path.with_name("performanceRecords.json.damaged").read_text() == before


def test_files_are_put_aside_at_their_size_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "performanceRecords.json"
    size = len(json.dumps(PLAIN[0]))
    file = opened(path, max_bytes=2 * size, kept=2)
    for number in range(6):
        file.write(RECORDS[number : number + 1])
    file.close()
    names = ["performanceRecords.json", "performanceRecords.1.json", "performanceRecords.2.json"]
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    kept = [record for name in reversed(names) for record in content(tmp_path / name)]
    assert kept == PLAIN[-len(kept) :]
    assert all((tmp_path / name).stat().st_size <= 2.5 * size for name in names)


def test_a_batch_beyond_the_size_goes_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "performanceRecords.json"
    file = opened(path, max_bytes=10, kept=2)
    file.write(RECORDS)
    assert content(path) == PLAIN
    file.close()


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
def test_a_file_deleted_or_replaced_meanwhile_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "performanceRecords.json"
    file = opened(path)
    file.write(RECORDS[:1])
    path.unlink()
    file.write(RECORDS[1:2])
    assert content(path) == PLAIN[1:2]
    path.write_text("[]")
    file.write(RECORDS[2:3])
    assert content(path) == PLAIN[2:3]
    file.close()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        JsonFile(tmp_path / "file" / "performanceRecords.json").open()
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(Unavailable, match="directory"):
        JsonFile(tmp_path / "folder.json").open()


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "performanceRecords.json"
    file = opened(path)
    file.write(RECORDS[:2])
    write, room = os.write, [100]

    def write_a_little(descriptor: int, data: Any) -> int:
        if len(data) > 10 and room[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[: room[0]] if len(data) > 10 else data)
        room[0] = 0
        return written

    monkeypatch.setattr(os, "write", write_a_little)
    with pytest.raises(Unavailable, match="No space"):
        file.write(RECORDS[2:4])
    assert content(path) == PLAIN[:2]
    monkeypatch.undo()
    file.close()
    file.open()
    file.write(RECORDS[2:4])
    file.close()
    assert content(path) == PLAIN[:4]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_device_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "performanceRecords.json"
    path.symlink_to("/dev/zero")
    with pytest.raises(Unusable, match="no regular file"):
        JsonFile(path).load()
    with pytest.raises(Unavailable, match="no regular file"):
        JsonFile(path).open()
