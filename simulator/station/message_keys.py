"""The configuration keys on which every message of a fleet under load depends, read once for each of their values."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from simulator.station.keys import ConfigurationKeys

#: Wall seconds for an answer where MessageTimeout does not say.
ANSWER_WITHIN = 30


class MessageKeys(NamedTuple):
    """What the keys of a station say; one object for all stations with the same values."""

    sample_interval: int
    """Seconds; 0: no samples."""
    sampled: str
    """The measurands of periodic samples."""
    stop_sampled: str
    """Those that are kept for StopTransaction; empty: none."""
    signs_samples: bool
    timeout: int
    """Wall seconds for an answer."""


def message_keys(keys: ConfigurationKeys) -> MessageKeys:
    """What the keys say now."""
    return _shared(
        keys.number("MeterValueSampleInterval"),
        keys.text("MeterValuesSampledData"),
        keys.text("StopTxnSampledData") if keys.items("StopTxnSampledData") else "",
        keys.flag("SampledDataSignUpdatedReadings") and keys.get("SigningMethod") is not None,
        max(1, keys.number("MessageTimeout", ANSWER_WITHIN)),
    )


@lru_cache(maxsize=1024)
def _shared(*values: object) -> MessageKeys:
    return MessageKeys(*values)  # type: ignore[arg-type]
