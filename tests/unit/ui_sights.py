"""What a browser or a client of the UI protocol sees of a configuration: each takes a configuration and looks."""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from simulator.config.load import LoadedConfig
from simulator.templates.fleet import FleetPlan
from simulator.ui_server.http import build_app
from simulator.ui_server.settings import UiSettings
from tests.station.key_world import planned
from tests.ui.house import ui_house

Document = dict[str, Any]
PROTOCOL = "/ui/0.0.1/simulatorState"


async def _in_real_time(look: Callable[[LoadedConfig, FleetPlan], Awaitable[Any]], config: Document) -> Any:
    """Look in a run of its own: sockets are no part of virtual time."""
    with planned(config=config) as (loaded, plan):
        return await trio.to_thread.run_sync(partial(trio.run, look, loaded, plan))


async def there_is_one(config: Document) -> bool:
    """Whether a run tells on the screen where its dashboard is."""
    with planned(config=config) as (loaded, _):
        command = [sys.executable, "-m", "simulator", "run", str(loaded.path), "--duration", "1"]
        with tempfile.TemporaryDirectory() as folder:
            run = await trio.run_process([*command, "--data-dir", folder], capture_stdout=True, check=False)
    return b"dashboard: http://" in run.stdout


async def address(config: Document) -> tuple[str, int]:
    """Where it listens."""
    with planned(config=config) as (loaded, _):
        settings = UiSettings.of(loaded.config.ui_server)
        return settings.host, settings.port


async def shown_type(config: Document) -> str:
    """What ``simulatorState`` tells of it; every transport is always there."""
    with planned(config=config) as (loaded, _):
        return str(loaded.config.ui_server.type)


async def shown_authentication(config: Document) -> str:
    """What ``simulatorState`` tells of the kind of authentication; both kinds are always understood."""
    with planned(config=config) as (loaded, _):
        return loaded.config.ui_server.authentication.type


async def answers(config: Document) -> list[int]:
    """HTTP status of a request without credentials, as admin:secret, as root:secret, and as admin:other."""

    async def look(loaded: LoadedConfig, _: FleetPlan) -> list[int]:
        async with ui_house(stations={"keba": 1}) as house:
            client = build_app(UiSettings.of(loaded.config.ui_server), house.control).test_client()
            found = []
            for user in (None, "admin:secret", "root:secret", "admin:other"):
                headers = {"Host": "localhost"}
                if user is not None:
                    headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
                answer = await client.post(PROTOCOL, data=json.dumps({}).encode(), headers=headers)
                found.append(answer.status_code)
            return found

    return list(await _in_real_time(look, config))
