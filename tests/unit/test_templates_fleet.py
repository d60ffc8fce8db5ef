"""From a configuration to its stations: where files are found, who is who, how many, and twins."""

from __future__ import annotations

import json
import random
import select
import string
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.config.load import load_config
from simulator.config.problems import ConfigurationError
from simulator.templates.check import check_file
from simulator.templates.fleet import (
    FleetPlan,
    choose_supervision_url,
    find_template,
    plan_fleet,
    scale,
    shipped_folder,
    shipped_templates,
)
from simulator.templates.identity import hash_id, serial_number, station_id
from simulator.templates.info import StationInfo, resolve_station
from simulator.templates.load import build_template, load_template
from simulator.templates.tags import load_tags

BASE: dict[str, Any] = {
    "baseName": "CS-T",
    "chargePointModel": "M",
    "chargePointVendor": "V",
    "power": 22080,
    "Connectors": {"0": {}, "1": {"bootStatus": "Available"}, "2": {"bootStatus": "Faulted"}},
}


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def plan(
    folder: Path,
    entries: Sequence[tuple[str, int]],
    *,
    stations: int | None = None,
    csms: Sequence[str] | None = None,
    environ: dict[str, str] | None = None,
    **config: Any,
) -> FleetPlan:
    document = {
        "supervisionUrls": "ws://csms",
        "stationTemplateUrls": [{"file": file, "numberOfStations": count} for file, count in entries],
        **config,
    }
    path = write(folder / "config.json", document)
    loaded = load_config(path, environ={})
    return plan_fleet(loaded, stations=stations, supervision_urls=csms, environ=environ or {})


def errors_of(folder: Path, entries: Sequence[tuple[str, int]], **options: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        plan(folder, entries, **options)
    return str(caught.value).splitlines()


def resolve(document: dict[str, Any], seed: int = 1, index: int = 1) -> StationInfo:
    loaded = build_template({**BASE, **document}, Path("mine.station-template.json"))
    name = station_id(loaded.template, index, {})
    identity = hash_id(loaded.template, name)
    return resolve_station(loaded, index, station_id=name, hash_id=identity, rng=random.Random(seed))


# -- identity ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "index", "expected"),
    [
        ("schneider", 1, "0058d8b50e422cce5bbd0c0a4ad13d5d657e8a88670dcf04"
         "c1b2b563fea3db5b96a3686278b374ed050e21baef89060e"),
        ("schneider", 2, "331d024fea36e3e2483a0e5dc9376234241c8c099ad201a4"
         "41437b23622c308555183f37cbc84a1818c1c45aaae50896"),
        ("keba", 1, "459b3d893c783f082823c3812e0910e3aecc3dcf08ab2ed3"
         "6ab587c456fddb4023866795a85c627b4e3c50364ad7df46"),
        ("siemens", 1, "256627d21bf834004d09a1c7b438a328ba667a2742882df6"
         "c2ae20764c8208237e1f0e5b0cf44f46fc836bb9046932f6"),
    ],
)  # fmt: skip
def test_hash_ids_are_those_of_existing_files_and_requests(name: str, index: int, expected: str) -> None:
    template = load_template(shipped_folder() / f"{name}.station-template.json").template
    assert hash_id(template, station_id(template, index, {})) == expected


@pytest.mark.parametrize(
    ("document", "index", "environ", "expected"),
    [
        ({}, 1, {}, "CS-T-00001"),
        ({}, 9999, {}, "CS-T-09999"),
        ({}, 12345, {}, "CS-T-012345"),
        ({"nameSuffix": "-B"}, 1, {}, "CS-T-00001-B"),
        ({"fixedName": True, "nameSuffix": "-B"}, 7, {"CF_INSTANCE_INDEX": "3"}, "CS-T"),
        ({}, 1, {"CF_INSTANCE_INDEX": "3"}, "CS-T-30001"),
        ({}, 1, {"CF_INSTANCE_INDEX": ""}, "CS-T-00001"),
    ],
)
def test_names(document: dict[str, Any], index: int, environ: dict[str, str], expected: str) -> None:
    template = build_template({**BASE, **document}, Path("x.json")).template
    assert station_id(template, index, environ) == expected


