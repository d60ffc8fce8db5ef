"""``/metrics`` as the monitoring of others reads it: promtool, and the OpenMetrics parser of prometheus_client."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import msgspec
import pytest
import trio
from prometheus_client import parser as prometheus
from prometheus_client.openmetrics import parser as openmetrics

from simulator.events import CallReceived, CallSent, OddFrameReceived
from tests.ui.house import ANYWHERE, House, UiServer, ui_house

OPEN = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}


async def scrape(server: UiServer, path: str = "/metrics", **headers: str) -> tuple[str, str]:
    answer = await server.http("GET", path, headers=headers)
    assert answer.status == 200
    return answer.headers["content-type"], answer.body.decode()


def samples_of(families: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


async def busy(house: House) -> None:
    """Let something of everything have happened, and central systems have odd ideas."""
    await house.ready()
    await house.call("startTransaction", {"connectorId": 1, "idTag": "TAG"})
    identity = (house.hash_ids[0], house.stations[0].info.station_id)
    for action in ('Odd "action"\\\n', "ü", "\ud800"):
        house.bus.publish(CallReceived(*identity, action, "NotSupported"))
        house.bus.publish(CallSent(*identity, action))
    house.bus.publish(OddFrameReceived(*identity, "late", ""))


async def test_the_parser_of_openmetrics_takes_it() -> None:
    async with ui_house() as house, house.serving() as server:
        await busy(house)
        kind, text = await scrape(server, "/metrics?station=CS-*", **OPEN)
        assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        families = list(openmetrics.text_string_to_metric_families(text))
        assert {family.type for family in families} == {"counter", "gauge", "histogram"}
        samples = samples_of(families)
        status = frozenset({("status", "Available")})
        assert samples["simulator_connectors", status] + sum(
            value for (name, labels), value in samples.items() if name == "simulator_connectors" and labels != status
        ) == sum(len(station.connectors) - 1 for station in house.stations)
        boot = frozenset({("action", "BootNotification"), ("le", "+Inf")})
        assert samples["simulator_call_duration_seconds_bucket", boot] == len(house.stations)
        assert samples["simulator_connect_duration_seconds_count", frozenset()] == len(house.stations)
        names = {dict(labels).get("station") for name, labels in samples if name == "simulator_station_connected"}
        assert names == {station.info.station_id for station in house.stations}


async def test_the_parser_of_prometheus_takes_it_and_no_station_is_named() -> None:
    async with ui_house() as house, house.serving() as server:
        await busy(house)
        kind, text = await scrape(server)
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        samples = samples_of(prometheus.text_string_to_metric_families(text))
        assert samples["simulator_calls_sent_total", frozenset({("action", "BootNotification")})] == 2
        assert not any("station" in dict(labels) for _, labels in samples)


async def test_more_stations_than_the_cap_are_left_out() -> None:
    async with ui_house() as house, house.serving(msgspec.structs.replace(ANYWHERE, metrics_cap=10)) as server:
        await house.ready()
        one, both = house.stations[0].info.station_id, "CS-*"
        assert "simulator_station_connected{" in (await scrape(server, f"/metrics?station={one}"))[1]
        text = (await scrape(server, f"/metrics?station={both}"))[1]
        assert "simulator_station_connected{" not in text
        assert "simulator_metrics_stations_left_out 2" in text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus")
async def test_promtool_finds_no_fault() -> None:
    async with ui_house() as house, house.serving() as server:
        await busy(house)
        for path in ("/metrics", "/metrics?station=*"):
            _, text = await scrape(server, path)
            check = await trio.run_process(
                ["promtool", "check", "metrics"],
                stdin=text.encode(),
                check=False,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
            )
            assert (check.returncode, check.stdout.decode()) == (0, "")
