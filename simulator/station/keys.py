"""The station's OCPP configuration keys: which exist, what may be written, and who acts on a change (OCPP 1.6 §9)."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from simulator.energy.meter_values import ENERGY, parse_measurands
from simulator.ocpp.v16.messages import CENTRAL_SYSTEM_ACTIONS, FEATURE_PROFILES
from simulator.station.memory import KEYS
from simulator.templates.info import StationInfo

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


class StandardKey(msgspec.Struct, frozen=True):
    """A key of the standard: its kind, whether it may only be read, its value when a template does not set it."""

    kind: Kind
    read_only: bool
    #: None: the key exists only if a template sets it.
    default: str | None
    what: str


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
    "ConnectorSwitch3to1PhaseSupported": StandardKey(BOOL, True, "false", "switching phases; informative"),
    "ClockAlignedDataInterval": StandardKey(INT, False, "0", "seconds between clock-aligned MeterValues, 0 = none"),
    "GetConfigurationMaxKeys": StandardKey(INT, True, "50", "keys in one GetConfiguration request"),
    "LocalAuthorizeOffline": StandardKey(BOOL, False, "true", "start offline for tags known locally"),
    "LocalPreAuthorize": StandardKey(BOOL, False, "false", "start for tags known locally without Authorize"),
    "MeterValuesAlignedData": StandardKey(LIST, False, ENERGY, "measurands of clock-aligned MeterValues"),
    "ResetRetries": StandardKey(INT, False, "1", "attempts at a failed reset"),
    "StopTransactionOnEVSideDisconnect": StandardKey(BOOL, False, "true", "end the transaction when the EV unplugs"),
    "StopTransactionOnInvalidId": StandardKey(BOOL, False, "true", "end a transaction whose tag is refused afterwards"),
    "StopTxnAlignedData": StandardKey(LIST, False, "", "clock-aligned measurands in StopTransaction"),
    "StopTxnSampledData": StandardKey(LIST, False, "", "sampled measurands in StopTransaction"),
    "TransactionMessageAttempts": StandardKey(INT, False, "3", "attempts at a transaction message"),
    "TransactionMessageRetryInterval": StandardKey(INT, False, "60", "seconds times attempts made before a retry"),
    "UnlockConnectorOnEVSideDisconnect": StandardKey(BOOL, False, "true", "unlock when the vehicle unplugs"),
    "WebSocketPingInterval": StandardKey(INT, False, "30", "seconds between WebSocket pings, 0 = none"),
    "MessageTimeout": StandardKey(INT, False, "30", "seconds to wait for the answer to a CALL"),
    "MinimumStatusDuration": StandardKey(INT, False, "0", "seconds a status must last before it is reported"),
    "SupportedFileTransferProtocols": StandardKey(
        TEXT, True, "FTP,FTPS,HTTP,HTTPS", "protocols of uploads and downloads"
    ),
    "AllowOfflineTxForUnknownId": StandardKey(BOOL, False, "false", "start offline for unknown tags"),
    "AuthorizationCacheEnabled": StandardKey(BOOL, False, "true", "use the authorisation cache"),
    "BlinkRepeat": StandardKey(INT, False, None, "times to blink; stored only"),
    "LightIntensity": StandardKey(INT, False, None, "percent of the lighting; stored only"),
    "AuthorizationKey": StandardKey(Kind.PASSWORD, False, "", "password of Basic authentication; write-only"),
    "SecurityProfile": StandardKey(INT, False, "0", "security profile; the central system may only raise it"),
    "CpoName": StandardKey(TEXT, False, "", "organisation that a certificate request names"),
    "AdditionalRootCertificateCheck": StandardKey(BOOL, True, "false", "a new root must be signed by the present one"),
    "CertificateSignedMaxChainSize": StandardKey(INT, True, "10000", "characters of a chain in CertificateSigned"),
    "CertificateStoreMaxLength": StandardKey(INT, True, "10", "root certificates that there is room for"),
    "MaxEnergyOnInvalidId": StandardKey(INT, False, "0", "Wh delivered after a tag was refused"),
}

_SPELLING = {name.lower(): name for name in STANDARD_KEYS}
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}")
_ROTATIONS = frozenset({"NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR"})


class Key(msgspec.Struct):
    """One key of one station."""

    name: str
    value: str | None
    read_only: bool = False
    visible: bool = True
    reboot: bool = False
    #: What the template or this program gives the key: where the value differs, somebody has changed it.
    given: str | None = None


class _Keeper(msgspec.Struct, frozen=True):
    allows: Callable[[str], bool]
    written: Callable[[str, str], None]


class ConfigurationKeys:
    """The keys of one station, by case-insensitive name, in the order of their creation.

    Kept from process to process: what the user or the central system has changed stays as it is, all else follows the
    template.

    :param changed: called after each change of a value.
    """

    name = KEYS

    def __init__(self, info: StationInfo, supervision_url: str, changed: Callable[[], None] = lambda: None) -> None:
        self._tell = changed
        self._keys: dict[str, Key] = {}
        self._watchers: dict[str, list[Callable[[str], None]]] = {}
        self._keepers: dict[str, _Keeper] = {}
        self._phases = info.number_of_phases
        template = info.template
        self._url_key = template.supervision_url_ocpp_key.lower() if template.supervision_url_ocpp_configuration else ""
        for entry in info.template.configuration_keys:
            self._keys[entry.key.lower()] = Key(entry.key, entry.value, entry.readonly, entry.visible, entry.reboot)
        self._add_missing(info, supervision_url)
        for key in self._keys.values():
            key.given = key.value

    def _add_missing(self, info: StationInfo, supervision_url: str) -> None:
        template = info.template
        for name, standard in STANDARD_KEYS.items():
            if standard.default is not None and name.lower() not in self._keys:
                value = _offered_profiles(info) if name == "SupportedFeatureProfiles" else standard.default
                self._keys[name.lower()] = Key(name, value, standard.read_only)
        self._keys["numberofconnectors"] = Key("NumberOfConnectors", str(info.number_of_connectors), True)
        if "connectorphaserotation" not in self._keys:
            self._keys["connectorphaserotation"] = Key("ConnectorPhaseRotation", _phase_rotation(info))
        if template.supervision_url_ocpp_configuration:
            name = template.supervision_url_ocpp_key
            if name.lower() not in self._keys:
                self._keys[name.lower()] = Key(name, supervision_url, reboot=True)
        if template.amperage_limitation_ocpp_key:
            name = template.amperage_limitation_ocpp_key
            if name.lower() not in self._keys:
                amperage = info.maximum_amperage * AMPERAGE_UNITS[template.amperage_limitation_unit]
                self._keys[name.lower()] = Key(name, str(round(amperage)))

    # -- reading ---------------------------------------------------------------------------------------------------

    def get(self, name: str) -> Key | None:
        """A key by its name in any case."""
        return self._keys.get(name.lower())

    def all(self) -> Iterable[Key]:
        """Every key, hidden ones included."""
        return self._keys.values()

    def text(self, name: str, default: str = "") -> str:
        """A key's value, or the default where the key is absent or has none."""
        key = self._keys.get(name.lower())
        return default if key is None or key.value is None else key.value

    def flag(self, name: str) -> bool:
        """A boolean key's value in any case; absent or anything else is false."""
        return self.text(name).strip().lower() == "true"

    def number(self, name: str, default: int = 0) -> int:
        """A whole number; absent or unreadable gives the default."""
        try:
            return int(self.text(name))
        except ValueError:
            return default

    def items(self, name: str) -> list[str]:
        """A comma-separated list without empty items."""
        return [item for part in self.text(name).split(",") if (item := part.strip())]

    # -- writing ---------------------------------------------------------------------------------------------------

    def watch(self, name: str, act: Callable[[str], None]) -> None:
        """Call ``act(value)`` after each change of a key."""
        self._watchers.setdefault(name.lower(), []).append(act)

    def keep(
        self,
        name: str,
        *,
        allows: Callable[[str], bool] = lambda value: True,
        written: Callable[[str, str], None] = lambda former, value: None,
    ) -> None:
        """Look after what the central system writes into a key.

        :param allows: asked for each value that is right by itself; False refuses it.
        :param written: called as ``written(former, value)`` after each value taken, also when it is the same again.
        """
        self._keepers[name.lower()] = _Keeper(allows, written)

    def set(self, name: str, value: str) -> None:
        """Write a key in the station's own name, whatever its access; create it if need be."""
        key = self._keys.get(name.lower())
        if key is None:
            key = self._keys[name.lower()] = Key(name, None)
        if key.value != value:
            key.value = value
            self._changed(key)

    def change(self, name: str, value: str) -> str:
        """Write a key in the central system's name (OCPP 1.6 §5.3); returns the ConfigurationStatus."""
        key = self._keys.get(name.lower())
        if key is None:
            return "NotSupported"
        if key.read_only:
            return "Rejected"
        accepted = acceptable(key.name, value, phases=self._phases)
        if accepted is None or (name.lower() == self._url_key and not _is_supervision_url(value)):
            return "Rejected"
        keeper = self._keepers.get(name.lower())
        if keeper is not None and not keeper.allows(accepted):
            return "Rejected"
        former = key.value or ""
        if key.value != accepted:
            key.value = accepted
            self._changed(key)
        if keeper is not None:
            keeper.written(former, accepted)
        return "RebootRequired" if key.reboot else "Accepted"

    def _changed(self, key: Key) -> None:
        for act in self._watchers.get(key.name.lower(), ()):
            act(key.value or "")
        self._tell()

    # -- memory ------------------------------------------------------------------------------------------------------

    def to_memory(self) -> list[dict[str, Any]]:
        """Every key as the reference simulator writes it, and beside its value the one that was given to it."""
        return [
            {
                "key": key.name,
                "readonly": key.read_only,
                **({} if key.value is None else {"value": key.value}),
                "visible": key.visible,
                "reboot": key.reboot,
                "templateValue": key.given,
            }
            for key in self._keys.values()
        ]

    def from_memory(self, kept: Any) -> None:
        """Take over what was changed: what differs from the value given to it then or, where none is noted, now."""
        for entry in msgspec.convert(kept, list[KeptKey], strict=False):
            key = self._keys.get(entry.key.lower())
            given = entry.template_value
            if given is msgspec.UNSET:  # a file of the reference simulator
                given = None if key is None else key.given
            if entry.value is None or entry.value == given or entry.key.lower() == "numberofconnectors":
                continue
            value = acceptable(entry.key, entry.value, phases=self._phases)
            if value is None or (entry.key.lower() == self._url_key and not _is_supervision_url(value)):
                continue
            if key is None:
                key = self._keys[entry.key.lower()] = Key(entry.key, None, entry.readonly, entry.visible, entry.reboot)
            key.value = value


