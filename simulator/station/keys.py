"""The station's OCPP configuration keys: which exist, what may be written, and who acts on a change (OCPP 1.6 §9)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from simulator.ocpp.v16.messages import CENTRAL_SYSTEM_ACTIONS, FEATURE_PROFILES
from simulator.station.memory import KEYS, PROMISED, SOON
from simulator.station.message_keys import MessageKeys, message_keys
from simulator.station.standard_keys import (
    IMPLEMENTED_PROFILES,
    MOST,
    SIGNING_DEFAULTS,
    STANDARD_KEYS,
    Bounds,
    acceptable,
)
from simulator.templates.info import StationInfo
from simulator.templates.model import StationTemplate


class Key(msgspec.Struct, frozen=True):
    """One key; stations whose keys are the same share them."""

    name: str
    value: str | None
    read_only: bool = False
    visible: bool = True
    reboot: bool = False
    #: What the template or this program gives the key: where the value differs, somebody has changed it.
    given: str | None = None


@lru_cache(maxsize=4096)
def _shared(name: str, value: str | None, read_only: bool, visible: bool, reboot: bool) -> tuple[str, Key]:
    """A key as it is given to a station, behind the name under which it is found."""
    return name.lower(), Key(name, value, read_only, visible, reboot, given=value)


#: The keys of stations that are made alike, with the template that they come from.
_GIVEN: dict[tuple[object, ...], tuple[StationTemplate, dict[str, Key]]] = {}
_MOST_GIVEN = 512


@lru_cache(maxsize=1024)
def _items(text: str) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(item for part in text.split(",") if (item := part.strip()))


@lru_cache(maxsize=4096)
def _whole(text: str) -> int | None:
    """A whole number; None for what is unreadable or beyond all sense."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if abs(number) <= MOST else None


@lru_cache(maxsize=1024)
def _lowered(name: str) -> str:
    """The name under which a key is found; stations share it."""
    return name.lower()


class KeyOwner(Protocol):
    """Whose keys they are. Keys are named in lower case."""

    def changed(self, lowered: str, value: str, within: float) -> None:
        """The value of a key has changed; it is to be stored within so many wall seconds."""
        ...

    def allows(self, lowered: str, value: str) -> bool:
        """Whether the central system may write a value that is right by itself."""
        ...

    def written(self, lowered: str, former: str, value: str) -> None:
        """The central system has written a key, maybe with the value that it had."""
        ...


class NoOwner:
    """Keys of nobody, for those that look into them only."""

    def changed(self, lowered: str, value: str, within: float) -> None:
        """Nobody is told."""

    def allows(self, lowered: str, value: str) -> bool:
        """Nobody minds."""
        return True

    def written(self, lowered: str, former: str, value: str) -> None:
        """Nobody is told."""


_NOBODY = NoOwner()


