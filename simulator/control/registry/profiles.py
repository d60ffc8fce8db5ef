"""Charging profiles in the form in which central systems send them (OCPP 1.6 §7.8)."""

from __future__ import annotations

from typing import Any

from simulator.energy.charging_profiles import ChargingProfile
from simulator.timestamps import format_timestamp


def profile_members(profile: ChargingProfile) -> dict[str, Any]:
    """The members of a charging profile; what is absent is left out."""
    schedule = {
        "duration": profile.duration,
        "startSchedule": None if profile.start is None else format_timestamp(profile.start),
        "chargingRateUnit": str(profile.unit),
        "chargingSchedulePeriod": [
            _present({"startPeriod": period.start, "limit": period.limit, "numberPhases": period.phases})
            for period in profile.periods
        ],
        "minChargingRate": profile.minimum_rate,
    }
    return _present(
        {
            "chargingProfileId": profile.profile_id,
            "transactionId": profile.transaction_id,
            "stackLevel": profile.stack_level,
            "chargingProfilePurpose": str(profile.purpose),
            "chargingProfileKind": str(profile.kind),
            "recurrencyKind": None if profile.recurrency is None else str(profile.recurrency),
            "validFrom": None if profile.valid_from is None else format_timestamp(profile.valid_from),
            "validTo": None if profile.valid_to is None else format_timestamp(profile.valid_to),
            "chargingSchedule": _present(schedule),
        }
    )


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
