"""One signed reading of a meter: the OCMF record of a transaction's begin, of its end, or of an instant.

Only :mod:`simulator.station.meter_signing` imports this, once there is something to sign.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulator.energy.ocmf import (
    OcmfMeter,
    OcmfReading,
    OcmfUser,
    ReadingKind,
    payload,
    sign,
    signed_value_text,
)
from simulator.ocpp.v16.enums import ReadingContext, Reason
from simulator.templates.info import StationInfo

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

    from simulator.station.connector import Connector
    from simulator.station.transaction import Transaction

_ENDS = {
    Reason.LOCAL: ReadingKind.END_LOCAL,
    Reason.REMOTE: ReadingKind.END_REMOTE,
    Reason.POWER_LOSS: ReadingKind.POWER_FAILURE,
    Reason.EMERGENCY_STOP: ReadingKind.ABORTED,
    Reason.OTHER: ReadingKind.ABORTED,
}
# The identifiers of ISO 14443 cards are of 4, 7 or 10 bytes.
_CARD = re.compile(r"(?:[0-9A-Fa-f]{2}){4}|(?:[0-9A-Fa-f]{2}){7}|(?:[0-9A-Fa-f]{2}){10}")


def signed_text(
    info: StationInfo,
    connector: Connector,
    context: ReadingContext,
    at: float,
    transaction: Transaction | None,
    *,
    page: int,
    key: EllipticCurvePrivateKey,
    public: EllipticCurvePublicKey | None,
) -> str:
    """The ``value`` of a SampledValue of format SignedData.

    :param at: POSIX seconds of the reading; those of begin and end are the transaction's own.
    :param page: the record's place in the sequence of its kind.
    :param public: goes along, if it is to.
    """
    assert connector.meter is not None
    text = payload(
        _meter(info, connector),
        _readings(connector.meter.register_wh, context, at, transaction),
        page=page,
        user=None if transaction is None else _user(transaction),
    )
    return signed_value_text(sign(text, key), public)


def _readings(wh: float, context: ReadingContext, at: float, transaction: Transaction | None) -> list[OcmfReading]:
    if transaction is None:
        return [OcmfReading(time=at, wh=wh, kind=None)]
    begin = OcmfReading(time=transaction.started_at, wh=transaction.meter_start, kind=ReadingKind.BEGIN)
    if context is ReadingContext.TRANSACTION_BEGIN:
        return [begin]
    if context is not ReadingContext.TRANSACTION_END:
        return [OcmfReading(time=at, wh=wh)]
    assert transaction.stopped_at is not None
    assert transaction.meter_stop is not None
    kind = _ENDS.get(transaction.reason or Reason.OTHER, ReadingKind.END)
    return [begin, OcmfReading(time=transaction.stopped_at, wh=transaction.meter_stop, kind=kind)]


def _meter(info: StationInfo, connector: Connector) -> OcmfMeter:
    template = info.template
    return OcmfMeter(
        meter_serial=f"{info.meter_serial_number or info.station_id}-{connector.id}",
        meter_vendor=template.charge_point_vendor,
        meter_model=template.meter_type or "",
        gateway=template.charge_point_model,
        gateway_serial=info.charge_point_serial_number or info.charge_box_serial_number or "",
        gateway_version=template.firmware_version or "",
        direct_current=info.circuit.direct,
        charge_box=f"{info.station_id} {connector.id}",
    )


def _user(transaction: Transaction) -> OcmfUser:
    tag = transaction.id_tag
    card = _CARD.fullmatch(tag) is not None
    return OcmfUser(
        id_tag=tag,
        flags=("OCPP_RS",) if transaction.remote else ("RFID_PLAIN",),
        type="ISO14443" if card else "LOCAL",
    )