@pytest.mark.parametrize(
    ("prefix", "digits", "kept"), [("EV.2S22P44", 15, 10), ("X", 24, 1), ("P" * 17, 8, 17), ("P" * 40, 8, 17)]
)
def test_serial_numbers_fill_what_ocpp_allows(prefix: str, digits: int, kept: int) -> None:
    number = serial_number(prefix, random.Random(5))
    assert number is not None
    assert len(number) == 25
    assert number[:kept] == prefix[:kept]
    assert set(number[kept:]) <= set(string.digits + "ABCDEF")
    assert len(number[kept:]) == digits
    assert number != serial_number(prefix, random.Random(6))


def test_no_prefix_no_serial_number() -> None:
    assert serial_number(None, random.Random(1)) is None
    assert serial_number("", random.Random(1)) is None


# -- one station -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "power", "amperes", "volts", "phases"),
    [
        ({"power": 22080, "numberOfConnectors": 1}, 22080, 32, 230, 3),
        ({"power": 44160, "voltageOut": 231}, 44160, 32, 231, 3),
        ({"power": 44160, "voltageOut": 240}, 44160, 31, 240, 3),
        ({"power": 7360, "voltageOut": 231, "numberOfPhases": 1, "numberOfConnectors": 1}, 7360, 32, 231, 1),
        ({"power": 50, "powerUnit": "kW", "currentOutType": "DC"}, 50000, 125, 400, 0),
        ({"power": 75, "powerUnit": "kW", "currentOutType": "DC", "numberOfPhases": 3}, 75000, 188, 400, 0),
        ({"power": None}, 2 * 3 * 230 * 32, 32, 230, 3),
        ({"power": None, "currentOutType": "DC", "voltageOut": 800}, 50000, 63, 800, 0),
    ],
)
def test_electrics(document: dict[str, Any], power: float, amperes: float, volts: float, phases: int) -> None:
    info = resolve(document)
    assert (info.maximum_power, info.maximum_amperage) == (power, amperes)
    assert (info.voltage_out, info.number_of_phases) == (volts, phases)
    assert info.circuit.phases == phases


def test_lists_are_picked_from_and_the_same_seed_picks_the_same() -> None:
    document = {"power": [3700, 7400, 11000], "numberOfConnectors": [1, 2], "chargeBoxSerialNumberPrefix": "A"}
    infos = [resolve(document, seed) for seed in range(40)]
    assert {info.maximum_power for info in infos} == {3700, 7400, 11000}
    assert {info.number_of_connectors for info in infos} == {1, 2}
    assert all(sorted(info.connectors) == list(range(info.number_of_connectors + 1)) for info in infos)
    assert infos[7] == resolve(document, 7)


@pytest.mark.parametrize(
    ("document", "numbers"),
    [
        ({}, [0, 1, 2]),
        ({"useConnectorId0": False}, [1, 2]),
        ({"Connectors": {"1": {}}}, [1]),
        ({"numberOfConnectors": 1}, [0, 1]),
        ({"numberOfConnectors": 5}, [0, 1, 2, 3, 4, 5]),
        ({"Connectors": {"3": {}}, "randomConnectors": True, "numberOfConnectors": 2}, [1, 2]),
    ],
)
def test_connectors(document: dict[str, Any], numbers: list[int]) -> None:
    info = resolve(document)
    assert sorted(info.connectors) == numbers
    assert info.number_of_connectors == sum(number > 0 for number in numbers)


def test_connectors_are_dealt_at_random_only_where_asked_or_needed() -> None:
    fixed = {tuple(c.boot_status for c in resolve({}, seed).connectors.values()) for seed in range(20)}
    dealt = {resolve({"randomConnectors": True}, seed).connectors[1].boot_status for seed in range(20)}
    needed = {resolve({"numberOfConnectors": 3}, seed).connectors[1].boot_status for seed in range(20)}
    assert fixed == {(None, "Available", "Faulted")}
    assert dealt == needed == {"Available", "Faulted"}


