"""Every frame of the acceptance scenarios, the station tests and the crash sweep, judged by `ocpp-rpc` strictly."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import trio

from tests.fakes.scripted import RECORDING
from tests.interop.conftest import require
from tests.interop.foreign import HERE

#: What is played. Stations of these tests are never made to send what the standard forbids.
PLAYED = ("tests/acceptance", "tests/station", "tests/process/test_crash_sweep.py")


@pytest.mark.interop
@pytest.mark.timeout(420)
async def test_strict_ocpp_rpc_finds_no_fault_with_any_frame_of_the_scenarios(tmp_path: Path) -> None:
    require("ocpp-rpc")
    recording = tmp_path / "frames.jsonl"
    play = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLAYED]
    played = await trio.run_process(
        play, cwd=HERE.parents[1], env={**os.environ, RECORDING: str(recording)}, capture_stdout=True, check=False
    )
    assert played.returncode == 0, played.stdout.decode()
    judge = ["node", str(HERE / "strict_frames.mjs"), str(recording)]
    judged = await trio.run_process(judge, capture_stdout=True, capture_stderr=True, check=False)
    assert judged.returncode == 0, judged.stderr.decode()
    verdict = json.loads(judged.stdout)
    assert verdict["violations"] == []
    assert verdict["unknown"] == []  # it knows every message, those of the security extension included
    assert verdict["frames"]["calls"] > 10_000, verdict["frames"]
    assert verdict["frames"]["results"] > 1000, verdict["frames"]
