"""Which documents hold generated parts, and how these are found and replaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from simulator.docs.acceptance import UnknownTest, acceptance
from simulator.docs.commands import command_line
from simulator.docs.models import (
    command_support,
    config_keys,
    config_other_names,
    config_sections,
    connectors,
    generator,
    ocpp_key_entries,
    station_models,
    template_keys,
    template_other_names,
    vehicle_keys,
    vehicle_models,
    ws_options,
)
from simulator.docs.ocpp import ocpp_commands, ocpp_keys
from simulator.docs.sessions import sessions
from simulator.templates.publish import published_schemas

README = "README.md"
SCHEMAS = Path("station_templates", "schemas")
IMAGES = Path("simulator", "docs", "images")
ACCEPTANCE = Path("tests", "acceptance", "README.md")

PARTS: Mapping[str, Callable[[], str]] = {
    "command-line": command_line,
    "config-keys": config_keys,
    "config-sections": config_sections,
    "config-other-names": config_other_names,
    "station-models": station_models,
    "template-keys": template_keys,
    "template-other-names": template_other_names,
    "ocpp-key-entries": ocpp_key_entries,
    "generator": generator,
    "connectors": connectors,
    "commands-support": command_support,
    "ws-options": ws_options,
    "vehicle-models": vehicle_models,
    "vehicle-keys": vehicle_keys,
    "ocpp-commands": ocpp_commands,
    "ocpp-keys": ocpp_keys,
}
"""The text of each generated part of the README, by the name in its markers."""

_PART = re.compile(
    r"(?P<begin><!-- begin: (?P<name>[a-z-]+) -->\n)(?P<text>.*?)(?P<end><!-- end: (?P=name) -->)", re.DOTALL
)
_MARKER = re.compile(r"<!-- (?:begin|end): .*?-->")


class DocumentError(Exception):
    """A document is missing or its markers are wrong; the text is one line."""


def generated(text: str) -> str:
    """A README with its generated parts as they should be.

    :raises DocumentError: a marker has no partner, or its part is unknown, missing or there twice.
    """
    names = [match["name"] for match in _PART.finditer(text)]
    if len(_MARKER.findall(text)) != 2 * len(names):
        raise DocumentError(f"{README}: a begin or end marker has no partner of the same name")
    if sorted(names) != sorted(PARTS):
        wrong = sorted({name for name in names if names.count(name) > 1} | set(names) ^ set(PARTS))
        raise DocumentError(f"{README}: unknown, missing or repeated parts: {', '.join(wrong)}")
    return _PART.sub(lambda match: f"{match['begin']}\n{PARTS[match['name']]()}\n\n{match['end']}", text)


def stale_parts(root: Path) -> list[str]:
    """What :func:`write` would change, for people: ``README.md: config-keys``, ``station_templates/schemas/…``.

    :raises DocumentError: see :func:`generated`; or a table names a test that is not there.
    """
    try:
        return _stale_parts(root)
    except UnknownTest as error:
        raise DocumentError(str(error)) from None


def _stale_parts(root: Path) -> list[str]:
    text = _read(root / README)
    before = {match["name"]: match["text"] for match in _PART.finditer(text)}
    after = {match["name"]: match["text"] for match in _PART.finditer(generated(text))}
    stale = [f"{README}: {name}" for name in PARTS if before[name] != after[name]]
    for file, content in _whole_files().items():
        if not (root / file).is_file() or (root / file).read_text(encoding="utf-8") != content:
            stale.append(str(file))
    return stale


def write(root: Path) -> list[str]:
    """Bring everything up to date and return what was stale.

    :raises DocumentError: see :func:`generated`; nothing is written then.
    """
    stale = stale_parts(root)
    if stale:
        (root / README).write_text(generated(_read(root / README)), encoding="utf-8", newline="\n")
        for file, content in _whole_files().items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(content, encoding="utf-8", newline="\n")
    return stale


def _whole_files() -> dict[Path, str]:
    schemas = {SCHEMAS / name: schema for name, schema in published_schemas().items()}
    return {**schemas, ACCEPTANCE: acceptance(), **{IMAGES / name: drawing for name, drawing in sessions().items()}}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError(
            f"{file}: cannot be read ({error.strerror}); run this in the repository, or name it with --root"
        ) from None
