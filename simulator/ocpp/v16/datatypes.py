"""Types that several messages of OCPP 1.6 share (§7)."""

from __future__ import annotations

from simulator.ocpp.v16.base import Data
from simulator.ocpp.v16.enums import (
    AuthorizationStatus,
    ChargingProfileKindType,
    ChargingProfilePurposeType,
    ChargingRateUnitType,
    HashAlgorithm,
    Location,
    Measurand,
    Phase,
    ReadingContext,
    RecurrencyKindType,
    UnitOfMeasure,
    ValueFormat,
)


class IdTagInfo(Data, frozen=True, kw_only=True):
    """What the central system knows of an idTag. Without ``expiry_date`` it never expires."""

    expiry_date: str | None = None
    parent_id_tag: str | None = None
    status: AuthorizationStatus


class SampledValue(Data, frozen=True, kw_only=True):
    """One reading. ``value`` is text: a decimal number, or for signed data the hexadecimal form of the block.

    Absent members mean: context Sample.Periodic, format Raw, measurand Energy.Active.Import.Register, location Outlet,
    unit Wh for energy, and no phase.
    """

    value: str
    context: ReadingContext | None = None
    format: ValueFormat | None = None
    measurand: Measurand | None = None
    phase: Phase | None = None
    location: Location | None = None
    unit: UnitOfMeasure | None = None


class MeterValue(Data, frozen=True, kw_only=True):
    """The readings of one instant."""

    timestamp: str
    sampled_value: tuple[SampledValue, ...]


class ChargingSchedulePeriod(Data, frozen=True, kw_only=True):
    """From ``start_period`` seconds on, at most ``limit`` (one decimal) on ``number_phases`` phases (absent: 3)."""

    start_period: int
    limit: float
    number_phases: int | None = None


class ChargingSchedule(Data, frozen=True, kw_only=True):
    """Limits over time. ``duration`` in seconds; absent, the last period has no end."""

    duration: int | None = None
    start_schedule: str | None = None
    charging_rate_unit: ChargingRateUnitType
    charging_schedule_period: tuple[ChargingSchedulePeriod, ...]
    min_charging_rate: float | None = None


class ChargingProfile(Data, frozen=True, kw_only=True):
    """A schedule with what it is for, when it is valid and, by ``stack_level``, what it goes before."""

    charging_profile_id: int
    transaction_id: int | None = None
    stack_level: int
    charging_profile_purpose: ChargingProfilePurposeType
    charging_profile_kind: ChargingProfileKindType
    recurrency_kind: RecurrencyKindType | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    charging_schedule: ChargingSchedule


class KeyValue(Data, frozen=True, kw_only=True):
    """A configuration key as GetConfiguration reports it. The wire writes ``readonly`` in one word."""

    key: str
    readonly: bool
    value: str | None = None


class AuthorizationData(Data, frozen=True, kw_only=True):
    """An entry of the local authorization list; in a differential update, one without ``id_tag_info`` is removed."""

    id_tag: str
    id_tag_info: IdTagInfo | None = None


class CertificateHashData(Data, frozen=True, kw_only=True):
    """Names a certificate without showing it; hashes and serial number are hexadecimal text."""

    hash_algorithm: HashAlgorithm
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str


class LogParameters(Data, frozen=True, kw_only=True):
    """Where a log is to be uploaded, and from when to when its entries are wanted."""

    remote_location: str
    oldest_timestamp: str | None = None
    latest_timestamp: str | None = None


class Firmware(Data, frozen=True, kw_only=True):
    """A signed firmware image: where it is, when to fetch and install it, and what it is signed with."""

    location: str
    retrieve_date_time: str
    install_date_time: str | None = None
    signing_certificate: str
    signature: str
