"""The whole program with a database: what it counts is what the database holds, and no password shows anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.databases.servers import PASSWORD, Server
from tests.process.program import central_system, finished, write_fleet

pytestmark = pytest.mark.databases


@pytest.mark.parametrize("server", ["postgresql", "mariadb", "mongodb"], indirect=True)
async def test_a_run_leaves_its_records_in_the_database(server: Server, tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=5)
    document = json.loads(config.read_text())
    storage = {"enabled": True, "type": server.kind, "uri": server.uri(), "interval": 1}
    config.write_text(json.dumps({**document, "performanceStorage": storage, "uiServer": {"enabled": False}}))
    data = tmp_path / "data"
    async with central_system() as (central, url):
        options = ("--speed", "100", "--duration", "4", "--json", "--log-level", "debug", "--data-dir", data)
        run = await finished("run", config, "--csms", url, *options, within=60)
        assert central.violations == []
    assert run.process.returncode == 0, run.err
    latest = {record["name"]: record["statisticsData"] for record in server.records()}
    assert sorted(latest) == [f"CS-0000{number}" for number in range(1, 6)]
    sent = {"BootNotification", "Heartbeat", "MeterValues", "StatusNotification", "Authorize"}
    sent |= {"StartTransaction", "StopTransaction"}
    counted = sum(data.get(action, {}).get("countRequest", 0) for data in latest.values() for action in sent)
    assert counted == json.loads(run.out)["calls"]["sent"]
    assert len(server.records()) > 5, "one record of each station every second, while there is something new"
    logs = "".join(file.read_text(encoding="utf-8") for file in (data / "logs").iterdir())
    assert f"performance records go to {server.kind}://127.0.0.1:{server.port}/simulator" in logs
    assert PASSWORD not in logs + run.out + run.err
