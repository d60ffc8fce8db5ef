"""A fleet that people have ended stays so over runs, until they start it again."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.process.program import PATIENCE, Central, Program, central_system, program, write_fleet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")


async def ask(run: Program, procedure: str) -> dict[str, Any]:
    await run.until(lambda: "the UI is at " in run.err, "the UI", timeout=2 * PATIENCE)
    url = run.err.partition("the UI is at ")[2].split()[0]
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        answer = await client.post(f"{url}/ui/0.0.1/{procedure}", json={})
    decoded: dict[str, Any] = answer.json()
    return decoded


async def boots(central: Central, number: int) -> None:
    for name in ("CS-00001", "CS-00002"):
        await central.wait_for(name, "BootNotification", number, timeout=2 * PATIENCE)


async def test_stop_simulator_counts_for_the_next_run(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=2, AutomaticTransactionGenerator={"enable": False})
    config.write_text(json.dumps({**json.loads(config.read_text()), "uiServer": {"options": {"port": 0}}}))
    async with central_system() as (central, url):
        arguments = ("run", config, "--csms", url, "--data-dir", tmp_path / "data", "--log-level", "info")
        async with program(*arguments) as run:
            await boots(central, 1)
            assert (await ask(run, "stopSimulator"))["status"] == "success"
            run.process.kill()
        async with program(*arguments) as run:
            state = await ask(run, "simulatorState")
            assert state["state"]["started"] is False
            assert "it stays so until startSimulator" in run.err
            run.signal(signal.SIGINT)
            assert await run.ended() == 0
        # Whatever people have said: this one starts, and changes nothing for the next.
        async with program(*arguments, environ={"SIMULATOR_COLD_START": "1"}) as run:
            await boots(central, 2)
        async with program(*arguments) as run:
            assert (await ask(run, "startSimulator"))["status"] == "success"
            await boots(central, 3)
            run.process.kill()
        async with program(*arguments) as run:
            await boots(central, 4)
            assert (await ask(run, "simulatorState"))["state"]["started"] is True
            assert (await ask(run, "stopSimulator"))["status"] == "success"
            run.process.kill()
        async with program(*arguments, "--set", "persistState=false") as run:
            await boots(central, 5)
