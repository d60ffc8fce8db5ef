"""Who a station is: its name, its hashId and its serial numbers."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping

from simulator.templates.model import StationTemplate

MAX_SERIAL_NUMBER = 25
"""Characters that OCPP 1.6 allows a serial number."""

MIN_RANDOM_DIGITS = 8
MAX_PREFIX = MAX_SERIAL_NUMBER - MIN_RANDOM_DIGITS
"""Characters of a prefix of serial numbers that are used; with fewer random digits stations would collide."""


def station_id(template: StationTemplate, index: int, environ: Mapping[str, str]) -> str:
    """The name of the station with that ``index`` (from 1) among those of its template.

    ``<baseName>-<instance><index on four digits><nameSuffix>``; the instance is 0, or CF_INSTANCE_INDEX where Cloud
    Foundry runs several simulators.
    """
    if template.fixed_name:
        return template.base_name
    instance = environ.get("CF_INSTANCE_INDEX") or "0"
    return f"{template.base_name}-{instance}{index:04d}{template.name_suffix}"


def hash_id(template: StationTemplate, station_id: str) -> str:
    """The identity of a station towards UI clients and in file names: 96 hex digits.

    SHA-384 of the boot data of the template (compact JSON) followed by the name of the station.
    """
    return hash_ids(template)(station_id)


def hash_ids(template: StationTemplate) -> Callable[[str], str]:
    """:func:`hash_id` for many stations of one template."""
    return _hash_ids(
        template,
        {
            "chargeBoxSerialNumber": template.charge_box_serial_number_prefix,
            "chargePointSerialNumber": template.charge_point_serial_number_prefix,
            "firmwareVersion": template.firmware_version,
            "iccid": template.iccid,
            "imsi": template.imsi,
            "meterSerialNumber": template.meter_serial_number_prefix,
            "meterType": template.meter_type,
        },
    )


def other_hash_ids(template: StationTemplate) -> Callable[[str], str]:
    """The same by the formula of the present-day e-mobility charging stations simulator, for the names of its files:
    firmware version and SIM card are no part of the identity there.
    """
    return _hash_ids(
        template,
        {
            "chargeBoxSerialNumber": template.charge_box_serial_number_prefix,
            "chargePointSerialNumber": template.charge_point_serial_number_prefix,
            "meterSerialNumber": template.meter_serial_number_prefix,
            "meterType": template.meter_type,
        },
    )


def _hash_ids(template: StationTemplate, optional: Mapping[str, str | None]) -> Callable[[str], str]:
    boot_data = {
        "chargePointModel": template.charge_point_model,
        "chargePointVendor": template.charge_point_vendor,
        **{name: value for name, value in optional.items() if value is not None},
    }
    common = hashlib.sha384(json.dumps(boot_data, ensure_ascii=False, separators=(",", ":")).encode())

    def hash_of(station_id: str) -> str:
        digest = common.copy()
        digest.update(station_id.encode())
        return digest.hexdigest()

    return hash_of


def serial_number(prefix: str | None, rng: random.Random) -> str | None:
    """A serial number: ``prefix`` and as many random upper-case hex digits as fit in 25 characters, at least 8.

    None without a prefix. A prefix that leaves no room for 8 digits is cut.
    """
    if not prefix:
        return None
    prefix = prefix[:MAX_PREFIX]
    digits = MAX_SERIAL_NUMBER - len(prefix)
    return f"{prefix}{rng.getrandbits(4 * digits):0{digits}X}"
