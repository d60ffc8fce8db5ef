"""The configuration keys of the standard: what they are, what they take, and what they do (OCPP 1.6 §9)."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

import msgspec

from simulator.energy.meter_values import ENERGY, parse_measurands
from simulator.energy.signature_methods import DEFAULT_METHOD

#: The profiles whose messages this program answers, as ``SupportedFeatureProfiles`` names them.
IMPLEMENTED_PROFILES = (
    "Core",
    "FirmwareManagement",
    "LocalAuthListManagement",
    "Reservation",
    "SmartCharging",
    "RemoteTrigger",
)


class Kind(enum.Enum):
    """What a key's value is, and so what ChangeConfiguration accepts."""

    BOOLEAN = "boolean"
    #: A whole number of 0 or more.
    INTEGER = "integer"
    TEXT = "text"
    #: Comma-separated measurands, each with an optional ``.phase`` suffix.
    MEASURANDS = "measurands"
    #: Comma-separated ``connector.rotation`` items.
    ROTATIONS = "rotations"
    #: A password of 16 to 20 bytes as hexadecimal digits. It is never shown.
    PASSWORD = "password"


#: The greatest whole number that any key takes: what 32 bits hold.
MOST = 2**31 - 1


class StandardKey(msgspec.Struct, frozen=True):
    """A key of the standard: its kind, whether it may only be read, its value when a template does not set it."""

    kind: Kind
    read_only: bool
    #: None: the key exists only if a template sets it, or has the value that :mod:`simulator.station.keys` works out.
    default: str | None
    what: str
    #: The greatest whole number.
    most: int = MOST


BOOL, INT, TEXT, LIST = Kind.BOOLEAN, Kind.INTEGER, Kind.TEXT, Kind.MEASURANDS

