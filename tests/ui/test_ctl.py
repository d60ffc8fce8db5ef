"""The command ``ctl`` against a live simulator."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
import trio
from click.testing import CliRunner, Result

from simulator.cli.ctl import ctl, read_payload
from simulator.cli.output import Failure
from tests.ui.house import ANYWHERE, PATIENCE, House, UiServer, ui_house
from ui_protocol.base import Response


async def run(server: UiServer, *arguments: str, **environment: str) -> Result:
    """Run the command in a thread; it is a plain blocking client."""
    environment = {"SIMULATOR_UI_URL": f"http://127.0.0.1:{server.port}", **environment}
    return await trio.to_thread.run_sync(
        lambda: CliRunner().invoke(ctl, list(arguments), env=environment, standalone_mode=False)
    )


async def test_it_prints_the_answer_and_tells_by_its_exit_code() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server:
            good = await run(server, "heartbeat", "--compact")
            assert good.return_value == 0
            assert json.loads(good.stdout) == {"status": "success", "hashIdsSucceeded": house.hash_ids}
            bad = await run(server, "startTransaction", "connectorId=9")
            assert bad.return_value == 1
            assert "connector 9 does not exist" in bad.stderr
            assert json.loads(bad.stdout)["status"] == "failure"


async def test_stations_are_named_by_name_or_by_the_begin_of_their_identity() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server:
            first, second = house.hash_ids
            by_name = await run(server, "heartbeat", "--station", "CS-SCHNEIDER-00002")
            assert json.loads(by_name.stdout)["hashIdsSucceeded"] == [second]
            by_begin = await run(server, "heartbeat", "--hash-id", first[:6])
            assert json.loads(by_begin.stdout)["hashIdsSucceeded"] == [first]
            nobody = await run(server, "stopChargingStation", "--station", "nobody")
            assert isinstance(nobody.exception, Failure)
            stranger = await run(server, "stopChargingStation", "--hash-id", "xyz")
            assert str(stranger.exception) == "--hash-id xyz: there is no station whose identity begins so"
            any_of_them = await run(server, "stopChargingStation", "--hash-id", "")
            assert str(any_of_them.exception) == "--hash-id '': 2 stations have such an identity; write more of it"
            assert all(station.started for station in house.stations)


async def test_it_says_in_one_line_what_is_in_the_way() -> None:
    async with ui_house(stations={"keba": 1}) as house:
        async with house.serving(msgspec.structs.replace(ANYWHERE, username="admin", password="right")) as server:
            refused = await run(server, "listTemplates")
            assert "--user" in str(refused.exception)
            good = await run(server, "listTemplates", "--user", "admin", SIMULATOR_UI_PASSWORD="right")
            assert good.return_value == 0
            gone = f"http://127.0.0.1:{server.port}"
        nobody = await trio.to_thread.run_sync(
            lambda: CliRunner().invoke(ctl, ["heartbeat", "--url", gone], standalone_mode=False)
        )
        assert isinstance(nobody.exception, Failure)
        assert "no simulator answers there" in str(nobody.exception)


async def test_subscribe_follows_until_the_simulator_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server:
            told = await follow(house, partial(run, server, "subscribe", 'topics=["stations"]'), monkeypatch)
        assert told[0] == "stations"
        assert told[1]["changed"][0]["stationInfo"]["hashId"] == house.hash_ids[0]


async def follow(house: House, subscribe: Callable[[], Awaitable[Result]], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a subscription until the first news; the simulator then ends, and the command with it. Returns the news."""
    subscribed, told = trio.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()
    lines: list[str] = []
    call = house.control.call

    async def watched(name: str, *arguments: Any) -> Response:
        answer = await call(name, *arguments)
        subscribed.set()
        return answer

    def hear(text: str) -> None:
        lines.append(text)
        token.run_sync_soon(told.set)

    monkeypatch.setattr(house.control, "call", watched)
    monkeypatch.setattr("simulator.cli.ctl.give", hear)
    results: list[Result] = []

    async def run_it() -> None:
        results.append(await subscribe())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_it)
        with trio.fail_after(PATIENCE):
            await subscribed.wait()
            house.control.feed.changed(house.hash_ids[0])
            await told.wait()
        house.control.say_goodbye()
    assert results[0].exception is None
    assert results[0].return_value == 0
    return json.loads(lines[0])


@pytest.mark.parametrize(
    ("words", "parameters"),
    [
        ([], {}),
        (['{"a": 1}'], {"a": 1}),
        (["a=1", "b=text", "c=[1]", "d=", "e=x=y"], {"a": 1, "b": "text", "c": [1], "d": "", "e": "x=y"}),
    ],
)
def test_parameters_are_json_or_words(words: list[str], parameters: dict[str, Any]) -> None:
    assert read_payload(words) == parameters


def test_a_text_stays_one_when_it_looks_like_a_number() -> None:
    words = ["key=HeartbeatInterval", "value=30"]
    assert read_payload(words, "changeConfiguration") == {"key": "HeartbeatInterval", "value": "30"}
    words = ["connectorId=1", "idTag=12345678"]
    assert read_payload(words, "startTransaction") == {"connectorId": 1, "idTag": "12345678"}
    assert read_payload(['value="true"'], "changeConfiguration") == {"value": "true"}


def test_parameters_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"connectorId": 2}', encoding="utf-8")
    assert read_payload([f"@{file}"]) == {"connectorId": 2}


@pytest.mark.parametrize("words", [["word"], ["{"], ["=1"], ["@/nowhere"], ["{}", "{}"]])
def test_other_words_are_wrong_usage(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        read_payload(words)


def test_the_shell_completes_procedures() -> None:
    script = CliRunner().invoke(ctl, ["--completion", "bash"], prog_name="simulator")
    assert "_SIMULATOR_COMPLETE" in script.stdout
    parameter = next(each for each in ctl.params if each.name == "procedure")
    found = parameter.shell_complete(click.Context(ctl), "startT")
    assert [item.value for item in found] == ["startTransaction"]
    listed = CliRunner().invoke(ctl, ["--help-procedures"])
    assert "startTransaction" in listed.stdout
