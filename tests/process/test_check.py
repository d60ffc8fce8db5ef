"""``simulator check``: every problem of every file, with its path and a mend."""

from __future__ import annotations

import json
from pathlib import Path

from tests.process.program import finished, write_fleet

BAD = {"stationTemplateUrls": [{"file": "ours", "numberOfStations": "x"}], "logLevl": "info"}


async def test_good_files_are_told_so(tmp_path: Path) -> None:
    write_fleet(tmp_path, stations=2)
    run = await finished("check", "config.json", ".", cwd=tmp_path)
    assert run.process.returncode == 0
    assert run.out.splitlines() == [
        "ok: config.json",
        "ok: authorization-tags.json",
        "ok: ours.station-template.json",
    ]
    assert run.err == "3 files: 0 errors, 0 warnings\n"


async def test_each_problem_is_a_line_and_errors_count(tmp_path: Path) -> None:
    write_fleet(tmp_path, stations=2, pwer=5)
    (tmp_path / "bad.json").write_text(json.dumps(BAD))
    run = await finished("check", "bad.json", "config.json", "ours.station-template.json", "nowhere", cwd=tmp_path)
    assert run.process.returncode == 1
    assert [line.split(": ")[:3] for line in run.out.splitlines()] == [
        ["warning", "bad.json", "logLevl"],
        ["error", "bad.json", "stationTemplateUrls[0].numberOfStations"],
        ["error", "bad.json", "supervisionUrls"],
        ["warning", "ours.station-template.json", "pwer"],
        ["error", "nowhere", f"there is no such file; looked in {tmp_path}"],
    ] or run.out
    assert 'did you mean "power"?' in run.out


async def test_warnings_alone_are_fine(tmp_path: Path) -> None:
    write_fleet(tmp_path, stations=2, pwer=5)
    run = await finished("check", "ours.station-template.json", cwd=tmp_path)
    assert run.process.returncode == 0
    assert run.err == "1 file: 0 errors, 1 warning\n"


async def test_problems_as_json(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(BAD))
    run = await finished("check", "--json", "bad.json", cwd=tmp_path)
    assert run.process.returncode == 1
    assert run.err == ""
    problems = json.loads(run.out)
    assert {frozenset(problem) for problem in problems} == {
        frozenset({"file", "path", "severity", "message", "suggestion"})
    }
    assert {
        "file": "bad.json",
        "path": "logLevl",
        "severity": "warning",
        "message": "unknown key, ignored",
        "suggestion": 'did you mean "logLevel"?',
    } in problems


async def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = await finished("check", "empty", cwd=tmp_path)
    assert run.process.returncode == 1
    assert run.out == "error: empty: a folder without .json files; name a folder of templates\n"
