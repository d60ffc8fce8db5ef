"""The files of a run are read again: what is wrong counts as it was, and everything else takes effect."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from msgspec import structs

from simulator.cli.plans import DEMO_GENERATOR, DemoSources, FleetSources
from simulator.config.problems import ConfigurationError
from simulator.control.pacing import Pace
from simulator.control.reload import changed_sections, complaints_of, told_of
from simulator.templates.fleet import shipped_folder


@pytest.fixture
def sources(tmp_path: Path) -> FleetSources:
    config = {"supervisionUrls": "ws://one", "stationTemplateUrls": [{"file": "mine", "numberOfStations": 2}]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    shutil.copy(shipped_folder() / "keba.station-template.json", tmp_path / "mine.station-template.json")
    return FleetSources(
        path=tmp_path / "config.json", csms=None, overrides=["logLevel=debug"], stations=None, environ={}
    )


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_command_line_stays_in_force(sources: FleetSources) -> None:
    first = sources.read()
    edit(sources.path, logLevel="error", logConsole=True)
    second = sources.read(first)
    assert second.loaded.config.log_level == "debug"
    assert changed_sections(first.loaded, second.loaded) == ["logConsole"]


def test_a_rate_of_the_command_line_takes_the_place_of_the_file_s_pace(sources: FleetSources) -> None:
    edit(sources.path, worker={"startDelay": 500, "elementStartDelay": 20})
    first = structs.replace(sources, start_rate=50).read()
    assert Pace.of(first.loaded.config.worker, delay_given=True) == Pace(station=0.02)
    edit(sources.path, worker={"startRate": 3})
    assert structs.replace(sources, start_rate=50).read(first).loaded.config.worker.start_rate == 50
    demo = DemoSources(stations=7, start_rate=2.5, port=None, environ={}).read()
    assert demo.loaded.config.worker.start_rate == 2.5


def test_keys_that_wait_for_the_next_start_are_told_so(sources: FleetSources) -> None:
    first = sources.read()
    edit(sources.path, logConsole=True, timerGrid=0, transport="websocket")
    assert told_of(changed_sections(first.loaded, sources.read(first).loaded)) == [
        "logConsole changed",
        "timerGrid, transport changed: counts from the next start of the simulator",
    ]


def test_a_configuration_that_is_wrong_counts_as_it_was_and_templates_change(sources: FleetSources) -> None:
    first = sources.read()
    good = sources.path.read_text()
    sources.path.write_text(good[:30])
    edit(sources.path.parent / "mine.station-template.json", resetTime=7)
    second = sources.read(first)
    assert second.loaded is first.loaded
    assert [entry.loaded.template.reset_time for entry in second.plan.entries] == [7]
    (line,) = complaints_of(second.kept)
    assert line.startswith(f"{sources.path}: ")
    sources.path.write_text(good)
    third = sources.read(second)
    assert third.kept == ()
    assert third.loaded.config == first.loaded.config


def test_several_mistakes_of_a_file_are_one_line(sources: FleetSources) -> None:
    first = sources.read()
    edit(sources.path, logLevel=1, logRotate="perhaps", logFormat=3, uiServer=4)
    (line,) = complaints_of(sources.read(first).kept)
    assert "more: see simulator check" in line


def test_at_the_start_every_mistake_is_an_error(sources: FleetSources) -> None:
    (sources.path.parent / "mine.station-template.json").write_text("{")
    with pytest.raises(ConfigurationError):
        sources.read()


def test_the_demo_follows_templates_of_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sources = DemoSources(stations=7, port=None, environ={})
    first = sources.read()
    mine = tmp_path / "keba.station-template.json"
    assert any(place.resolve() == mine for place in first.plan.files.places)
    shutil.copy(shipped_folder() / mine.name, mine)
    edit(mine, resetTime=7)
    second = sources.read(first)
    changed = [entry.loaded.template for entry in second.plan.entries if entry.loaded.template.reset_time == 7]
    assert [template.automatic_transaction_generator for template in changed] == [DEMO_GENERATOR]
    for entry in second.plan.entries:  # its transactions are short: each shows what flows
        keys = {key.key: key.value for key in entry.loaded.template.configuration_keys}
        assert keys["MeterValueSampleInterval"] == "10"
