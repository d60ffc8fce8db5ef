"""The file that says whether the fleet runs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from simulator.storage.run_state import FILE, RunState


def test_what_was_written_is_read_by_the_next_run(tmp_path: Path) -> None:
    assert RunState(tmp_path).read()
    for started in (False, True, False):
        RunState(tmp_path).write(started)
        assert RunState(tmp_path).read() is started
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "content", ["", "{}", '{"version": 1}', '{"version": 2, "started": false}', '{"version": 1, "started": 0}']
)
def test_a_file_that_says_nothing_useful_is_told_and_the_fleet_starts(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_text(content)
    with caplog.at_level(logging.WARNING):
        assert RunState(tmp_path).read()
    assert "the fleet starts" in caplog.text


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        RunState(tmp_path / "gone").write(False)
    assert "cannot be written" in caplog.text
