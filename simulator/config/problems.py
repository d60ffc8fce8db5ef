"""What is wrong in a user's file: where, what, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

Severity = Literal["error", "warning"]
Place = tuple[str | int, ...]
"""A place inside a JSON document: keys and list positions."""

_SECRETS = ("password", "supervisionPassword", "passphrase", "auth", "pfx", "key", "headers")


class Problem(msgspec.Struct, frozen=True):
    """One thing to mend in one file.

    ``path`` names the place inside the file (``Connectors.1.MeterValues[0].unit``), empty for the file itself;
    ``suggestion`` says what to write instead.
    """

    file: str
    path: str
    message: str
    suggestion: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.file}: {self.path}" if self.path else self.file
        text = f"{place}: {self.message}"
        return f"{text}; {self.suggestion}" if self.suggestion else text


class ConfigurationError(Exception):
    """Files that cannot be used: ``problems`` holds the errors and the warnings beside them, the text is the errors."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems if problem.severity == "error"))


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether one of the problems makes its file unusable."""
    return any(problem.severity == "error" for problem in problems)


class Report:
    """Collects the problems of one file.

    Keys that were moved to another place after reading (legacy names, sections, overrides) are reported where the user
    wrote them: see :meth:`moved` and :meth:`written_elsewhere`.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._origins: dict[Place, Place] = {}
        self._files: dict[Place, str] = {}
        self._broken: set[Place] = set()
        self._known: set[Problem] = set()

    def error(self, path: Place, message: str, suggestion: str = "") -> None:
        """Add an error and remember its place as broken."""
        self._broken.add(path)
        self._add(path, message, suggestion, "error")

    def warning(self, path: Place, message: str, suggestion: str = "") -> None:
        """Add a warning."""
        self._add(path, message, suggestion, "warning")

    def moved(self, old: Place, new: Place) -> None:
        """What the user wrote at ``old`` is at ``new`` from now on."""
        self._origins[new] = old
        if (file := self._files.get(old)) is not None:
            self._files[new] = file

    def written_elsewhere(self, path: Place, file: str) -> None:
        """What is at ``path`` comes from ``file`` (an option of the command line, the environment)."""
        self._files[path] = file

    def broken(self, path: Place) -> bool:
        """Whether an error was reported at ``path``, above it or below it: then what follows from it is no news."""
        return any(path[: len(other)] == other or other[: len(path)] == path for other in self._broken)

    @property
    def failed(self) -> bool:
        """Whether an error was reported."""
        return has_errors(self.problems)

    def raise_errors(self) -> None:
        """Raise a :class:`ConfigurationError` of all problems if one is an error."""
        if self.failed:
            raise ConfigurationError(self.problems)

    def _add(self, path: Place, message: str, suggestion: str, severity: Severity) -> None:
        file = self.file
        for length in range(len(path), 0, -1):
            if (other := self._files.get(path[:length])) is not None:
                file = other
                break
        for length in range(len(path), 0, -1):
            if (origin := self._origins.get(path[:length])) is not None:
                path = origin + path[length:]
                break
        problem = Problem(file, show_path(path), message, suggestion, severity)
        if problem not in self._known:
            self._known.add(problem)
            self.problems.append(problem)


def show_path(path: Place) -> str:
    """``("Connectors", "1", "MeterValues", 0)`` as ``Connectors.1.MeterValues[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def show_value(value: Any, path: Place = ()) -> str:
    """A value as JSON in at most 60 characters; nothing of it where it may be a secret."""
    if is_secret(path):
        return "something else"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_secret(path: Place) -> bool:
    """Whether what is at ``path`` may be a secret, which no message may show."""
    return any(part in _SECRETS for part in path)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that ``word`` most likely means, if any is near; case counts little."""
    by_folded = {candidate.casefold(): candidate for candidate in words}
    found = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """``did you mean "…"?``, or nothing."""
    found = nearest(word, words)
    return f'did you mean "{found}"?' if found else ""
