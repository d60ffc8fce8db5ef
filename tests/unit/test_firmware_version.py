"""Which version a firmware update brings."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.station.firmware_version import next_version
from simulator.templates.model import FirmwareUpgrade, StationTemplate, VersionUpgrade

SEMVER = r"^(\d+)\.(\d+)\.(\d+)(?:-(\w+))?$"


def template(pattern: str | None = None, **upgrade: Any) -> StationTemplate:
    return StationTemplate(
        firmware_version_pattern=pattern,
        firmware_upgrade=FirmwareUpgrade(version_upgrade=VersionUpgrade(**upgrade)) if upgrade else None,
    )


@pytest.mark.parametrize(
    ("version", "model", "following"),
    [
        ("1.2.9", template(), "1.2.10"),
        ("1.2.9", template(step=5), "1.2.14"),
        ("1.2.9", template(SEMVER), "1.2.10"),
        ("1.2.9-rc1", template(SEMVER), "1.2.10-rc1"),
        ("1.2.9", template(SEMVER, pattern_group=1), "2.2.9"),
        ("1.2.9", template(SEMVER, pattern_group=2, step=-7), "1.0.9"),
        ("MCC 1.2.0; SCC [0.12.0, 0.13.0]", template(), "MCC 1.2.0; SCC [0.12.0, 0.13.1]"),
        ("MCC 1.2.0; SCC [0.12.0, 0.13.0]", template(r"MCC (\d+)\.(\d+)"), "MCC 1.3.0; SCC [0.12.0, 0.13.0]"),
        ("R007", template(), "R008"),
        ("2.0", template(SEMVER), "2.1"),
        ("beta", template(), "beta"),
        (None, template(), None),
        ("x" * 49 + "9", template(), "x" * 49 + "9"),
    ],
)
def test_the_next_version(version: str | None, model: StationTemplate, following: str | None) -> None:
    assert next_version(version, model) == following
