"""Files change while people are at the controls: stations that they have added follow, and the UI server moves."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from simulator.config.load import LoadedConfig, default_config
from simulator.control.follow import FleetFollower, Outcome
from simulator.failures import UiCannotListen
from simulator.steering import UiService
from simulator.templates.fleet import FleetPlan, plan_fleet, shipped_folder
from tests.ui.house import House, ui_house


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


async def follow(house: House) -> tuple[Outcome, list[str]]:
    """Read the files of added stations again, and apply what has changed."""
    provisioner = house.control.provisioner
    assert provisioner is not None
    changes, wrong = provisioner.replan({station.info.hash_id for station in house.fleet})
    follower = FleetFollower(house.fleet, provisioner.maker, house.control.statistics)
    return await follower.apply(changes), wrong


async def test_added_stations_follow_their_template_with_their_options(tmp_path: Path) -> None:
    template = tmp_path / "mine.station-template.json"
    shutil.copy(shipped_folder() / "keba.station-template.json", template)
    async with ui_house(folder=tmp_path) as house:
        await house.ready()
        options = {"nameSuffix": "-X", "autoStart": False}
        payload = {"template": "mine", "numberOfStations": 2, "options": options}
        added = (await house.call("addChargingStations", payload))["hashIdsSucceeded"]
        provisioner = house.control.provisioner
        assert provisioner is not None
        assert template in provisioner.places()
        assert await follow(house) == (Outcome(), [])
        edit(template, resetTime=7)
        assert await follow(house) == (Outcome(changed=2), [])
        stations = [station for hash_id in added if (station := house.fleet.get(hash_id)) is not None]
        assert [station.info.template.reset_time for station in stations] == [7, 7]
        assert all(station.info.station_id.endswith("-X") for station in stations)
        template.write_text("{")
        outcome, wrong = await follow(house)
        assert outcome == Outcome()
        assert len(wrong) == 1
        await house.call("deleteChargingStations", {"hashIds": added[:1]})
        template.write_text((shipped_folder() / "keba.station-template.json").read_text())
        edit(template, voltageOut=110)
        assert await follow(house) == (Outcome(restarted=1), [])
        left = house.fleet.get(added[1])
        assert left is not None
        assert left.info.voltage_out == 110
        assert not left.started  # it was never started


async def test_stations_that_are_meant_to_be_added_are_shown(tmp_path: Path) -> None:
    def files(number: int) -> tuple[LoadedConfig, FleetPlan]:
        entries = [
            {"file": "keba", "provisionedNumberOfStations": number},
            {"file": "schneider", "numberOfStations": 2},
        ]
        document = {"supervisionUrls": "ws://x/", "stationTemplateUrls": entries}
        loaded = default_config(tmp_path / "config.json", document, environ={})
        return loaded, plan_fleet(loaded, environ={})

    async with ui_house() as house:
        for number in (4, 0):
            house.control.follow(*files(number))
            statistics = (await house.call("simulatorState"))["state"]["templateStatistics"]
            assert statistics.get("keba", {"provisioned": 0})["provisioned"] == number
            assert statistics["schneider"]["provisioned"] == 0


# -- the server --------------------------------------------------------------------------------------------------------


def config_of(port: int, **section: Any) -> LoadedConfig:
    entries = [{"file": "keba", "numberOfStations": 1}]
    document = {"stationTemplateUrls": entries, "uiServer": {"options": {"host": "127.0.0.1", "port": port}, **section}}
    return default_config(Path("config.json"), document, environ={})


async def status(url: str, **options: Any) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{url}/healthz", **options)).status_code


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found


async def test_the_server_moves_asks_for_a_password_and_stays_where_it_must(port: int) -> None:
    async with ui_house(stations={"keba": 1}) as house, trio.open_nursery() as root:
        service = UiService(root)
        await service.follow(config_of(0), house.control)
        first = service.urls[0]
        assert await status(first) == 200
        await service.follow(config_of(0), house.control)
        assert service.urls == [first]  # nothing has changed: nobody is disturbed

        await service.follow(config_of(port), house.control)
        assert service.urls == [f"http://127.0.0.1:{port}"]
        assert await status(service.urls[0]) == 200
        with pytest.raises(httpx.TransportError):
            await status(first)

        guarded = {"authentication": {"enabled": True, "username": "me", "password": "secret"}}
        await service.follow(config_of(port, **guarded), house.control)
        url = f"http://127.0.0.1:{port}/ui/0.0.1/heartbeat"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(url, json={})).status_code == 401
            assert (await client.post(url, json={}, auth=("me", "secret"))).status_code == 200

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(UiCannotListen, match="stays where it was"):
                await service.follow(config_of(taken.getsockname()[1]), house.control)
        assert service.urls == [f"http://127.0.0.1:{port}"]
        assert await status(service.urls[0]) in {200, 401}

        await service.close()
        assert service.urls == []
        await service.follow(config_of(port), house.control)
        assert await status(f"http://127.0.0.1:{port}") == 200
        root.cancel_scope.cancel()