#: In the order in which missing ones are created; the README's table is made from it.
STANDARD_KEYS: dict[str, StandardKey] = {
    "HeartbeatInterval": StandardKey(INT, False, "0", "seconds between Heartbeats; set by BootNotification.conf"),
    "SupportedFeatureProfiles": StandardKey(TEXT, True, ",".join(IMPLEMENTED_PROFILES), "feature profiles offered"),
    "NumberOfConnectors": StandardKey(INT, True, None, "connectors, connector 0 left out; always the station's own"),
    "MeterValuesSampledData": StandardKey(LIST, False, ENERGY, "measurands of periodic MeterValues"),
    "MeterValueSampleInterval": StandardKey(INT, False, "60", "seconds between periodic MeterValues, 0 = none"),
    "ConnectorPhaseRotation": StandardKey(Kind.ROTATIONS, False, None, "phase rotation per connector"),
    "AuthorizeRemoteTxRequests": StandardKey(BOOL, False, "true", "authorise remote starts like local ones"),
    "LocalAuthListEnabled": StandardKey(BOOL, False, "false", "use the local authorisation list"),
    "LocalAuthListMaxLength": StandardKey(INT, True, "500", "entries of the local authorisation list"),
    "SendLocalListMaxLength": StandardKey(INT, True, "100", "entries of one SendLocalList"),
    "ReserveConnectorZeroSupported": StandardKey(BOOL, True, "true", "reservations for any connector"),
    "ConnectionTimeOut": StandardKey(INT, False, "30", "seconds to plug in after presenting a tag, or the reverse"),
    "ChargeProfileMaxStackLevel": StandardKey(INT, True, "10", "highest stackLevel of a charging profile"),
    "ChargingScheduleAllowedChargingRateUnit": StandardKey(TEXT, True, "Current,Power", "units of charging schedules"),
    "ChargingScheduleMaxPeriods": StandardKey(INT, True, "100", "periods of a charging schedule"),
    "MaxChargingProfilesInstalled": StandardKey(INT, True, "30", "charging profiles that can be installed"),
    "ConnectorSwitch3to1PhaseSupported": StandardKey(
        BOOL, True, "false", "changing phases while charging; stored only"
    ),
    "ClockAlignedDataInterval": StandardKey(INT, False, "0", "seconds between clock-aligned MeterValues, 0 = none"),
    "GetConfigurationMaxKeys": StandardKey(INT, True, "50", "keys in one GetConfiguration request"),
    "LocalAuthorizeOffline": StandardKey(BOOL, False, "true", "start offline for tags known locally"),
    "LocalPreAuthorize": StandardKey(BOOL, False, "false", "start for tags known locally without Authorize"),
    "MeterValuesAlignedData": StandardKey(LIST, False, ENERGY, "measurands of clock-aligned MeterValues"),
    "ResetRetries": StandardKey(INT, False, "1", "attempts at a failed reset; stored only, a reset never fails"),
    "StopTransactionOnEVSideDisconnect": StandardKey(BOOL, False, "true", "end the transaction when the EV unplugs"),
    "StopTransactionOnInvalidId": StandardKey(BOOL, False, "true", "end a transaction whose tag is refused afterwards"),
    "StopTxnAlignedData": StandardKey(LIST, False, "", "clock-aligned measurands in StopTransaction"),
    "StopTxnSampledData": StandardKey(LIST, False, "", "sampled measurands in StopTransaction"),
    "StopTransactionMaxMeterValues": StandardKey(INT, True, "500", "readings in a StopTransaction"),
    "MeterValuesAlignedDataMaxLength": StandardKey(INT, True, "50", "items in MeterValuesAlignedData"),
    "MeterValuesSampledDataMaxLength": StandardKey(INT, True, "50", "items in MeterValuesSampledData"),
    "StopTxnAlignedDataMaxLength": StandardKey(INT, True, "50", "items in StopTxnAlignedData"),
    "StartTxnSampledData": StandardKey(LIST, False, None, "measurands of MeterValues at the begin of a transaction"),
    "SigningMethod": StandardKey(TEXT, True, None, "how meters sign; this and the next exist once a template sets one"),
    "PublicKeyWithSignedMeterValue": StandardKey(TEXT, False, None, "Never, OncePerTransaction or EveryMeterValue"),
    "SampledDataSignReadings": StandardKey(BOOL, False, None, "sign begin and end in StopTransaction, and the end"),
    "SampledDataSignStartedReadings": StandardKey(BOOL, False, None, "sign MeterValues at the begin"),
    "SampledDataSignUpdatedReadings": StandardKey(BOOL, False, None, "sign periodic MeterValues"),
    "AlignedDataSignReadings": StandardKey(
        BOOL, False, None, "sign clock-aligned readings in StopTransaction and outside of transactions"
    ),
    "AlignedDataSignUpdatedReadings": StandardKey(BOOL, False, None, "sign clock-aligned MeterValues of transactions"),
    "StopTxnSampledDataMaxLength": StandardKey(INT, True, "50", "items in StopTxnSampledData"),
    "ConnectorPhaseRotationMaxLength": StandardKey(INT, True, None, "items in ConnectorPhaseRotation"),
    "SupportedFeatureProfilesMaxLength": StandardKey(INT, True, None, "items in SupportedFeatureProfiles; stored only"),
    "TransactionMessageAttempts": StandardKey(INT, False, "3", "attempts at a transaction message"),
    "TransactionMessageRetryInterval": StandardKey(INT, False, "60", "seconds times attempts made before a retry"),
    "UnlockConnectorOnEVSideDisconnect": StandardKey(
        BOOL, False, "true", "unlock the cable when the vehicle unplugs; false and R where it is fixed"
    ),
    "WebSocketPingInterval": StandardKey(INT, False, "30", "seconds between WebSocket pings, 0 = none"),
    "MessageTimeout": StandardKey(INT, False, "30", "seconds to wait for the answer to a CALL"),
    "MinimumStatusDuration": StandardKey(INT, False, "0", "seconds a status must last before it is reported"),
    "SupportedFileTransferProtocols": StandardKey(
        TEXT, True, "FTP,FTPS,HTTP,HTTPS", "protocols of uploads and downloads"
    ),
    "AllowOfflineTxForUnknownId": StandardKey(BOOL, False, "false", "start offline for unknown tags"),
    "AuthorizationCacheEnabled": StandardKey(BOOL, False, "true", "use the authorisation cache"),
    "BlinkRepeat": StandardKey(INT, False, None, "times to blink; stored only"),
    "LightIntensity": StandardKey(INT, False, None, "percent of the lighting; stored only", most=100),
    "AuthorizationKey": StandardKey(Kind.PASSWORD, False, "", "password of Basic authentication; write-only"),
    "SecurityProfile": StandardKey(INT, False, "0", "security profile; the central system may only raise it"),
    "CpoName": StandardKey(TEXT, False, "", "organisation that a certificate request names"),
    "AdditionalRootCertificateCheck": StandardKey(BOOL, True, "false", "a new root must be signed by the present one"),
    "CertificateSignedMaxChainSize": StandardKey(INT, True, "10000", "characters of a chain in CertificateSigned"),
    "CertificateStoreMaxLength": StandardKey(INT, True, "10", "root certificates that there is room for"),
    "MaxEnergyOnInvalidId": StandardKey(INT, False, "0", "Wh delivered after a tag was refused"),
}

