"""The OCPP messages of a run, as its user finds them: in files, and with ``simulator log``."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.process.program import COMMAND, central_system, finished, program, write_fleet


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_messages_are_in_files_in_memory_and_shown_while_they_come(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=2, supervisionUser="someone", supervisionPassword="f00dcafe")
    settings = ("wireLog.file=wire.ndjson", "wireLog.stations=CS-00001", "uiServer.options.port=0")
    options = [word for setting in settings for word in ("--set", setting)]
    async with central_system() as (central, url):
        run: tuple[str | Path, ...] = ("run", config, "--csms", url, "--data-dir", tmp_path / "data", *options)
        async with program(*run) as fleet:
            await fleet.until(lambda: "dashboard: " in fleet.out, "the dashboard's URL")
            for station in ("CS-00001", "CS-00002"):
                await central.wait_for(station, "StatusNotification", 3, timeout=20)
            address = fleet.out.partition("dashboard: ")[2].split()[0]
            shown = ("log", "--url", address)
            latest = await finished(*shown, "--station", "CS-00002", "--action", "bootnotification")
            assert [line.split()[2:5] for line in latest.out.splitlines()] == [
                ["CS-00002", "->", "BootNotification"],
                ["CS-00002", "<-", "BootNotification"],
            ]
            diagram = await finished(*shown, "--station", "CS-0000*", "--mermaid")
            assert diagram.out.startswith("sequenceDiagram\n    participant S")

            file = tmp_path / "data" / "logs" / "wire.ndjson"
            async with program(*shown, "-f") as in_memory, program("log", file, "-f", "-n", "1") as in_files:
                await in_files.until(lambda: "\n" in in_files.out, "the last message of the file")
                await in_memory.until(lambda: "\n" in in_memory.out, "the messages that are there")
                await finished("ctl", "heartbeat", "--url", address, command=COMMAND)
                await in_memory.until(lambda: " -> Heartbeat [2," in in_memory.out, "a new message in memory")
                await in_files.until(lambda: " -> Heartbeat [2," in in_files.out, "a new message in the file")
                fleet.signal(signal.SIGINT)
                assert await fleet.ended() == 0
                # What it read is gone: nothing more can come.
                assert await in_memory.ended() == 0
                assert "the simulator does not answer any more" in in_memory.err

    (found,) = (tmp_path / "data" / "logs").glob("wire-*.ndjson")
    records = [json.loads(line) for line in found.read_text().splitlines()]
    assert {record["stationId"] for record in records} == {"CS-00001"}
    assert records[0]["frame"][2] == records[0]["action"] == "BootNotification"
    assert records[-1]["kind"] == "result"
    assert "f00dcafe" not in found.read_text() + latest.out + in_memory.out
    whole = await finished("log", file)
    assert len(whole.out.splitlines()) == len(records)


async def test_a_reader_that_has_had_enough_ends_the_following(tmp_path: Path) -> None:
    """``simulator log -f wire.ndjson | head -1``."""
    record = '{"time":"x","stationId":"CS-1","direction":"sent","kind":"call","frame":[2,"1","Heartbeat",{}]}\n'
    (tmp_path / "wire.ndjson").write_text(10_000 * record)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        run = await finished("log", tmp_path / "wire.ndjson", "-f", stdout=writing)
    finally:
        os.close(writing)
    assert (run.process.returncode, run.err) == (0, "")
