"""RFID tag lists: JSON arrays of tags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator.config.problems import Problem, Report, show_value
from simulator.config.reading import read_json

LONGEST_TAG = 20
"""Characters of an idTag (OCPP 1.6 §7.28)."""

USUAL_FILE = "authorization-tags.json"
"""The list of a template that names none, if the configuration's folder holds it."""


def load_tags(path: Path) -> tuple[tuple[str, ...], list[Problem]]:
    """The tags of a list and what is to be said about it.

    Raises ConfigurationError with all problems if there is an error among them.
    """
    report = Report(str(path))
    tags = check_tags(read_json(path, report), report)
    report.raise_errors()
    return tags, report.problems


def check_tags(document: Any, report: Report) -> tuple[str, ...]:
    """The good tags of a parsed list; the others are reported."""
    if not isinstance(document, list):
        report.error((), "a tag list is an array of texts", 'for example ["TAG1", "TAG2"]')
        return ()
    tags: list[str] = []
    for position, tag in enumerate(document):
        if report.broken((position,)):
            continue
        if not isinstance(tag, str):
            suggestion = f'write "{tag}" in quotes' if isinstance(tag, int) and not isinstance(tag, bool) else ""
            report.error((position,), f"expected a text, got {show_value(tag)}", suggestion)
        elif not tag.strip():
            report.error((position,), "an empty tag", "take it out")
        elif len(tag) > LONGEST_TAG:
            report.error((position,), f"{len(tag)} characters, and OCPP allows {LONGEST_TAG}", f'shorten "{tag}"')
        else:
            tags.append(tag)
    return tuple(tags)


def find_tag_list(name: str | None, config_folder: Path, shipped: Path) -> tuple[Path | None, list[Path]]:
    """The file of the list that a template names, and where it was looked for; see :func:`find_by_base_name`."""
    if name is None:
        usual = config_folder / USUAL_FILE
        return (usual if usual.is_file() else None), []
    return find_by_base_name(name, config_folder, shipped)


def find_by_base_name(name: str, config_folder: Path, shipped: Path) -> tuple[Path | None, list[Path]]:
    """A file that a template names, and where it was looked for.

    Only the base name counts: it is searched in the configuration's folder, its parent, and among the shipped ones.
    """
    base = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    places: Sequence[Path] = (config_folder, config_folder.absolute().parent, shipped)
    candidates = [folder / base for folder in places]
    return next((file for file in candidates if base and file.is_file()), None), candidates
