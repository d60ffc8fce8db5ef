"""A client of the UI protocol on Node.js, written to the protocol's first manual alone, runs every procedure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.interop.conftest import require
from tests.interop.foreign import HERE
from tests.ui.house import ui_house
from ui_protocol.procedures import PROCEDURES
from ui_protocol.samples import HASH_IDS, SAMPLES

#: Procedures whose samples may fail here: nobody speaks OCPP 2.x, transaction 1 has ended, a vehicle came with that of
#: startTransaction, and this central system knows no vendor.
MAY_FAIL = {name for name, procedure in PROCEDURES.items() if procedure.group == "OCPP 2.x"} | {
    "dataTransfer",
    "plugIn",
    "stopTransaction",
}
#: These come last, for others need the stations that they change.
LAST = (
    *("powerCycle", "closeConnection", "setSupervisionUrl"),
    *("stopChargingStation", "deleteChargingStations", "stopSimulator"),
)


def _filled(value: Any, hash_ids: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(member, hash_ids) for name, member in value.items()}
    if isinstance(value, list):
        return [_filled(item, hash_ids) for item in value]
    return dict(zip(HASH_IDS, hash_ids, strict=True)).get(value, value) if isinstance(value, str) else value


@pytest.mark.interop
@pytest.mark.timeout(120)
async def test_a_client_of_the_first_manual_runs_every_procedure(tmp_path: Path) -> None:
    require("ws")
    async with ui_house() as house, house.serving() as server:
        await house.ready()
        order = sorted(PROCEDURES, key=lambda name: LAST.index(name) if name in LAST else -1)
        further = [[name, _filled(SAMPLES[name], house.hash_ids)] for name in order]
        url = f"ws://127.0.0.1:{server.port}/"
        command = ["node", str(HERE / "ui_client.mjs"), url, json.dumps(further)]
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        answers = json.loads(done.stdout)
        by_sample = dict(answers[-len(further) :])
        assert list(by_sample) == order
        failed = {name: answer for name, answer in by_sample.items() if answer["status"] != "success"}
        assert failed.keys() <= MAY_FAIL, json.dumps(failed, indent=1)
        assert "internal error" not in json.dumps(failed)
