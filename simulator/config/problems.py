"""What is wrong in a user's file: where, what, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True):
    """One thing to mend in one file.

    ``path`` names the place inside the file as JSON writes it (``Connectors.1.MeterValues[0].unit``), empty for the file
    itself; ``suggestion`` says what to write instead.
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
    """Files that cannot be used. ``problems`` holds the errors and the warnings found beside them; the text is the errors."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems if problem.severity == "error"))


def errors_among(problems: Iterable[Problem]) -> list[Problem]:
    """Those problems that make a file unusable."""
    return [problem for problem in problems if problem.severity == "error"]
