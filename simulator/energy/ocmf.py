"""Signed meter readings in the Open Charge Metering Format (OCMF 1.2, SAFE e.V.).

A record is ``OCMF|<payload>|<signature>``: two JSON objects, and an ECDSA signature over the payload exactly as it
stands there. Whoever has the public key of the meter can verify it, with the transparency software, with
:func:`verify`, or with openssl.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from simulator.energy.meter_keys import METHODS, method_of, oca_public_key_base64
from simulator.energy.signature_methods import DEFAULT_METHOD

FORMAT_VERSION = "1.2"
HEADER = "OCMF"
IMPORT_OBIS = "1-b:1.8.0"
"""The OBIS code of the active energy imported, in the register of the meter that must not be altered."""


class OcmfError(ValueError):
    """Text that is no OCMF record; it says why."""


class ReadingKind(StrEnum):
    """The reason of a reading in a transaction (OCMF table 7, ``TX``)."""

    BEGIN = "B"
    CHARGING = "C"
    EXCEPTION = "X"
    END = "E"
    END_LOCAL = "L"
    END_REMOTE = "R"
    ABORTED = "A"
    POWER_FAILURE = "P"
    SUSPENDED = "S"
    TARIFF = "T"


class TimeStatus(StrEnum):
    """What the clock of a reading is worth (OCMF table 19)."""

    UNKNOWN = "U"
    INFORMATIVE = "I"
    SYNCHRONISED = "S"
    RELATIVE = "R"


class OcmfReading(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of the energy register."""

    time: float
    """POSIX seconds."""
    wh: float
    kind: ReadingKind | None = ReadingKind.CHARGING
    """None: outside of transactions, for fiscal metering."""
    time_status: TimeStatus = TimeStatus.SYNCHRONISED
    errors: str = ""
    """Which quantities are not usable: ``E`` for the energy, ``t`` for the time."""
    status: str = "G"
    """The state of the meter (OCMF table 10), good by default."""


class OcmfMeter(msgspec.Struct, frozen=True, kw_only=True):
    """Who measures and signs, and where; empty members are left out."""

    meter_serial: str
    meter_vendor: str = ""
    meter_model: str = ""
    meter_firmware: str = ""
    gateway: str = ""
    gateway_serial: str = ""
    gateway_version: str = ""
    controller_version: str = ""
    direct_current: bool = False
    evse_id: str = ""
    """The identifier of the EVSE; without one, ``charge_box`` stands for it."""
    charge_box: str = ""
    """The charge box and the connector with a blank between, ``CS-1 2``."""


class OcmfUser(msgspec.Struct, frozen=True, kw_only=True):
    """For whom a transaction is."""

    id_tag: str = ""
    assigned: bool = True
    level: str = "HEARSAY"
    """What the assignment is worth (OCMF table 11)."""
    flags: tuple[str, ...] = ("RFID_PLAIN",)
    """How it came about (OCMF tables 13 to 16)."""
    type: str = "ISO14443"
    """What the tag is (OCMF table 17)."""
    tariff: str = ""


class OcmfRecord(msgspec.Struct, frozen=True):
    """A record taken apart."""

    payload: str
    """The text that is signed."""
    data: dict[str, Any]
    method: str
    signature: bytes
    """In DER form."""


def payload(
    meter: OcmfMeter,
    readings: Sequence[OcmfReading],
    *,
    page: int,
    user: OcmfUser | None = None,
    decimals: int = 3,
    utc_offset_minutes: int = 0,
) -> str:
    """The text to be signed of one or more readings.

    :param page: the pagination counter: a meter counts its records, those of transactions and the others separately.
    :param user: for whom; required exactly in a transaction. By default nobody in particular.
    :param decimals: of the kWh, all of which are written: they say how exact the value is.
    :param utc_offset_minutes: of the time zone in which times are written.
    :raises ValueError: without readings, or with some in and some outside of a transaction.
    """
    if not readings or len({reading.kind is None for reading in readings}) != 1:
        raise ValueError("a record holds readings that are all of a transaction, or all of none")
    in_transaction = readings[0].kind is not None
    data: dict[str, Any] = {
        "FV": FORMAT_VERSION,
        "GI": meter.gateway,
        "GS": meter.gateway_serial,
        "GV": meter.gateway_version,
        "PG": f"{'T' if in_transaction else 'F'}{page}",
        "MV": meter.meter_vendor,
        "MM": meter.meter_model,
        "MS": meter.meter_serial,
        "MF": meter.meter_firmware,
    }
    if in_transaction:
        who = OcmfUser(assigned=False, level="NONE", flags=(), type="NONE") if user is None else user
        data |= {
            "IS": who.assigned,
            "IL": who.level,
            "IF": list(who.flags),
            "IT": who.type,
            "ID": who.id_tag,
            "TT": who.tariff,
        }
    data["CCV"] = meter.controller_version
    if meter.evse_id or meter.charge_box:
        data |= {"CT": "EVSEID" if meter.evse_id else "CBIDC", "CI": meter.evse_id or meter.charge_box}
    data["RD"] = [_reading(reading, meter, decimals, utc_offset_minutes) for reading in readings]
    shown = {key: value for key, value in data.items() if value != ""}
    # The bar separates the sections and stands in none of them.
    return msgspec.json.encode(shown).decode().replace("|", "\\u007c")


