"""What a user gets wrong is one clear line with the file or the option in it, an exit code, and no traceback."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.process.program import central_system, finished, program, write_fleet

FLEET = [{"file": "keba", "numberOfStations": 2}]
GOOD: Mapping[str, Any] = {"supervisionUrls": "ws://127.0.0.1:1/", "stationTemplateUrls": FLEET}
RUN = ("run", "c.json", "--duration", "0.2", "--data-dir", "data")

# The files in the folder (None: a folder), the arguments, what the line on standard error holds.
FILES: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "no file": ({}, RUN, ("c.json", "no such file")),
    "no file by default": ({}, ("run",), ("config.json", "demo")),
    "a folder": ({"c.json": None}, RUN, ("c.json", "folder")),
    "no JSON": ({"c.json": '{"stationTemplateUrls": [}'}, RUN, ("c.json", "line 1, column 26")),
    "no text": ({"c.json": b"\xff\xfe{}"}, RUN, ("c.json", "UTF-8")),
    "a bad value": (
        {"c.json": {**GOOD, "worker": {"startDelay": "soon"}}},
        RUN,
        ("c.json", "worker.startDelay", '"soon"', "500"),
    ),
    "a bad URL": ({"c.json": {**GOOD, "supervisionUrls": "http://h/"}}, RUN, ("c.json", "supervisionUrls", "ws://h/")),
    "no template": (
        {"c.json": {**GOOD, "stationTemplateUrls": [{"file": "kebab", "numberOfStations": 1}]}},
        RUN,
        ("c.json", "stationTemplateUrls[0].file", '"kebab"', 'did you mean "keba"?'),
    ),
    "a bad template": (
        {
            "c.json": {**GOOD, "stationTemplateUrls": [{"file": "t.json", "numberOfStations": 1}]},
            "t.json": {
                "baseName": "CS",
                "chargePointModel": "M",
                "chargePointVendor": "V",
                "Connectors": {"1": {}},
                "power": "much",
            },
        },
        RUN,
        ("t.json", "power", '"much"'),
    ),
    "twins": (
        {"c.json": {**GOOD, "stationTemplateUrls": FLEET * 2}},
        RUN,
        ("c.json", "stationTemplateUrls[1]", "stationTemplateUrls[0]", "CS-KEBA-00001"),
    ),
    "a bad tag list": (
        {
            "c.json": {**GOOD, "stationTemplateUrls": [{"file": "t.json", "numberOfStations": 1}]},
            "t.json": {
                "baseName": "CS",
                "chargePointModel": "M",
                "chargePointVendor": "V",
                "power": 1000,
                "Connectors": {"1": {}},
                "authorizationFile": "tags.json",
            },
            "tags.json": ["A", 5],
        },
        RUN,
        ("tags.json", "[1]", '"5" in quotes'),
    ),
    "a data directory that is a file": ({"c.json": GOOD, "data": "here"}, RUN, ("data: ", "--data-dir")),
    "a data directory below a file": ({"c.json": GOOD, "f": ""}, (*RUN[:-1], "f/data"), ("f/data: ", "--data-dir")),
    "--csms": ({"c.json": GOOD}, (*RUN, "--csms", "localhost:8010"), ("--csms", "ws://")),
    "--set without a value": ({"c.json": GOOD}, (*RUN, "--set", "worker"), ("--set", "path=value")),
    "--set a bad value": (
        {"c.json": GOOD},
        (*RUN, "--set", "stationTemplateUrls[0].numberOfStations=-1"),
        ("--set", "numberOfStations", "-1"),
    ),
    "csms on no address of ours": ({}, ("csms", "--host", "192.0.2.1"), ("192.0.2.1:9000", "--host")),
}

USAGE: Mapping[str, tuple[str, ...]] = {
    "--stations 0": ("run", "--stations", "0"),
    "--stations ten": ("demo", "--stations", "ten"),
    "--duration -1": ("run", "--duration", "-1"),
    "--duration nan": ("run", "--duration", "nan"),
    "--speed 0": ("run", "--speed", "0"),
    "--speed nan": ("demo", "--speed", "nan"),
    "--speed inf": ("demo", "--speed", "inf"),
    "--speed 1e9": ("demo", "--speed", "1e9"),
    "--seed x": ("run", "--seed", "x"),
    "--log-level loud": ("run", "--log-level", "loud"),
    "--csms ": ("run", "--csms", ""),
    "--port 65536": ("csms", "--port", "65536"),
    "--sped 2": ("run", "--sped", "2"),
}


def write_files(folder: Path, files: Mapping[str, Any]) -> None:
    for name, content in files.items():
        if content is None:
            (folder / name).mkdir()
        elif isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("case", FILES)
async def test_a_mistake_in_the_files_is_one_line(case: str, tmp_path: Path) -> None:
    files, arguments, told = FILES[case]
    write_files(tmp_path, files)
    run = await finished(*arguments, cwd=tmp_path)
    assert run.process.returncode == 1, run.err
    assert run.out == ""
    assert run.err.startswith("error: ")
    assert run.err.count("\n") == 1, run.err
    for words in told:
        assert words in run.err


@pytest.mark.parametrize("case", USAGE)
async def test_wrong_usage_is_one_line_with_the_option(case: str, tmp_path: Path) -> None:
    option = case.split(" ")[0]
    run = await finished(*USAGE[case], cwd=tmp_path)
    assert run.process.returncode == 2, run.err
    assert run.out == ""
    assert run.err.startswith("error: ")
    assert run.err.count("\n") == 1, run.err
    assert option in run.err
    assert f"see 'simulator {USAGE[case][0]} --help'" in run.err


async def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    entries = [{"file": "a.json", "numberOfStations": 1}, {"file": "b.json", "numberOfStations": 1}]
    template = {
        "baseName": "CS",
        "chargePointModel": "M",
        "chargePointVendor": "V",
        "power": "much",
        "Connectors": {"1": {}},
    }
    config = {**GOOD, "logLevl": "info", "stationTemplateUrls": entries}
    write_files(tmp_path, {"c.json": config, "a.json": template, "b.json": template})
    run = await finished(*RUN, cwd=tmp_path)
    assert run.process.returncode == 1
    assert [line.split(": ")[:3] for line in run.err.splitlines()] == [
        ["warning", "c.json", "logLevl"],
        ["error", "a.json", "power"],
        ["error", "b.json", "power"],
    ]


async def test_what_does_not_stop_the_run_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("")
    config = {**GOOD, "logLevl": "info", "logFile": str(tmp_path / "blocked" / "x.log")}
    async with central_system() as (_, url):
        write_files(tmp_path, {"c.json": {**config, "supervisionUrls": url}})
        run = await finished("run", "c.json", "--duration", "1", "--data-dir", "data", cwd=tmp_path)
    assert run.process.returncode == 0
    key, log = run.err.splitlines()
    assert key == 'warning: c.json: logLevl: unknown key, ignored; did you mean "logLevel"?'
    assert log.startswith(f"warning: cannot write the log file {tmp_path}")
    assert "2 of 2 stations accepted, " in run.out


async def test_one_data_directory_has_one_simulator(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with program("demo", "--stations", "1", "--data-dir", data) as first:
        await first.until(lambda: "central system: " in first.out, "the start")
        second = await finished("demo", "--stations", "1", "--duration", "1", "--data-dir", data)
        assert second.process.returncode == 1
        expected = f"error: {data}: another simulator (process {first.process.pid}) uses this data directory; "
        assert second.err.startswith(expected)
        assert second.err.count("\n") == 1
        assert first.process.returncode is None
        first.process.kill()
        await first.ended()
    third = await finished("demo", "--stations", "1", "--duration", "0.1", "--data-dir", data)
    assert third.process.returncode == 0, "the lock of a dead process holds nobody up"


async def test_an_environment_that_the_demo_cannot_use() -> None:
    run = await finished("demo", "--duration", "1", environ={"VCAP_APPLICATION": "{}", "PORT": "http"})
    assert run.process.returncode == 1
    assert run.err.startswith("error: environment: uiServer.options.port: ")
    assert run.err.count("\n") == 1


async def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = await finished("csms", "--port", str(port))
    assert run.process.returncode == 1
    assert run.err.startswith(f"error: 127.0.0.1:{port}: cannot listen here (")
    assert run.err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
async def test_a_fleet_that_needs_more_files_than_allowed_is_warned(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=60)
    limited = ["sh", "-c", 'ulimit -n 50; exec "$@"', "sh", sys.executable, "-m", "simulator"]
    run = await finished("run", config, "--duration", "0.2", "--data-dir", tmp_path / "data", command=limited)
    assert run.err.startswith("warning: this process may open 50 files and needs about ")
    assert "stations about 0 will connect; raise the hard limit (ulimit -Hn" in run.err
    assert "ulimit -Hn" in run.err
    assert "Traceback" not in run.err


async def test_a_configuration_in_another_folder_finds_its_files(tmp_path: Path) -> None:
    write_fleet(tmp_path / "site" / "fleet", stations=5)
    async with central_system() as (central, url):
        run = await finished(
            *("run", os.path.join("site", "fleet", "config.json"), "--csms", f"{url}ocpp", "--stations", "2"),
            *("--set", "logFormat=json", "--duration", "1"),
            cwd=tmp_path,
            environ={"SIMULATOR_DATA_DIR": "data"},
        )
        assert sorted(central.stations) == ["CS-00001", "CS-00002"]
    assert run.process.returncode == 0, run.err
    assert (tmp_path / "data" / "logs").is_dir()
    assert run.err == ""
    log = next((tmp_path / "data" / "logs").glob("combined*")).read_text()
    assert all(json.loads(line) for line in log.splitlines())


async def test_a_seed_makes_the_same_stations_again(tmp_path: Path) -> None:
    config = write_fleet(tmp_path, stations=2, chargePointSerialNumberPrefix="SN-", randomConnectors=True)
    boots = []
    for _ in range(2):
        async with central_system() as (central, url):
            arguments = ("--csms", url, "--seed", "5", "--duration", "3", "--data-dir", tmp_path / "data")
            await finished("run", config, *arguments)
            boots.append([dict(station.boot) for _, station in sorted(central.stations.items())])
    assert boots[0] == boots[1]
    assert len({boot["chargePointSerialNumber"] for boot in boots[0]}) == 2