class KeptKey(msgspec.Struct):
    """A key in a file."""

    key: str
    value: str | None = None
    readonly: bool = False
    visible: bool = True
    reboot: bool = False
    template_value: str | msgspec.UnsetType | None = msgspec.field(default=msgspec.UNSET, name="templateValue")


#: How many of the unit make one ampere.
AMPERAGE_UNITS = {"A": 1, "dA": 10, "cA": 100, "mA": 1000}


def acceptable(name: str, value: str, *, phases: int) -> str | None:
    """The value as it is stored, or None where the key's kind refuses it. Vendor keys take any text.

    :param phases: of the station, 0 for direct current: a list of measurands may name only phases that exist.
    """
    standard = STANDARD_KEYS.get(_SPELLING.get(name.lower(), name))
    kind = standard.kind if standard is not None else Kind.TEXT
    if kind is Kind.BOOLEAN:
        lowered = value.strip().lower()
        return lowered if lowered in {"true", "false"} else None
    if kind is Kind.INTEGER:
        text = value.strip()
        return text if text.isascii() and text.isdecimal() else None
    if kind is Kind.PASSWORD:
        return value if authorization_key_bytes(value) is not None else None
    items = [item.strip() for item in value.split(",")] if value.strip() else []
    if kind is Kind.MEASURANDS:
        return value if not parse_measurands(value, phases=phases).unsupported else None
    if kind is Kind.ROTATIONS:
        return value if all(_is_rotation(item) for item in items) else None
    return value


