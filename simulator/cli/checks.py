"""The command ``check``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from simulator.cli.output import count, give, printable, problem_line, tell
from simulator.config.load import LoadedConfig
from simulator.config.problems import Problem, has_errors
from simulator.storage.performance.storage import Unusable, make_store
from simulator.templates.check import check_file


def check_files(places: Sequence[Path], *, as_json: bool, environ: Mapping[str, str]) -> int:
    """Check files, and the JSON files in folders; print the problems and return the exit code."""
    files, problems = _files(places)
    if not as_json:
        for line in map(problem_line, problems):
            give(line)
    for file in files:
        found = check_file(file, environ=environ, also=storage_problems)
        # A template that several configurations name is told of once.
        news = [problem for problem in found if problem not in problems]
        problems += news
        if not as_json:
            for line in map(problem_line, news):
                give(line)
            if not found:
                give(printable(f"ok: {file}"))
    if as_json:
        give(json.dumps([_as_dict(problem) for problem in problems], indent=2))
    else:
        errors = sum(problem.severity == "error" for problem in problems)
        warnings = len(problems) - errors
        tell(f"{count(len(files), 'file')}: {count(errors, 'error')}, {count(warnings, 'warning')}")
    return 1 if has_errors(problems) else 0


def storage_problems(loaded: LoadedConfig) -> list[Problem]:
    """Why performance records cannot be stored as a configuration says; files in the data directory are left aside."""
    try:
        store = make_store(loaded.config.performance_storage, Path())
        if store is not None:
            store.load()
    except Unusable as error:
        return [Problem(str(loaded.path), "performanceStorage.uri", str(error))]
    return []


def _files(places: Iterable[Path]) -> tuple[list[Path], list[Problem]]:
    """The files to check, each once, and the folders that hold none."""
    files: dict[Path, None] = {}
    problems = []
    for place in places:
        if not place.is_dir():
            files[place] = None
            continue
        try:
            found = sorted(file for file in place.iterdir() if file.suffix == ".json" and file.is_file())
        except OSError as error:
            problems.append(Problem(str(place), "", f"the folder cannot be read ({error.strerror})"))
            continue
        if not found:
            problems.append(Problem(str(place), "", "a folder without .json files", "name a folder of templates"))
        files.update(dict.fromkeys(found))
    return list(files), problems


def _as_dict(problem: Problem) -> dict[str, str]:
    return {
        "file": problem.file,
        "path": problem.path,
        "severity": problem.severity,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }
