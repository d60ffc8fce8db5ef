"""Charging profiles: what a central system installs, what is accepted, what replaces and clears what (OCPP 1.6 §3.13).

Everything is a value: a :class:`ProfileStore` never changes, its methods return another one. Times are POSIX seconds,
limits are amperes per phase or watts in total. What the profiles allow at an instant is in
:mod:`simulator.energy.charging_schedule`.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta


class Purpose(StrEnum):
    """What a profile limits."""

    CHARGE_POINT_MAX = "ChargePointMaxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


class Kind(StrEnum):
    """From when the periods of a profile count."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


class Recurrency(StrEnum):
    """How often a recurring profile starts again."""

    DAILY = "Daily"
    WEEKLY = "Weekly"

    @property
    def seconds(self) -> float:
        """The length of one recurrence."""
        return 86_400.0 if self is Recurrency.DAILY else 604_800.0


class RateUnit(StrEnum):
    """The unit of a limit: amperes per phase, or watts in total."""

    AMPERE = "A"
    WATT = "W"


class SchedulePeriod(msgspec.Struct, frozen=True, omit_defaults=True):
    """A limit that holds from ``start``, seconds after the start of the schedule, until the next period."""

    start: int
    limit: float
    phases: int | None = None


class ChargingProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A charging profile with its one schedule."""

    profile_id: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    unit: RateUnit
    periods: tuple[SchedulePeriod, ...]
    recurrency: Recurrency | None = None
    start: float | None = None
    """``startSchedule``."""
    duration: float | None = None
    """Seconds; None: for ever."""
    valid_from: float | None = None
    valid_to: float | None = None
    transaction_id: int | None = None
    minimum_rate: float | None = None
    """``minChargingRate``; kept, and without effect on the limit."""


class InstalledProfile(msgspec.Struct, frozen=True, rename="camel"):
    """A profile and the connector on which it was installed; 0 is the whole station."""

    connector_id: Annotated[int, Meta(ge=0)]
    profile: ChargingProfile


class ProfileCapabilities(msgspec.Struct, frozen=True):
    """What a station can store, as its configuration keys publish it."""

    maximum_stack_level: int = 10
    units: frozenset[RateUnit] = frozenset(RateUnit)
    maximum_periods: int = 100
    maximum_installed: int = 30


class ProfileStore(msgspec.Struct, frozen=True):
    """All profiles installed on a station, oldest first. ``msgspec.to_builtins`` and ``convert`` persist it."""

    installed: tuple[InstalledProfile, ...] = ()

    def on(self, connector_id: int, purpose: Purpose) -> tuple[ChargingProfile, ...]:
        """The profiles of a purpose that were installed on this very connector."""
        return tuple(
            entry.profile
            for entry in self.installed
            if entry.connector_id == connector_id and entry.profile.purpose is purpose
        )

    def with_profile(self, connector_id: int, profile: ChargingProfile) -> ProfileStore:
        """The store with ``profile`` installed.

        It replaces the profile of the same id wherever that was, and one of the same purpose and stack level on the
        same connector.
        """
        kept = (entry for entry in self.installed if not _replaces(connector_id, profile, entry))
        return ProfileStore((*kept, InstalledProfile(connector_id, profile)))

    def cleared(
        self,
        *,
        profile_id: int | None = None,
        connector_id: int | None = None,
        purpose: Purpose | None = None,
        stack_level: int | None = None,
    ) -> tuple[ProfileStore, tuple[InstalledProfile, ...]]:
        """The store after a ClearChargingProfile request, and what was removed (nothing: the answer is Unknown).

        With ``profile_id`` only that counts; otherwise a profile goes if it matches every filter that is given. A
        ``connector_id`` of 0 means the profiles installed on the station as a whole.
        """
        removed: list[InstalledProfile] = []
        kept: list[InstalledProfile] = []
        for entry in self.installed:
            profile = entry.profile
            if profile_id is not None:
                goes = profile.profile_id == profile_id
            else:
                goes = (
                    connector_id in (None, entry.connector_id)
                    and purpose in (None, profile.purpose)
                    and stack_level in (None, profile.stack_level)
                )
            (removed if goes else kept).append(entry)
        return (ProfileStore(tuple(kept)) if removed else self), tuple(removed)

    def without_transaction(self, connector_id: int) -> ProfileStore:
        """The store after the transaction on a connector has ended: its TxProfiles are gone."""
        kept = tuple(
            entry
            for entry in self.installed
            if entry.connector_id != connector_id or entry.profile.purpose is not Purpose.TX
        )
        return self if len(kept) == len(self.installed) else ProfileStore(kept)


def reason_to_refuse(
    profile: ChargingProfile,
    connector_id: int,
    store: ProfileStore,
    *,
    connectors: int,
    capabilities: ProfileCapabilities,
    in_transaction: bool = False,
    transaction_id: int | None = None,
    remote_start: bool = False,
) -> str | None:
    """Why a station must answer Rejected to a SetChargingProfile request; None if it must not.

    :param connectors: the number of connectors, not counting 0.
    :param in_transaction: whether a transaction is running on ``connector_id``.
    :param transaction_id: its id; None while the central system has not given one.
    :param remote_start: the profile came inside RemoteStartTransaction, for a transaction that is still to start.
    """
    if not 0 <= connector_id <= connectors:
        return f"there is no connector {connector_id}"
    return (
        _purpose_fault(profile, connector_id, in_transaction, transaction_id, remote_start)
        or _kind_fault(profile)
        or _schedule_fault(profile, capabilities)
        or _capacity_fault(profile, connector_id, store, capabilities)
    )


def _purpose_fault(
    profile: ChargingProfile, connector_id: int, in_transaction: bool, transaction_id: int | None, remote_start: bool
) -> str | None:
    if remote_start:
        return None if profile.purpose is Purpose.TX else f"a remote start takes a TxProfile, not a {profile.purpose}"
    if profile.purpose is Purpose.TX:
        if connector_id == 0:
            return "a TxProfile needs a connector other than 0"
        if not in_transaction:
            return f"a TxProfile needs a running transaction, connector {connector_id} has none"
        if profile.transaction_id is not None and profile.transaction_id != transaction_id:
            return f"transaction {profile.transaction_id} is not running on connector {connector_id}"
        return None
    if profile.transaction_id is not None:
        return f"only a TxProfile names a transaction, not a {profile.purpose}"
    if profile.purpose is Purpose.CHARGE_POINT_MAX and connector_id != 0:
        return "a ChargePointMaxProfile is for connector 0 only"
    return None


def _kind_fault(profile: ChargingProfile) -> str | None:
    if profile.kind is Kind.RECURRING:
        if profile.recurrency is None:
            return "a recurring profile needs a recurrencyKind"
        if profile.start is None:
            return "a recurring profile needs a startSchedule"
    elif profile.recurrency is not None:
        return f"recurrencyKind is for recurring profiles, not for kind {profile.kind}"
    if profile.kind is Kind.RELATIVE and profile.purpose is Purpose.CHARGE_POINT_MAX:
        return "a ChargePointMaxProfile cannot be relative to a transaction"
    if profile.valid_from is not None and profile.valid_to is not None and profile.valid_to <= profile.valid_from:
        return "validTo must be later than validFrom"
    return None


def _schedule_fault(profile: ChargingProfile, capabilities: ProfileCapabilities) -> str | None:
    periods = profile.periods
    if profile.unit not in capabilities.units:
        return f"limits in {profile.unit} are not supported"
    if not periods:
        return "the schedule has no period"
    if len(periods) > capabilities.maximum_periods:
        return f"the schedule has {len(periods)} periods, at most {capabilities.maximum_periods} are supported"
    if periods[0].start != 0:
        return f"the first period must start at 0, not at {periods[0].start}"
    if any(later.start <= earlier.start for earlier, later in pairwise(periods)):
        return "the periods must be in ascending order of startPeriod"
    if any(period.limit < 0 for period in periods):
        return "a limit must not be negative"
    if any(period.phases is not None and not 1 <= period.phases <= 3 for period in periods):
        return "numberPhases must be 1, 2 or 3"
    if profile.duration is not None and profile.duration < 0:
        return "the duration must not be negative"
    return None


def _capacity_fault(
    profile: ChargingProfile, connector_id: int, store: ProfileStore, capabilities: ProfileCapabilities
) -> str | None:
    if not 0 <= profile.stack_level <= capabilities.maximum_stack_level:
        return f"stackLevel {profile.stack_level} is not between 0 and {capabilities.maximum_stack_level}"
    if len(store.with_profile(connector_id, profile).installed) > capabilities.maximum_installed:
        return f"{capabilities.maximum_installed} profiles are installed, more are not supported"
    return None


def _replaces(connector_id: int, profile: ChargingProfile, entry: InstalledProfile) -> bool:
    # One transaction runs on a connector and takes its TxProfiles with it, so the connector stands for the transaction.
    old = entry.profile
    return old.profile_id == profile.profile_id or (
        entry.connector_id == connector_id and old.purpose is profile.purpose and old.stack_level == profile.stack_level
    )
