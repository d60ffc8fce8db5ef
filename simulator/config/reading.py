"""Reading a JSON file that a person wrote.

Everything that can be wrong with it becomes a problem with a line and a column or a path; a key that is ``null`` counts
as absent, and a number without a fraction as a whole number, as in JavaScript.
"""

from __future__ import annotations

import json
import math
import re
import stat
from pathlib import Path
from typing import Any, NoReturn

from simulator.config.problems import ConfigurationError, Place, Report

MAX_DEPTH = 64
MAX_NUMBER = 2.0**53


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys occurred more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: list[str] = []
        if len(self) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen and key not in self.repeated:
                    self.repeated.append(key)
                seen.add(key)


def read_json(path: Path, report: Report) -> Any:
    """The content of a JSON file, without ``null`` members.

    Raises ConfigurationError at once if the file is not readable as JSON at all; other problems go to ``report``.
    """
    text = _read_text(path, report)
    if not text.strip():
        _give_up(report, "the file is empty", "write a JSON document into it")
    try:
        value = parse_json(text)
    except json.JSONDecodeError as error:
        message, suggestion = _explain(text, error)
        _give_up(report, f"line {error.lineno}, column {error.colno}: {message}", suggestion)
    except RecursionError:
        _give_up(report, f"nested more than {MAX_DEPTH} levels deep")
    return tidy(value, report)


def parse_json(text: str) -> Any:
    """Parse JSON text; numbers that do not fit and ``NaN`` are kept for :func:`tidy` to report."""
    return json.loads(text, object_pairs_hook=_Object, parse_int=_parse_int, parse_constant=float)


def tidy(value: Any, report: Report, path: Place = ()) -> Any:
    """Plain dicts and lists of a parsed document, without ``null`` members; reports what no JSON file should hold."""
    if len(path) > MAX_DEPTH:
        report.error(path[:3], f"nested more than {MAX_DEPTH} levels deep")
        return None
    if isinstance(value, dict):
        for key in getattr(value, "repeated", ()):
            report.warning((*path, key), "occurs more than once; the last one counts", "keep one of them")
        for key in value:
            _check_text(key, report, path)
        members = ((key, tidy(member, report, (*path, key))) for key, member in value.items() if member is not None)
        return {key: member for key, member in members if member is not None}
    if isinstance(value, list):
        return [tidy(item, report, (*path, position)) for position, item in enumerate(value)]
    if isinstance(value, str):
        _check_text(value, report, path)
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _tidy_number(value, report, path)
    return value


def _tidy_number(value: int | float, report: Report, path: Place) -> int | float | None:
    if math.isnan(value):
        report.error(path, "NaN is no JSON number", "write a number")
        return None
    if abs(value) > MAX_NUMBER:
        report.error(path, "the number is too large", f"write one below {int(MAX_NUMBER)}")
        return None
    return int(value) if value == int(value) else value


def _check_text(text: str, report: Report, path: Place) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            report.error(path, "holds half of a surrogate pair (\\ud800 to \\udfff)", "write the whole character")


def _parse_int(text: str) -> int | float:
    return int(text) if len(text) <= 300 else math.inf


def _read_text(path: Path, report: Report) -> str:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            _give_up(report, "is a folder", "name a file in it")
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            _give_up(report, "is no regular file", "name a JSON file")
        content = path.read_bytes()
    except FileNotFoundError:
        _give_up(report, "there is no such file", f"looked in {path.absolute().parent}")
    except PermissionError:
        _give_up(report, "no permission to read the file", "check its owner and mode")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        _give_up(report, f"cannot be read ({reason})")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        _give_up(report, f"line {line}: the file is not UTF-8 text", "save it as UTF-8")


def _explain(text: str, error: json.JSONDecodeError) -> tuple[str, str]:
    """What the parser stumbled over in a user's words, and the mend."""
    at = error.pos
    rest = text[at:].lstrip()
    before = text[:at].rstrip()
    if not rest:
        return "the document ends too early", "close what was opened: brackets, braces, quotes"
    if rest.startswith(("//", "/*", "#")):
        return "a comment", "JSON has no comments: take it out"
    if rest.startswith("'"):
        return "a single quote", 'write texts in double quotes, "like this"'
    if (rest[0] in "]}" and before.endswith(",")) or (rest[0] == "," and rest[1:].lstrip()[:1] in ("]", "}")):
        return "a comma before the closing bracket", "take the comma out"
    reason = error.msg[:1].lower() + error.msg[1:]
    if "delimiter" in reason and rest[0] == '"':
        return "a comma is missing before this", 'separate entries with ","'
    if word := re.match("True|False|None", rest):
        return f"{word[0]} is no JSON value", "write true, false or null"
    return f"not JSON ({reason.removesuffix(' at')})", "mend the document here"


def _give_up(report: Report, message: str, suggestion: str = "") -> NoReturn:
    report.error((), message, suggestion)
    raise ConfigurationError(report.problems)
