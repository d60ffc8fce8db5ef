"""Which version a firmware update brings: the template's, one step further."""

from __future__ import annotations

import re

from simulator.templates.model import StationTemplate

#: OCPP 1.6 §6.3: BootNotification takes no longer one.
LONGEST = 50

_NUMBER = re.compile(r"[0-9]+")


def next_version(version: str | None, template: StationTemplate) -> str | None:
    """The version after an update of ``version``.

    ``firmwareUpgrade.versionUpgrade`` says by how much to raise which group of ``firmwareVersionPattern``; without a
    group it is the last group that is a number, and without a pattern that fits the last number of the text. A version
    without a number, or one that would become too long, stays.
    """
    if version is None:
        return None
    span = _number_to_raise(version, template)
    if span is None:
        return version
    begin, end = span
    step = template.firmware_upgrade.version_upgrade.step if template.firmware_upgrade is not None else 1
    number = str(max(0, int(version[begin:end]) + step)).zfill(_padding(version[begin:end]))
    raised = f"{version[:begin]}{number}{version[end:]}"
    return raised if len(raised) <= LONGEST else version


def _number_to_raise(version: str, template: StationTemplate) -> tuple[int, int] | None:
    pattern = template.firmware_version_pattern
    match = re.search(pattern, version) if pattern else None
    if match is not None:
        group = template.firmware_upgrade.version_upgrade.pattern_group if template.firmware_upgrade else None
        groups = [group] if group is not None else range(match.re.groups, 0, -1)
        for number in groups:
            if number <= match.re.groups and _NUMBER.fullmatch(match.group(number) or ""):
                return match.span(number)
    numbers = list(_NUMBER.finditer(version))
    return numbers[-1].span() if numbers else None


def _padding(digits: str) -> int:
    """``007`` goes on with ``008``; 0 for numbers without leading zeros."""
    return len(digits) if digits.startswith("0") and len(digits) > 1 else 0