def authorization_key_bytes(value: str) -> bytes | None:
    """The password that an AuthorizationKey stands for: 16 to 20 bytes as hexadecimal digits (security white paper,
    A01; OCPP-J 1.6 §6.2); None where the value is something else."""
    if not _HEXADECIMAL.fullmatch(value):
        return None
    return bytes.fromhex(value)


def is_secret(name: str) -> bool:
    """Keys whose value never leaves the station (security white paper, A00.FR.205)."""
    standard = STANDARD_KEYS.get(_SPELLING.get(name.lower(), name))
    return standard is not None and standard.kind is Kind.PASSWORD


def _is_supervision_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_rotation(item: str) -> bool:
    connector, _, rotation = item.partition(".")
    return connector.isdecimal() and rotation in _ROTATIONS


def _offered_profiles(info: StationInfo) -> str:
    """The implemented profiles of which ``commandsSupport`` leaves anything."""
    allowed = info.template.commands_support.allows_incoming
    return ",".join(
        profile
        for profile in IMPLEMENTED_PROFILES
        if profile == "Core" or any(allowed(action) for action in FEATURE_PROFILES[profile] & CENTRAL_SYSTEM_ACTIONS)
    )


def _phase_rotation(info: StationInfo) -> str:
    connectors = range(1, info.number_of_connectors + 1)
    if info.number_of_phases == 3:
        return ",".join(f"{connector}.RST" for connector in connectors)
    return ",".join(f"{connector}.NotApplicable" for connector in connectors)