def test_urls_of_the_template_go_before_those_of_the_configuration() -> None:
    loaded = build_template({**BASE, "supervisionUrls": "ws://own"}, Path("a.json"))
    options: dict[str, Any] = {"station_id": "a", "hash_id": "b", "fallback_supervision_urls": ["ws://all"]}
    assert resolve_station(loaded, 1, rng=random.Random(1), **options).supervision_urls == ("ws://own",)
    loaded = build_template(BASE, Path("a.json"))
    assert resolve_station(loaded, 1, rng=random.Random(1), **options).supervision_urls == ("ws://all",)


# -- where files are ---------------------------------------------------------------------------------------------------


def test_templates_are_found_in_the_users_folders_first(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    assert find_template("keba", config) == shipped_folder() / "keba.station-template.json"
    for folder in ("station_templates", "station-templates", "."):
        mine = write(tmp_path / folder / "keba.station-template.json", BASE)
        assert find_template("keba.station-template.json", config) == mine
        assert find_template("keba", config) == mine
    assert find_template(str(tmp_path / "station-templates" / "keba.station-template.json"), config) is not None
    assert find_template("keba\0", config) is None


def test_a_template_that_is_nowhere_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    lines = errors_of(tmp_path, [("shneider", 1), ("keba.json", 1), ("mine", 1)])
    assert len(lines) == 3
    assert (
        f'stationTemplateUrls[0].file: no template "shneider" in {tmp_path}, {tmp_path}/station-templates' in lines[0]
    )
    assert lines[0].endswith('did you mean "schneider"?')
    assert lines[1].endswith('did you mean "keba"?')
    assert "shipped are abb, abb-atg" in lines[2]


def test_all_files_are_checked_at_once(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {**BASE, "power": "x"})
    write(tmp_path / "b.json", {**BASE, "baseName": None, "authorizationFile": "tags.json"})
    write(tmp_path / "c.json", {**BASE, "authorizationFile": "tags.json"})
    write(tmp_path / "tags.json", ["ok", 5, "x" * 21])
    lines = errors_of(tmp_path, [("a", 1), ("b", 1), ("c", 1), ("nowhere", 1)])
    assert [line.split(": ")[1] for line in lines] == [
        "stationTemplateUrls[3].file", "power", "baseName", "[1]", "[2]"
    ]  # fmt: skip


def test_tag_lists_are_found_by_their_base_name(tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    write(folder / "mine.json", {**BASE, "authorizationFile": "some/where\\my-tags.json"})
    for place in (tmp_path / "my-tags.json", folder / "my-tags.json"):
        write(place, [place.parent.name[:20]])
        (station,) = plan(folder, [("mine", 1)]).stations
        assert station.entry.tag_file == place
        assert station.entry.id_tags == (place.parent.name[:20],)


def test_a_template_that_names_no_list_takes_the_usual_one(tmp_path: Path) -> None:
    write(tmp_path / "mine.json", BASE)
    assert plan(tmp_path, [("mine", 1)]).stations[0].entry.id_tags == ()
    write(tmp_path / "authorization-tags.json", ["A", "B"])
    assert plan(tmp_path, [("mine", 1)]).stations[0].entry.id_tags == ("A", "B")


def test_a_missing_tag_list_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "mine.json", {**BASE, "idTagsFile": "none.json"})
    (problem,) = plan(tmp_path, [("mine", 1)]).problems
    assert (problem.path, problem.severity) == ("idTagsFile", "warning")
    assert f'no tag list "none.json" in {tmp_path}, {tmp_path.parent}' in problem.message


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        ({}, [""]),
        (["a", ""], ["[1]"]),
        ([" "], ["[0]"]),
        ([None, True, 1.5, [], {}], ["[0]", "[1]", "[2]", "[3]", "[4]"]),
        (["x" * 20, "x" * 21], ["[1]"]),
        ([1e999], ["[0]"]),
    ],
)
def test_bad_tags(tmp_path: Path, content: Any, paths: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_tags(write(tmp_path / "tags.json", content))
    assert [problem.path for problem in caught.value.problems] == paths


# -- how many ----------------------------------------------------------------------------------------------------------


def test_a_fleet_is_its_entries_one_after_the_other(tmp_path: Path) -> None:
    found = plan(tmp_path, [("keba", 2), ("abb", 0), ("siemens", 1)])
    assert [station.station_id for station in found.stations] == ["CS-KEBA-00001", "CS-KEBA-00002", "CS-SIEMENS"]
    assert [(station.index, station.position) for station in found.stations] == [(1, 0), (2, 1), (1, 2)]
    assert found.stations[0].loaded_template is found.stations[1].loaded_template


def test_scaling_keeps_proportions_and_fixed_names(tmp_path: Path) -> None:
    found = plan(tmp_path, [("siemens", 3), ("keba", 2), ("abb", 1), ("virtual", 0)], stations=100)
    assert Counter(station.entry.file for station in found.stations) == {"siemens": 1, "keba": 66, "abb": 33}
    found = plan(tmp_path, [("siemens", 1)], stations=5)
    assert len(found.stations) == 1
    assert "instead of 5" in found.problems[0].message


@given(
    entries=st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=6), total=st.integers(0, 500)
)
def test_any_fleet_scales(entries: list[tuple[int, bool]], total: int) -> None:
    counts, fixed = [count for count, _ in entries], [is_fixed for _, is_fixed in entries]
    scaled = scale(counts, fixed, total)
    used = [position for position, count in enumerate(counts) if count]
    assert all(scaled[position] == 0 for position in range(len(counts)) if position not in used)
    assert all(scaled[position] <= 1 for position in used if fixed[position])
    if total >= len(used):
        assert all(scaled[position] >= 1 for position in used)
    growing = [position for position in used if not fixed[position]]
    if growing or total <= len(used):
        assert sum(scaled) == (min(total, len(used)) if not growing else total)
    for one in growing:
        for other in growing:
            if counts[one] > counts[other]:
                assert scaled[one] >= scaled[other]