class ConfigurationKeys:
    """The keys of one station, by case-insensitive name, in the order of their creation.

    Kept from process to process: what the user or the central system has changed stays as it is, all else follows the
    template.

    :param owner: is told of changes, and asked for values.
    """

    __slots__ = ("_bounds", "_given", "_of_messages", "_own", "_owner", "_url_key")

    name = KEYS

    def __init__(self, info: StationInfo, supervision_url: str, owner: KeyOwner = _NOBODY) -> None:
        self._owner = owner
        #: The keys that this station was made with, which it shares with its like, and those that it has for itself:
        #: created since, or changed.
        self._given: dict[str, Key] = {}
        self._own: dict[str, Key] = {}
        self._of_messages: MessageKeys | None = None
        self._bounds = Bounds(info.number_of_phases, info.number_of_connectors, self._most_items)
        self._build(info, supervision_url)

    def _build(self, info: StationInfo, supervision_url: str) -> None:
        """Every key as the template and this program give it."""
        template = info.template
        self._url_key = template.supervision_url_ocpp_key.lower() if template.supervision_url_ocpp_configuration else ""
        # All that decides on them; the template itself is kept with them, so that its id stays its own.
        like = (id(template), info.number_of_connectors, info.number_of_phases, info.maximum_amperage, supervision_url)
        known = _GIVEN.get(like)
        if known is None:
            self._given = {}
            for entry in template.configuration_keys:
                self._give(entry.key, entry.value, entry.readonly, visible=entry.visible, reboot=entry.reboot)
            self._add_missing(info, supervision_url)
            if len(_GIVEN) >= _MOST_GIVEN:
                _GIVEN.clear()
            known = _GIVEN[like] = template, self._given
        self._given = known[1]
        self._of_messages = None

    def _give(
        self, name: str, value: str | None, read_only: bool = False, *, visible: bool = True, reboot: bool = False
    ) -> None:
        lowered, key = _shared(name, value, read_only, visible, reboot)
        self._given[lowered] = key

    def _add_missing(self, info: StationInfo, supervision_url: str) -> None:
        template = info.template
        for name, standard in STANDARD_KEYS.items():
            if standard.default is not None and name.lower() not in self._given:
                value = _offered_profiles(info) if name == "SupportedFeatureProfiles" else standard.default
                self._give(name, value, standard.read_only)
        if any(name.lower() in self._given for name in SIGNING_DEFAULTS):
            for name, value in SIGNING_DEFAULTS.items():
                if name.lower() not in self._given:
                    self._give(name, value, STANDARD_KEYS[name].read_only)
            for connector in range(1, info.number_of_connectors + 1):
                self._give(f"MeterPublicKey{connector}", "", True)
        if template.fixed_cable:  # there is no lock to open at the vehicle's unplugging (§9.1.29)
            self._give("UnlockConnectorOnEVSideDisconnect", "false", True)
        if "connectorphaserotationmaxlength" not in self._given:  # one for each connector, and connector 0
            self._give("ConnectorPhaseRotationMaxLength", str(info.number_of_connectors + 1), True)
        self._give("NumberOfConnectors", str(info.number_of_connectors), True)
        if "connectorphaserotation" not in self._given:
            self._give("ConnectorPhaseRotation", _phase_rotation(info))
        if template.supervision_url_ocpp_configuration:
            name = template.supervision_url_ocpp_key
            if name.lower() not in self._given:
                self._give(name, supervision_url, reboot=True)
        if template.amperage_limitation_ocpp_key:
            name = template.amperage_limitation_ocpp_key
            if name.lower() not in self._given:
                amperage = info.maximum_amperage * AMPERAGE_UNITS[template.amperage_limitation_unit]
                self._give(name, str(round(amperage)))

    # -- reading ---------------------------------------------------------------------------------------------------

    def get(self, name: str) -> Key | None:
        """A key by its name in any case."""
        lowered = name.lower()
        return self._own.get(lowered) or self._given.get(lowered)

    def all(self) -> Iterable[Key]:
        """Every key, hidden ones included."""
        own = self._own
        keys = [own.get(lowered, key) for lowered, key in self._given.items()]
        return keys + [key for lowered, key in own.items() if lowered not in self._given]

    def text(self, name: str, default: str = "") -> str:
        """A key's value, or the default where the key is absent or has none."""
        lowered = name.lower()
        key = self._own.get(lowered) or self._given.get(lowered)
        return default if key is None or key.value is None else key.value

    def flag(self, name: str) -> bool:
        """A boolean key's value in any case; absent or anything else is false."""
        return self.text(name).strip().lower() == "true"

    def number(self, name: str, default: int = 0) -> int:
        """A whole number; absent, unreadable or beyond all sense gives the default."""
        number = _whole(self.text(name))
        return default if number is None else number

    def _most_items(self, name: str) -> int:
        return self.number(f"{name}MaxLength", MOST)

    def items(self, name: str) -> list[str]:
        """A comma-separated list without empty items."""
        return list(_items(self.text(name)))

    @property
    def of_messages(self) -> MessageKeys:
        """Those that are asked for with every message of a fleet under load."""
        known = self._of_messages
        if known is None:
            known = self._of_messages = message_keys(self)
        return known

    # -- writing ---------------------------------------------------------------------------------------------------

    def set(self, name: str, value: str, *, within: float = PROMISED) -> None:
        """Write a key in the station's own name, whatever its access; create it if need be.

        :param within: wall seconds until the change is stored.
        """
        key = self.get(name)
        if key is None:
            key = Key(name, None)
        if key.value != value:
            self._write(key, value)
            self._changed(key.name, value, within)

    def change(self, name: str, value: str) -> str:
        """Write a key in the central system's name (OCPP 1.6 §5.3); returns the ConfigurationStatus."""
        key = self.get(name)
        if key is None:
            return "NotSupported"
        if key.read_only:
            return "Rejected"
        accepted = acceptable(key.name, value, self._bounds)
        if accepted is None or (name.lower() == self._url_key and not _is_supervision_url(value)):
            return "Rejected"
        if not self._owner.allows(name.lower(), accepted):
            return "Rejected"
        former = key.value or ""
        if key.value != accepted:
            self._write(key, accepted)
            self._changed(key.name, accepted, PROMISED)
        self._owner.written(name.lower(), former, accepted)
        return "RebootRequired" if key.reboot else "Accepted"

    def _write(self, key: Key, value: str) -> None:
        self._own[_lowered(key.name)] = msgspec.structs.replace(key, value=value)
        self._of_messages = None

    def _changed(self, name: str, value: str, within: float) -> None:
        self._owner.changed(name.lower(), value, within)

    def follow(self, info: StationInfo, supervision_url: str) -> None:
        """Take over a changed template: values that somebody has changed stay, all others are the new template's.

        Keys that the template no longer has go, unless somebody has changed them.
        """
        former = {key.name.lower(): key for key in self.all()}
        self._own = {}
        self._bounds = Bounds(info.number_of_phases, info.number_of_connectors, self._most_items)
        self._build(info, supervision_url)
        for lowered, key in former.items():
            if key.value == key.given or lowered == "numberofconnectors":
                continue
            now = self._given.get(lowered, msgspec.structs.replace(key, given=None))
            value = None if key.value is None else acceptable(key.name, key.value, self._bounds)
            if value is not None or key.value is None:
                self._own[lowered] = msgspec.structs.replace(now, value=value)
        self._of_messages = None
        for key in self.all():
            before = former.get(key.name.lower())
            if key.value is not None and (before is None or before.value != key.value):
                self._changed(key.name, key.value, SOON)

    # -- memory ------------------------------------------------------------------------------------------------------

    def to_memory(self) -> list[dict[str, Any]]:
        """Every key with the names of the e-mobility charging stations simulator, with the given values."""
        return [
            {
                "key": key.name,
                "readonly": key.read_only,
                **({} if key.value is None else {"value": key.value}),
                "visible": key.visible,
                "reboot": key.reboot,
                "templateValue": key.given,
            }
            for key in self.all()
        ]

    def from_memory(self, kept: Any) -> None:
        """Take over what was changed: what differs from the value given to it then or, where none is noted, now."""
        for entry in msgspec.convert(kept, list[KeptKey], strict=False):
            key = self.get(entry.key)
            given = entry.template_value
            if given is msgspec.UNSET:  # a file of that simulator, where nobody can have changed what is read-only
                if key is not None and key.read_only:
                    continue
                given = None if key is None else key.given
            if entry.value is None or entry.value == given or entry.key.lower() == "numberofconnectors":
                continue
            value = acceptable(entry.key, entry.value, self._bounds)
            if value is None or (entry.key.lower() == self._url_key and not _is_supervision_url(value)):
                continue
            if key is None:
                key = Key(entry.key, None, entry.readonly, entry.visible, entry.reboot)
            self._write(key, value)


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


def _is_supervision_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


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
