"""Smart charging profile: limits over time that the central system sets (OCPP 1.6 §5.5, §5.7, §5.16)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from simulator.energy import charging_profiles as energy
from simulator.energy.charging_profiles import RateUnit
from simulator.ocpp.errors import CallRefused, ErrorCode
from simulator.ocpp.v16.enums import (
    ChargingProfileStatus,
    ChargingRateUnitType,
    ClearChargingProfileStatus,
    GetCompositeScheduleStatus,
)
from simulator.ocpp.v16.messages import (
    ChargingProfile,
    ChargingSchedule,
    ChargingSchedulePeriod,
    ClearChargingProfileRequest,
    ClearChargingProfileResponse,
    GetCompositeScheduleRequest,
    GetCompositeScheduleResponse,
    SetChargingProfileRequest,
    SetChargingProfileResponse,
)
from simulator.station.v16.dispatch import Answer, Handler
from simulator.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation


class SmartChargingProfile:
    """The SmartCharging profile of one station."""

    def __init__(self, station: ChargingStation) -> None:
        self._station = station

    def handlers(self) -> Mapping[str, Handler]:
        """Handler by action."""
        return {
            "ClearChargingProfile": self.clear_charging_profile,
            "GetCompositeSchedule": self.get_composite_schedule,
            "SetChargingProfile": self.set_charging_profile,
        }

    def set_charging_profile(self, request: SetChargingProfileRequest) -> Answer:
        """§5.16: a connector that does not exist is no business refusal but a wrong call (errata 3.39)."""
        station = self._station
        self._existing(request.connector_id)
        profile = read_profile(request.cs_charging_profiles)
        reason = station.limits.reason_to_refuse(profile, request.connector_id)
        if reason is not None:
            station.log.info("SetChargingProfile %s rejected: %s", profile.profile_id, reason)
            return Answer(SetChargingProfileResponse(status=ChargingProfileStatus.REJECTED))
        station.limits.install(profile, request.connector_id)
        return Answer(SetChargingProfileResponse(status=ChargingProfileStatus.ACCEPTED))

    def clear_charging_profile(self, request: ClearChargingProfileRequest) -> Answer:
        """§5.5: an id alone decides; else all filters together."""
        purpose = request.charging_profile_purpose
        removed = self._station.limits.clear(
            profile_id=request.id,
            connector_id=request.connector_id,
            purpose=None if purpose is None else energy.Purpose(str(purpose)),
            stack_level=request.stack_level,
        )
        status = ClearChargingProfileStatus.ACCEPTED if removed else ClearChargingProfileStatus.UNKNOWN
        return Answer(ClearChargingProfileResponse(status=status))

    def get_composite_schedule(self, request: GetCompositeScheduleRequest) -> Answer:
        """§5.7: by default in amperes on alternating and in watts on direct current."""
        station = self._station
        native = RateUnit.WATT if station.info.circuit.direct else RateUnit.AMPERE
        unit = native if request.charging_rate_unit is None else RateUnit(str(request.charging_rate_unit))
        if (
            request.connector_id not in {0, *station.connectors}
            or request.duration < 0
            or (request.charging_rate_unit is not None and unit not in station.limits.units)
        ):
            return Answer(GetCompositeScheduleResponse(status=GetCompositeScheduleStatus.REJECTED))
        composite = station.limits.composite(request.connector_id, request.duration, unit)
        return Answer(
            GetCompositeScheduleResponse(
                status=GetCompositeScheduleStatus.ACCEPTED,
                connector_id=request.connector_id,
                schedule_start=format_timestamp(composite.start),
                charging_schedule=ChargingSchedule(
                    duration=composite.duration,
                    charging_rate_unit=ChargingRateUnitType(str(composite.unit)),
                    charging_schedule_period=tuple(
                        ChargingSchedulePeriod(start_period=each.start, limit=each.limit, number_phases=each.phases)
                        for each in composite.periods
                    ),
                ),
            )
        )

    def _existing(self, connector_id: int) -> None:
        if not 0 <= connector_id <= self._station.info.number_of_connectors:
            raise CallRefused(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, f"there is no connector {connector_id}")


def read_profile(profile: ChargingProfile) -> energy.ChargingProfile:
    """A profile of the wire as the energy room has it.

    :raises CallRefused: one of its dates is none.
    """
    schedule = profile.charging_schedule
    return energy.ChargingProfile(
        profile_id=profile.charging_profile_id,
        stack_level=profile.stack_level,
        purpose=energy.Purpose(str(profile.charging_profile_purpose)),
        kind=energy.Kind(str(profile.charging_profile_kind)),
        unit=RateUnit(str(schedule.charging_rate_unit)),
        periods=tuple(
            energy.SchedulePeriod(period.start_period, period.limit, period.number_phases)
            for period in schedule.charging_schedule_period
        ),
        recurrency=None if profile.recurrency_kind is None else energy.Recurrency(str(profile.recurrency_kind)),
        start=_whole_second(_instant(schedule.start_schedule)),
        duration=None if schedule.duration is None else float(schedule.duration),
        valid_from=_whole_second(_instant(profile.valid_from)),
        valid_to=_instant(profile.valid_to),
        transaction_id=profile.transaction_id,
        minimum_rate=schedule.min_charging_rate,
    )


def read_remote_start_profile(profile: ChargingProfile) -> energy.ChargingProfile:
    """The TxProfile of a remote start: for the transaction that is about to begin, whatever its id will be.

    :raises CallRefused: one of its dates is none.
    """
    return msgspec.structs.replace(read_profile(profile), transaction_id=None)


def _whole_second(instant: float | None) -> float | None:
    """Schedules count whole seconds: one that starts "now" has begun in the answer to a question of the same second."""
    return None if instant is None else float(math.floor(instant))


def _instant(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_timestamp(text)[0]
    except ValueError:
        raise CallRefused(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, f"{text[:40]!r} is no instant") from None