def test_ten_thousand_stations_are_planned_quickly_from_one_template(tmp_path: Path) -> None:
    found = plan(tmp_path, [("keba", 10_000)])
    assert len({station.hash_id for station in found.stations}) == 10_000
    assert found.stations[-1].station_id == "CS-KEBA-010000"
    assert len(found.entries) == 1


def test_a_fleet_without_stations_or_without_a_central_system_is_an_error(tmp_path: Path) -> None:
    assert "comes to no station" in errors_of(tmp_path, [("keba", 0)])[0]
    (line,) = errors_of(tmp_path, [("keba", 1)], supervisionUrls=[])
    assert "--csms URL" in line
    assert "stationTemplateUrls[0]" in line
    found = plan(tmp_path, [("keba", 1)], csms=["ws://other"], supervisionUrls=[])
    assert found.stations[0].entry.supervision_urls == ("ws://other",)
    assert errors_of(tmp_path, [("keba", 1)], csms=["other:80"]) == [
        '--csms: "other:80": a URL begins with ws:// or wss://; write ws://other:80'
    ]


# -- twins -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        (
            [("abb", 3), ("abb-atg", 2)],
            'stationTemplateUrls[1]: station CS-ABB-00001 of "abb-atg" is made by stationTemplateUrls[0] ("abb") too;'
            ' give one of the two templates a nameSuffix, for example "nameSuffix": "-B"',
        ),
        (
            [("schneider", 1), ("keba", 1), ("schneider-imredd", 1)],
            'stationTemplateUrls[2]: station CS-SCHNEIDER-00001 of "schneider-imredd" is made by'
            ' stationTemplateUrls[0] ("schneider") too; give one of the two templates a nameSuffix, for example'
            ' "nameSuffix": "-B"',
        ),
        (
            [("keba", 1), ("keba.station-template.json", 2)],
            'stationTemplateUrls[1]: station CS-KEBA-00001 of "keba.station-template.json" is made by'
            ' stationTemplateUrls[0] ("keba") too; make one entry of the two with the sum of their numberOfStations',
        ),
        (
            [("siemens", 3)],
            'stationTemplateUrls[0].numberOfStations: 3 stations of "siemens" would all be named CS-SIEMENS: it has'
            " fixedName; write 1, or take fixedName out of the template",
        ),
    ],
)
def test_twins_are_one_error_that_names_both(tmp_path: Path, entries: list[tuple[str, int]], line: str) -> None:
    assert errors_of(tmp_path, entries) == [f"{tmp_path / 'config.json'}: {line}"]