def sign(text: str, key: ec.EllipticCurvePrivateKey) -> str:
    """The record of a payload, signed.

    :raises ValueError: if the payload holds a bar.
    :raises MeterKeyError: for a key on a curve that OCMF does not know.
    """
    if "|" in text:
        raise ValueError("a payload holds no bar: it separates the sections of a record")
    signature = key.sign(text.encode(), ec.ECDSA(SHA256()))
    section = msgspec.json.encode({"SA": method_of(key), "SD": signature.hex()}).decode()
    return f"{HEADER}|{text}|{section}"


def parse(record: str) -> OcmfRecord:
    """Take a record apart; its signature is not verified.

    :raises OcmfError: if it is none.
    """
    sections = record.strip().split("|")
    if sections[0].strip() != HEADER:
        raise OcmfError("a record begins with OCMF|")
    if len(sections) != 3:
        raise OcmfError(f"a record has 3 sections, this has {len(sections)}")
    data, section = _section("payload", sections[1]), _section("signature", sections[2])
    method = section.get("SA", DEFAULT_METHOD)
    if method not in METHODS:
        raise OcmfError(f"the signature method {method!r} is not known")
    encoded = section.get("SD")
    if not isinstance(encoded, str):
        raise OcmfError("the signature section has no SD")
    try:
        if section.get("SE", "hex") == "base64":
            signature = base64.b64decode(encoded, validate=True)
        else:
            signature = bytes.fromhex(encoded)
    except (ValueError, binascii.Error):
        raise OcmfError("the signature is not encoded as its section says") from None
    return OcmfRecord(sections[1], data, method, signature)


def verify(record: str, public_key: ec.EllipticCurvePublicKey) -> bool:
    """Whether the signature of a record is that of the key over its payload.

    :raises OcmfError: if the text is no record.
    """
    found = parse(record)
    if METHODS[found.method].name != public_key.curve.name:
        return False
    try:
        public_key.verify(found.signature, found.payload.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def signed_meter_value(record: str, public_key: ec.EllipticCurvePublicKey | None = None) -> dict[str, str]:
    """A record as the ``SignedMeterValueType`` of OCPP 2.x.

    The signing method is empty because the record names it (OCA, *Signed Meter Values in OCPP*, table 12).

    :param public_key: to be sent along; None: not this time.
    """
    return {
        "signedMeterData": base64.b64encode(record.encode()).decode(),
        "signingMethod": "",
        "encodingMethod": "OCMF",
        "publicKey": "" if public_key is None else oca_public_key_base64(public_key),
    }


def signed_value_text(record: str, public_key: ec.EllipticCurvePublicKey | None = None) -> str:
    """A record as the ``value`` of an OCPP 1.6 SampledValue of format ``SignedData``: the same type as JSON text."""
    return msgspec.json.encode(signed_meter_value(record, public_key)).decode()


def _reading(reading: OcmfReading, meter: OcmfMeter, decimals: int, offset: int) -> dict[str, Any]:
    kwh = msgspec.Raw(f"{reading.wh / 1000:.{decimals}f}".encode())
    return {
        "TM": f"{_time(reading.time, offset)} {reading.time_status}",
        **({} if reading.kind is None else {"TX": str(reading.kind)}),
        "RV": kwh,
        "RI": IMPORT_OBIS,
        "RU": "kWh",
        "RT": "DC" if meter.direct_current else "AC",
        "EF": reading.errors,
        "ST": reading.status,
    }


def _time(at: float, offset: int) -> str:
    """``2018-07-24T13:22:04,000+0200``."""
    moment = datetime.fromtimestamp(round(at, 3), UTC) + timedelta(minutes=offset)
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    return f"{moment:%Y-%m-%dT%H:%M:%S},{moment.microsecond // 1000:03d}{sign}{hours:02d}{minutes:02d}"


def _section(name: str, text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise OcmfError(f"the {name} section is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise OcmfError(f"the {name} section is no JSON object")
    return found
