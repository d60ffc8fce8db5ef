"""``/metrics`` as the monitoring of others reads it: promtool, and the OpenMetrics parser of prometheus_client."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as prometheus_families

from simulator.config import storage_uris
from simulator.config.load import load_config
from simulator.events import CallReceived, CallSent, OddFrameReceived
from tests.ui.house import ANYWHERE, House, UiServer, ui_house

DOCKER = Path(__file__).parents[2] / "docker"
OPEN = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: it is in Debian's package prometheus"
)


def board_expressions() -> list[str]:
    """The queries of the Grafana board."""
    board = json.loads((DOCKER / "grafana" / "fleet.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


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
        families = list(openmetrics_families(text))  # type: ignore[no-untyped-call]
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
        samples = samples_of(prometheus_families(text))
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


async def test_every_metric_of_the_board_is_told() -> None:
    async with ui_house() as house, house.serving() as server:
        await busy(house)
        _, text = await scrape(server)
    samples = samples_of(prometheus_families(text))
    told = {name for name, _ in samples} | {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    labels = {(name, label) for name, named in samples for label, _ in named}
    for expression in board_expressions():
        names = set(re.findall(r"\b(?:simulator|process)_\w+", expression))
        assert names, expression
        assert names <= told, expression
        for group in re.findall(r"by \(([^)]*)\)", expression):
            for label in set(re.split(", *", group)) - {"instance"}:
                assert any((name, label) in labels for name in names), expression


@needs_promtool
async def test_promtool_understands_the_board_and_the_configuration(tmp_path: Path) -> None:
    values = {"$__rate_interval": "1m", "$job": ".+"}
    rules = []
    for number, expression in enumerate(board_expressions()):
        for name, value in values.items():
            expression = expression.replace(name, value)
        rules.append({"record": f"board:query_{number}", "expr": expression})
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    for check in (["check", "rules", str(file)], ["check", "config", str(DOCKER / "prometheus.yml")]):
        result = await trio.run_process(["promtool", *check], check=False, capture_stdout=True, capture_stderr=True)
        assert result.returncode == 0, result.stderr.decode()


def test_what_compose_mounts_and_builds_is_there() -> None:
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"csms", "simulator", "postgres", "prometheus", "grafana"}
    build = services["simulator"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).is_file()
    used = set()
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")  # nobody else gets in unless somebody wants it
        for source, *_ in (mount.split(":") for mount in service.get("volumes", [])):
            if source.startswith("./"):
                assert (DOCKER / source).is_file()
            else:
                used.add(source)
    assert used == set(compose["volumes"])
    # What the parts call each other.
    config = json.loads((DOCKER / "config.json").read_text())
    assert config["supervisionUrls"] == ["ws://csms:9000/"]
    scraped = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"]
    assert scraped == [{"targets": ["simulator:8080"]}]
    assert "simulator" in config["uiServer"]["accessPolicy"]["allowedHosts"]
    source = yaml.safe_load((DOCKER / "grafana" / "datasource.yaml").read_text())["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    board = json.loads((DOCKER / "grafana" / "fleet.json").read_text())
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}


def test_the_settings_that_compose_adds_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The image brings the driver, which the environment of the tests need not have.
    monkeypatch.setattr(storage_uris, "find_spec", lambda name: object())
    command = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["simulator"]["command"]
    overrides = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", each) for each in command[command.index("--set") + 1 :: 2]]
    shutil.copy(DOCKER / "config.json", tmp_path)
    loaded = load_config(tmp_path / "config.json", overrides=overrides, environ={})
    assert [problem for problem in loaded.problems if "extra" not in str(problem)] == []
    storage = loaded.config.performance_storage
    assert (storage.enabled, storage.uri) == (True, "postgresql://simulator:simulator@postgres/simulator")


def test_the_cloud_foundry_manifest_names_a_health_check_that_is_there() -> None:
    (application,) = yaml.safe_load((DOCKER / "cloudfoundry.yml").read_text())["applications"]
    assert application["health-check-http-endpoint"] == "/healthz"
    assert application["docker"] == {"image": "((image))"}


@needs_promtool
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