def test_every_pair_of_twins_is_named_once(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.json", BASE)
    lines = errors_of(tmp_path, [("a", 5), ("b", 5), ("c", 5)])
    pairs = [(line.split(": ")[1], line.split("made by ")[1].split(" ")[0]) for line in lines]
    urls = [f"stationTemplateUrls[{n}]" for n in range(3)]
    assert sorted(pairs) == [(urls[1], urls[0]), (urls[2], urls[0]), (urls[2], urls[1])]


def test_namesakes_with_another_hash_may_live_on_different_central_systems(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {**BASE, "supervisionUrls": "ws://one"})
    write(tmp_path / "b.json", {**BASE, "supervisionUrls": "ws://two", "chargePointModel": "Other"})
    write(tmp_path / "c.json", {**BASE, "supervisionUrls": "ws://two"})
    assert len(plan(tmp_path, [("a", 2), ("b", 2)]).stations) == 4
    assert len(errors_of(tmp_path, [("a", 2), ("c", 2)])) == 1
    assert len(errors_of(tmp_path, [("a", 2), ("b", 2)], csms=["ws://same"])) == 1


def test_the_hub_is_refused_what_it_cannot_carry_and_auto_is_not(tmp_path: Path) -> None:
    write(tmp_path / "plain.json", {**BASE, "supervisionUrls": "ws://one"})
    write(tmp_path / "tls.json", {**BASE, "nameSuffix": "-T", "supervisionUrls": "wss://user:secret@two/ocpp"})
    write(tmp_path / "zip.json", {**BASE, "nameSuffix": "-Z", "wsOptions": {"perMessageDeflate": True}})
    assert len(plan(tmp_path, [("plain", 2)], transport="hub").stations) == 2
    mend = "write auto: it takes the hub where it can"
    place = f"{tmp_path / 'config.json'}: transport: hub serves ws:// without compression, and stationTemplateUrls[1]"
    for name, what in (("tls", "connects to wss://two/ocpp"), ("zip", "asks for compression")):
        entries = [("plain", 1), (name, 1)]
        assert errors_of(tmp_path, entries, transport="hub") == [f"{place} {what}; {mend}"]
        assert len(plan(tmp_path, entries).stations) == 2


def test_the_hub_needs_epoll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll", raising=False)
    write(tmp_path / "plain.json", BASE)
    line = f"{tmp_path / 'config.json'}: transport: this operating system has no epoll, which the hub needs; write auto"
    assert errors_of(tmp_path, [("plain", 1)], transport="hub") == [line]
    assert len(plan(tmp_path, [("plain", 1)]).stations) == 1


def test_a_name_suffix_parts_twins(tmp_path: Path) -> None:
    write(tmp_path / "a.json", BASE)
    write(tmp_path / "b.json", {**BASE, "nameSuffix": "-B"})
    assert len(plan(tmp_path, [("a", 2), ("b", 2)]).stations) == 4


def test_namesakes_are_seen_through_the_distribution_of_urls(tmp_path: Path) -> None:
    write(tmp_path / "a.json", BASE)
    write(tmp_path / "b.json", {**BASE, "chargePointModel": "Other"})
    urls = ["ws://one", "ws://two"]
    # Round-robin over the fleet gives the first station of a one URL and the first of b the other.
    found = plan(tmp_path, [("a", 1), ("b", 1)], supervisionUrls=urls, supervisionUrlDistribution="round-robin")
    assert len(found.stations) == 2
    assert len(errors_of(tmp_path, [("a", 1), ("b", 1)], supervisionUrls=urls)) == 1
    assert errors_of(tmp_path, [("a", 1), ("b", 1)], supervisionUrls=urls, supervisionUrlDistribution="random")


def test_distribution_of_urls() -> None:
    urls = ("a", "b", "c")
    rng = random.Random(1)
    fleet = [(1, 0), (2, 1), (1, 2), (2, 3)]
    by_index = [
        choose_supervision_url(urls, "charging-station-affinity", index=i, position=p, rng=rng) for i, p in fleet
    ]
    by_position = [choose_supervision_url(urls, "round-robin", index=i, position=p, rng=rng) for i, p in fleet]
    drawn = {choose_supervision_url(urls, "random", index=1, position=0, rng=rng) for _ in range(50)}
    assert by_index == ["a", "b", "a", "b"]
    assert by_position == ["a", "b", "c", "a"]
    assert drawn == set(urls)


# -- check -------------------------------------------------------------------------------------------------------------


def test_every_shipped_file_is_fine() -> None:
    assert len(shipped_templates()) >= 11
    for file in [*shipped_folder().glob("*.json"), *shipped_folder().glob("examples/*.json")]:
        assert [problem for problem in check_file(file) if problem.severity == "error"] == []


@pytest.mark.parametrize(
    ("name", "content", "path"),
    [
        ("a.json", {"stationTemplateUrls": [{"file": "nowhere"}], "supervisionUrls": "ws://a"},
         "stationTemplateUrls[0].file"),
        ("a.json", {"stationTemplateUrls": [{"file": "keba"}], "supervisionUrls": "a"}, "supervisionUrls"),
        ("a.json", {**BASE, "power": "x"}, "power"),
        ("a.json", ["x" * 30], "[0]"),
        ("my-config.json", {}, "stationTemplateUrls"),
        ("my.station-template.json", {"supervisionUrls": 5, "a": 1}, "supervisionUrls"),
        ("a.json", {}, ""),
        ("a.json", 5, ""),
        ("a.json", None, ""),
    ],
)  # fmt: skip
def test_check_knows_what_kind_of_file_it_has(tmp_path: Path, name: str, content: Any, path: str) -> None:
    errors = [problem.path for problem in check_file(write(tmp_path / name, content)) if problem.severity == "error"]
    assert path in errors


def test_check_of_a_configuration_goes_through_its_templates(tmp_path: Path) -> None:
    template = write(tmp_path / "mine.json", {**BASE, "power": "x", "baseNam": "y"})
    config = write(
        tmp_path / "config.json",
        {
            "supervisionUrls": "ws://a",
            "worker": {"processes": 2},
            "stationTemplateUrls": [{"file": "mine.json", "numberOfStations": 1}],
        },
    )
    problems = {(problem.file, problem.path, problem.severity) for problem in check_file(config)}
    assert problems == {
        (str(template), "power", "error"),
        (str(template), "baseNam", "warning"),
        (str(config), "worker.processes", "warning"),
    }


@pytest.mark.parametrize(
    ("statistics", "storage", "warned"),
    [
        ((False, False), {"enabled": True}, True),
        ((False, True), {"enabled": True}, False),
        ((False, False), {"enabled": True, "type": "none"}, False),
        ((False, False), {"enabled": False}, False),
    ],
)
def test_records_that_no_station_keeps_are_warned_about(
    tmp_path: Path, statistics: tuple[bool, bool], storage: dict[str, Any], warned: bool
) -> None:
    for name, keeps in zip("ab", statistics, strict=True):
        write(tmp_path / f"{name}.json", {**BASE, "nameSuffix": name, "enableStatistics": keeps})
    problems = plan(tmp_path, [("a", 1), ("b", 2)], performanceStorage=storage).problems
    assert [problem.path for problem in problems if "every template" in problem.message] == (
        ["performanceStorage"] if warned else []
    )


def test_check_of_what_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    for path in (tmp_path / "a.json", tmp_path, tmp_path / "none"):
        assert len(check_file(path)) == 1
