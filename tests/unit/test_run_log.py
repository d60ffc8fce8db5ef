"""What a run does with its log files and the files of its messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.config.model import SimulatorConfig, WireLogConfig
from simulator.events import EventBus
from simulator.run_log import RunWireFiles


async def test_a_wire_log_that_cannot_be_written_is_told_to_whoever_asked_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").touch()
    config = SimulatorConfig(station_template_urls=(), wire_log=WireLogConfig(file=str(tmp_path / "taken" / "wire")))
    files = RunWireFiles(config, EventBus(), tmp_path)
    await files.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: cannot write the wire log {tmp_path}/taken/wire")
    assert line.endswith("make room there or name another place")