#: The names of the standard by their lower-case form.
#: The keys of signed readings and what they are where a template sets any of them.
SIGNING_DEFAULTS = {
    "SigningMethod": DEFAULT_METHOD,
    "PublicKeyWithSignedMeterValue": "Never",
    "SampledDataSignReadings": "false",
    "SampledDataSignStartedReadings": "false",
    "SampledDataSignUpdatedReadings": "false",
    "AlignedDataSignReadings": "false",
    "AlignedDataSignUpdatedReadings": "false",
}

_SPELLING = {name.lower(): name for name in STANDARD_KEYS}
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}")
_ROTATIONS = frozenset({"NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR"})


class Bounds(msgspec.Struct, frozen=True):
    """What of a station bounds the values of its keys.

    ``phases``: 0 for direct current; ``items``: by the lower-case name of a list, how many items it may have.
    """

    phases: int
    connectors: int
    items: Callable[[str], int]


def acceptable(name: str, value: str, bounds: Bounds) -> str | None:
    """The value as it is stored, or None where the key's kind or the station refuses it. Vendor keys take any text."""
    standard = standard_key(name)
    kind = standard.kind if standard is not None else Kind.TEXT
    if kind is Kind.BOOLEAN:
        lowered = value.strip().lower()
        return lowered if lowered in {"true", "false"} else None
    if kind is Kind.INTEGER:
        assert standard is not None
        number = read_number(value)
        return value.strip() if number is not None and number <= standard.most else None
    if kind is Kind.PASSWORD:
        return value if authorization_key_bytes(value) is not None else None
    items = [item.strip() for item in value.split(",")] if value.strip() else []
    if kind in {Kind.MEASURANDS, Kind.ROTATIONS} and len(items) > bounds.items(name.lower()):
        return None
    if kind is Kind.MEASURANDS:
        return value if not parse_measurands(value, phases=bounds.phases).unsupported else None
    if kind is Kind.ROTATIONS:
        return value if all(_is_rotation(item, bounds.connectors) for item in items) else None
    return value


def standard_key(name: str) -> StandardKey | None:
    """The key of the standard by its name in any case."""
    return STANDARD_KEYS.get(_SPELLING.get(name.lower(), name))


def read_number(value: str) -> int | None:
    """A whole number of 0 to :data:`MOST`; None for anything else."""
    text = value.strip()
    if not (text.isascii() and text.isdecimal()) or len(text) > 20:
        return None
    number = int(text)
    return number if number <= MOST else None


def authorization_key_bytes(value: str) -> bytes | None:
    """The password that an AuthorizationKey stands for: 16 to 20 bytes as hexadecimal digits (security white paper,
    A01; OCPP-J 1.6 §6.2); None where the value is something else."""
    if not _HEXADECIMAL.fullmatch(value):
        return None
    return bytes.fromhex(value)


def is_secret(name: str) -> bool:
    """Keys whose value never leaves the station (security white paper, A00.FR.205)."""
    standard = standard_key(name)
    return standard is not None and standard.kind is Kind.PASSWORD


def _is_rotation(item: str, connectors: int) -> bool:
    connector, _, rotation = item.partition(".")
    number = read_number(connector)
    return number is not None and number <= connectors and rotation in _ROTATIONS
