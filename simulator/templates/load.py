"""Reads a station template: other names of keys, all problems at once."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import time
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from simulator.config.checking import Checker, report_idle_keys
from simulator.config.load import texts
from simulator.config.problems import Place, Problem, Report, did_you_mean
from simulator.config.reading import read_json, tidy
from simulator.templates.meaning import check_meaning
from simulator.templates.model import StationTemplate
from simulator.templates.schemas import LEGACY_KEYS, NODE_ONLY_OPTIONS, OTHER_NAMES, template_schema

_PEM = "-----BEGIN"


class LoadedTemplate(msgspec.Struct, frozen=True):
    """A template, its file as it was read, and what is to be said about it.

    ``raw``: the document without ``null`` members. ``template_hash``: SHA-384 of the compact JSON of ``raw``, in hex;
    an edit of the layout alone keeps it. ``read_seconds``: how long it took to read and check.
    """

    template: StationTemplate
    raw: dict[str, Any]
    path: Path
    template_hash: str
    problems: list[Problem]
    read_seconds: float = 0.0

    @property
    def name(self) -> str:
        """The name of the template: its file's without the usual endings."""
        return self.path.name.removesuffix(".json").removesuffix(".station-template")


def load_template(path: Path) -> LoadedTemplate:
    """Read a template. Raises ConfigurationError with all problems if there is an error among them."""
    begun = time.perf_counter()
    report = Report(str(path))
    loaded = _resolve(read_json(path, report), path, report)
    return msgspec.structs.replace(loaded, read_seconds=time.perf_counter() - begun)


def build_template(document: dict[str, Any], path: Path) -> LoadedTemplate:
    """A template that is in no file; ``path`` gives its name and stands for it in messages.

    Raises ConfigurationError as :func:`load_template` does.
    """
    report = Report(str(path))
    return _resolve(tidy(document, report), path, report)


@cache
def template_checker() -> Checker:
    """The checker of template files."""
    return Checker(template_schema())


