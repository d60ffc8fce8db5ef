"""From one plan of a fleet to the next: nothing is touched that did not change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from simulator.config.load import load_config
from simulator.config.problems import ConfigurationError
from simulator.templates.fleet import FleetPlan, plan_fleet
from simulator.templates.plan_changes import PlanChanges, compare_plans

TEMPLATE: Mapping[str, Any] = {
    "chargePointVendor": "Acme",
    "chargePointModel": "One",
    "Connectors": {"0": {}, "1": {}},
}


class Files:
    """A configuration with templates ``a``, ``b``, … whose stations are called A-0…, B-0…"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = {"supervisionUrls": "ws://one", "stationTemplateUrls": []}
        self._plan: FleetPlan | None = None

    def template(self, name: str, **changes: Any) -> None:
        document = {**TEMPLATE, "baseName": name.upper(), **changes}
        (self.folder / f"{name}.station-template.json").write_text(json.dumps(document))

    def fleet(self, **counts: int) -> None:
        self.config["stationTemplateUrls"] = [
            {"file": name, "numberOfStations": count} for name, count in counts.items()
        ]

    def tags(self, *tags: str) -> None:
        (self.folder / "authorization-tags.json").write_text(json.dumps(tags))

    def read(self) -> FleetPlan:
        path = self.folder / "config.json"
        path.write_text(json.dumps(self.config))
        self._plan = plan_fleet(load_config(path, environ={}), environ={}, former=self._plan)
        return self._plan


@pytest.fixture
def files(tmp_path: Path) -> Files:
    found = Files(tmp_path)
    found.template("a")
    found.template("b")
    found.fleet(a=2, b=2)
    return found


def names(changes: PlanChanges) -> dict[str, list[str]]:
    """The names of the stations that are touched, by what happens to them."""
    found = {
        "removed": [station.station_id for station in changes.removed],
        "renamed": [change.after.station_id for change in changes.renamed],
        "changed": [change.after.station_id for change in changes.changed],
        "added": [station.station_id for station in changes.added],
    }
    return {what: stations for what, stations in found.items() if stations}


def test_reading_the_same_files_again_changes_nothing(files: Files) -> None:
    changes = compare_plans(files.read(), files.read())
    assert not changes
    assert names(changes) == {}


def test_counts_add_and_remove_the_last_stations(files: Files) -> None:
    before = files.read()
    files.fleet(a=1, b=4)
    assert names(compare_plans(before, files.read())) == {"removed": ["A-00002"], "added": ["B-00003", "B-00004"]}


def test_an_entry_that_comes_first_or_goes_leaves_the_others_alone(files: Files) -> None:
    before = files.read()
    files.template("c")
    files.fleet(c=1, a=2, b=2)
    between = files.read()
    assert names(compare_plans(before, between)) == {"added": ["C-00001"]}
    files.fleet(c=1, b=2)
    assert names(compare_plans(between, files.read())) == {"removed": ["A-00001", "A-00002"]}


@pytest.mark.parametrize("distribution", ["round-robin", "random", "charging-station-affinity"])
def test_a_new_entry_moves_no_station_to_another_central_system(files: Files, distribution: str) -> None:
    files.config |= {"supervisionUrls": ["ws://one", "ws://two"], "supervisionUrlDistribution": distribution}
    before = files.read()
    files.template("c")
    files.fleet(c=1, a=2, b=2)
    assert names(compare_plans(before, files.read())) == {"added": ["C-00001"]}


def test_a_template_changes_its_stations_only(files: Files) -> None:
    before = files.read()
    files.template("b", resetTime=5)
    after = files.read()
    changes = compare_plans(before, after)
    assert names(changes) == {"changed": ["B-00001", "B-00002"]}
    assert all(not change.urls for change in changes.changed)


def test_a_template_that_only_looks_different_changes_nothing(files: Files) -> None:
    before = files.read()
    path = files.folder / "b.station-template.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4) + "\n\n")
    assert names(compare_plans(before, files.read())) == {}


def test_boot_data_give_stations_another_identity_under_their_name(files: Files) -> None:
    before = files.read()
    files.template("b", firmwareVersion="2.0")
    changes = compare_plans(before, files.read())
    assert names(changes) == {"renamed": ["B-00001", "B-00002"]}
    assert all(change.before.hash_id != change.after.hash_id for change in changes.renamed)
    assert [change.before.station_id for change in changes.renamed] == ["B-00001", "B-00002"]


def test_another_base_name_makes_other_stations(files: Files) -> None:
    before = files.read()
    files.template("b", baseName="X")
    assert names(compare_plans(before, files.read())) == {
        "removed": ["B-00001", "B-00002"],
        "added": ["X-00001", "X-00002"],
    }


def test_central_systems_and_tags_change_all_stations_that_have_them(files: Files) -> None:
    files.template("a", supervisionUrls="ws://own")
    before = files.read()
    files.config["supervisionUrls"] = "ws://two"
    between = files.read()
    changes = compare_plans(before, between)
    assert names(changes) == {"changed": ["B-00001", "B-00002"]}
    assert all(change.urls for change in changes.changed)
    files.tags("T1")
    assert len(compare_plans(between, files.read()).changed) == 4


def test_a_template_that_is_wrong_or_gone_counts_as_it_was_and_others_change(files: Files) -> None:
    before = files.read()
    files.template("a", power="much")
    files.template("b", resetTime=5)
    after = files.read()
    assert names(compare_plans(before, after)) == {"changed": ["B-00001", "B-00002"]}
    assert [problem.path for problem in after.kept] == ["power"]
    (files.folder / "a.station-template.json").unlink()
    last = files.read()
    assert names(compare_plans(after, last)) == {}
    assert "is gone" in last.kept[0].message
    files.template("a", resetTime=7)
    mended = files.read()
    assert names(compare_plans(last, mended)) == {"changed": ["A-00001", "A-00002"]}
    assert mended.kept == ()


def test_a_tag_list_that_is_wrong_counts_as_it_was(files: Files) -> None:
    files.tags("T1", "T2")
    before = files.read()
    (files.folder / "authorization-tags.json").write_text('["T1", ')
    after = files.read()
    assert names(compare_plans(before, after)) == {}
    assert len(after.kept) == 1


def test_a_fleet_that_does_not_fit_together_is_refused_as_a_whole(files: Files) -> None:
    files.read()
    files.template("b", baseName="A")
    with pytest.raises(ConfigurationError):
        files.read()


def test_the_places_of_files_are_known_before_the_files_are_there(files: Files) -> None:
    places = files.read().files.places
    assert files.folder / "authorization-tags.json" in places
    assert files.folder / "station-templates" / "a.station-template.json" in places