def compact_json(value: Any) -> str:
    """JSON without white space, non-ASCII characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _resolve(document: Any, path: Path, report: Report) -> LoadedTemplate:
    if not isinstance(document, dict):
        report.error((), "a template is an object in braces", 'for example {"baseName": "CS-MINE"}')
        document = {}
    report.raise_errors()
    raw = copy.deepcopy(document)
    _fold_names(document, report)
    _fold_evses(document, report)
    _fold_connectors(document, report)
    template_checker().check(document, report)
    report_idle_keys(StationTemplate, document, report)
    _normalise(document)
    _find_files(document, path.parent, report)
    template = msgspec.convert(document, StationTemplate, str_keys=True)
    check_meaning(template, document, report)
    report.raise_errors()
    template_hash = hashlib.sha384(compact_json(raw).encode()).hexdigest()
    return LoadedTemplate(template, raw, path, template_hash, report.problems)


# -- other spellings ---------------------------------------------------------------------------------------------------


def _fold_names(document: dict[str, Any], report: Report) -> None:
    for name, now in LEGACY_KEYS.items():
        if name in document:
            report.warning((name,), f"old name of {now}", f'write "{now}" instead')
    for name, now in (*LEGACY_KEYS.items(), *OTHER_NAMES.items()):
        if name not in document:
            continue
        value = document.pop(name)
        if now in document:
            report.warning((name,), f"another name of {now}, which is set too: ignored", "take one of them out")
        else:
            document[now] = value
            report.moved((name,), (now,))
    options = document.get("wsOptions")
    if isinstance(options, dict):
        for name in [name for name in options if name in NODE_ONLY_OPTIONS]:
            del options[name]
            report.warning(("wsOptions", name), "an option of Node.js that does nothing here")


def _fold_evses(document: dict[str, Any], report: Report) -> None:
    """Number the connectors of all EVSEs one after the other, as OCPP 1.6 does, which knows no EVSEs."""
    evses = document.get("Evses")
    if not isinstance(evses, dict) or not evses:
        return
    if document.get("Connectors"):
        report.error(("Evses",), "stands in place of Connectors, which is set too", "take one of them out")
        return
    connectors: dict[str, Any] = {}
    numbered: dict[str, Any] = {}
    number = 0
    for evse_id in sorted(evses, key=_numerically):
        evse, place = evses[evse_id], ("Evses", evse_id)
        if not re.fullmatch("0|[1-9][0-9]{0,3}", evse_id):
            report.error(place, "expected a number as the name", "count EVSEs 1, 2, 3…; 0 is the station")
        below = evse.get("Connectors") if isinstance(evse, dict) else None
        if not isinstance(below, dict):
            report.error(
                place, "expected an object in braces that has Connectors", 'for example {"Connectors": {"1": {}}}'
            )
            continue
        for name in evse.keys() - {"Connectors", "MeterValues"}:
            report.warning((*place, name), "unknown key, ignored", did_you_mean(name, ("Connectors", "MeterValues")))
        if evse_id != "0" and len(below) > 1:
            report.warning(place, "its connectors charge at the same time and share its power: OCPP 1.6 knows no EVSEs")
        for connector_id in sorted(below, key=_numerically):
            number += evse_id != "0"
            name = str(number) if evse_id != "0" else "0"
            definition = below[connector_id]
            connectors[name] = definition
            numbered.setdefault(evse_id, {"Connectors": {}})["Connectors"][name] = {}
            report.moved(("Evses", evse_id, "Connectors", connector_id), ("Connectors", name))
            if "MeterValues" in evse and isinstance(definition, dict):
                connectors[name] = {**definition, "MeterValues": evse["MeterValues"]}
                report.moved(("Evses", evse_id, "MeterValues"), ("Connectors", name, "MeterValues"))
    document["Connectors"] = connectors
    # What is left of the EVSEs is which connectors belong to which.
    document["Evses"] = numbered


def _numerically(name: str) -> tuple[int, str]:
    return (int(name) if name.isdecimal() and len(name) < 10 else 10**10, name)


def _fold_connectors(document: dict[str, Any], report: Report) -> None:
    connectors = document.get("Connectors")
    for name, connector in connectors.items() if isinstance(connectors, dict) else ():
        if not isinstance(connector, dict):
            continue
        if connector.pop("status", None) is not None:
            report.warning(
                ("Connectors", name, "status"), "ignored, a station finds it out", "write bootStatus instead"
            )
        entries = connector.get("MeterValues")
        for position, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict) and "minimum" in entry:
                place: Place = ("Connectors", name, "MeterValues", position)
                minimum = entry.pop("minimum")
                if "minimumValue" not in entry:
                    entry["minimumValue"] = minimum
                    report.moved((*place, "minimum"), (*place, "minimumValue"))


# -- from the file's values to the model's -----------------------------------------------------------------------------


def _normalise(document: dict[str, Any]) -> None:
    if "supervisionUrls" in document:
        document["supervisionUrls"] = texts(document["supervisionUrls"])
    for name in ("power", "numberOfConnectors"):
        if name in document and not isinstance(document[name], list):
            document[name] = [document[name]]
    for name in (
        "authorizationFile",
        "evProfilesFile",
        "amperageLimitationOcppKey",
        "supervisionUser",
        "supervisionPassword",
    ):
        if document.get(name) == "":
            del document[name]
    for key in document.get("Configuration", {}).get("configurationKey", ()):
        if "value" in key:
            key["value"] = _text(key["value"])
    options = document.get("wsOptions", {})
    if "headers" in options:
        options["headers"] = {
            name: ", ".join(value) if isinstance(value, list) else _text(value)
            for name, value in options["headers"].items()
        }
    if "perMessageDeflate" in options:
        options["perMessageDeflate"] = options["perMessageDeflate"] is not False
    for name in ("ca", "localAddress"):
        if name in options:
            options[name] = texts(options[name])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _find_files(document: dict[str, Any], folder: Path, report: Report) -> None:
    """Make the paths of certificates and keys absolute: they count from the template's folder."""
    options = document.get("wsOptions", {})
    for name in ("cert", "key", "pfx"):
        if name in options:
            options[name] = _find_file(options[name], name, folder, ("wsOptions", name), report)
    authorities = options.get("ca", [])
    for position, text in enumerate(authorities):
        place: Place = ("wsOptions", "ca", position) if len(authorities) > 1 else ("wsOptions", "ca")
        authorities[position] = _find_file(text, "ca", folder, place, report)


def _find_file(text: str, name: str, folder: Path, place: Place, report: Report) -> str:
    if _PEM in text:
        return text
    try:
        found = (folder / text).absolute() if len(text) < 4096 and (folder / text).is_file() else None
    except (OSError, ValueError):
        found = None
    if found is not None:
        return str(found)
    if name != "pfx":
        report.error(place, "neither PEM text nor a file", f"paths count from {folder.absolute()}")
    elif len(text) < 200:  # the shortest PKCS#12 store is longer
        report.error(place, "neither a file nor base64 of one", f"paths count from {folder.absolute()}")
    return text
