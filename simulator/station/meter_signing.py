"""Signed readings: the meters of a station sign their energy register (OCA, *Signed Meter Values in OCPP*; OCMF 1.2).

A station whose template sets any of the keys below has all of them, and ``MeterPublicKey<connector>`` besides:

* ``SampledDataSignReadings``: the readings at begin and end in ``transactionData`` of StopTransaction, and that at the
  end in MeterValues; the record at the end holds both, so that it proves the energy alone.
* ``SampledDataSignStartedReadings``: the MeterValues at the begin.
* ``SampledDataSignUpdatedReadings``: the periodic MeterValues of transactions.
* ``AlignedDataSignReadings``: clock-aligned readings outside of transactions and in ``transactionData``.
* ``AlignedDataSignUpdatedReadings``: clock-aligned MeterValues of transactions.
* ``PublicKeyWithSignedMeterValue``: Never, OncePerTransaction or EveryMeterValue.
* ``SigningMethod``: curve and hash, such as ``ECDSA-secp256r1-SHA256``.

Each meter has a key of its own that follows from the hashId: it is the same in every run. What signs is imported by the
first station that signs: most fleets have none, and cryptography takes 7 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from simulator.energy.signature_methods import CURVES, DEFAULT_METHOD
from simulator.ocpp.v16.enums import Measurand, ReadingContext, ValueFormat
from simulator.ocpp.v16.messages import MeterValue, SampledValue

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation
    from simulator.station.transaction import Transaction

#: When the public key goes along.
NEVER, ONCE, ALWAYS = KEY_POLICIES = "Never", "OncePerTransaction", "EveryMeterValue"

#: Pages that are counted as used when the station's memory is written, so that none is ever used twice.
PAGES_AT_ONCE = 100


class _Pages(msgspec.Struct):
    """The pages that a meter has used, of transactions and of others, and up to where they are spoken for."""

    used: list[int]
    reserved: list[int]


class MeterSigning:
    """The signatures of one station's meters."""

    __slots__ = ("_keys", "_pages", "_station")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self._pages: dict[int, _Pages] = {}
        self._keys: dict[int, EllipticCurvePrivateKey] = {}
        keys = station.keys
        if keys.get("SigningMethod") is None:
            return
        if not known_method(keys.text("SigningMethod")):
            station.log.warning("SigningMethod %s is not known: %s", keys.text("SigningMethod"), DEFAULT_METHOD)
            keys.set("SigningMethod", DEFAULT_METHOD)
        self.new_method()

    def new_method(self) -> None:
        """The signing method has been written: each meter has a key for it."""
        from simulator.energy.meter_keys import oca_public_key_base64

        self._keys.clear()
        for connector_id in self._station.connectors:
            if connector_id > 0:
                public = oca_public_key_base64(self._key(connector_id).public_key())
                self._station.keys.set(f"MeterPublicKey{connector_id}", public)

    def _key(self, connector_id: int) -> EllipticCurvePrivateKey:
        if connector_id not in self._keys:
            from simulator.energy.meter_keys import derived_key

            method = _method(self._station.keys.text("SigningMethod")) or DEFAULT_METHOD
            self._keys[connector_id] = derived_key(f"{self._station.info.hash_id}:{connector_id}", method)
        return self._keys[connector_id]

    # -- signing -----------------------------------------------------------------------------------------------------

    def on(self, switch: str) -> bool:
        """Whether one of the switches is on."""
        return self._station.keys.flag(switch)

    def signs(self, switch: str) -> bool:
        """Whether readings are signed for which one of the switches stands."""
        return self.on(switch) and self._station.keys.get("SigningMethod") is not None

    def signed(
        self,
        value: MeterValue,
        switch: str,
        connector: Connector,
        context: ReadingContext,
        *,
        at: float | None = None,
        transaction: Transaction | None = None,
    ) -> MeterValue:
        """``value`` with a signed reading of the energy register added, if the switch is on.

        :param at: POSIX seconds of the reading; by default now. Those of begin and end are the transaction's own.
        """
        if not self.signs(switch) or connector.meter is None:
            return value
        from simulator.station.signed_readings import signed_text

        at = self._station.now() if at is None else at
        key = self._key(connector.id)
        # The first reading of transactionData is the last to be sent: the key goes with one that comes earlier.
        waits = context is ReadingContext.TRANSACTION_BEGIN and switch == "SampledDataSignReadings"
        public = key.public_key() if self._tells_key(transaction, waits=waits) else None
        signed = SampledValue(
            value=signed_text(
                self._station.info,
                connector,
                context,
                at,
                transaction,
                page=self._next_page(connector.id, 0 if transaction is not None else 1),
                key=key,
                public=public,
            ),
            context=context,
            format=ValueFormat.SIGNED_DATA,
            measurand=Measurand.ENERGY_ACTIVE_IMPORT_REGISTER,
        )
        return msgspec.structs.replace(value, sampled_value=(*value.sampled_value, signed))

    def _tells_key(self, transaction: Transaction | None, *, waits: bool) -> bool:
        policy = self._station.keys.text("PublicKeyWithSignedMeterValue", NEVER)
        if policy != ONCE:
            return policy == ALWAYS
        if transaction is None or transaction.key_told or waits:
            return False
        transaction.key_told = True
        return True

    def _next_page(self, connector_id: int, kind: int) -> int:
        pages = self._pages.setdefault(connector_id, _Pages([0, 0], [0, 0]))
        pages.used[kind] += 1
        if pages.used[kind] > pages.reserved[kind]:
            pages.reserved[kind] = pages.used[kind] + PAGES_AT_ONCE - 1
            self._station.remember()
        return pages.used[kind]

    # -- memory ------------------------------------------------------------------------------------------------------

    def to_memory(self) -> Any:
        """The pages that may have been used, by connector."""
        return {str(connector_id): list(pages.reserved) for connector_id, pages in self._pages.items()} or None

    def from_memory(self, kept: Any) -> None:
        """Go on behind them."""
        for connector_id, reserved in msgspec.convert(kept, dict[str, tuple[int, int]]).items():
            self._pages[int(connector_id)] = _Pages(list(reserved), list(reserved))


def _method(text: str) -> str:
    """A signing method as OCMF writes it; others write underscores."""
    return text.strip().replace("_", "-")


def known_method(text: str) -> bool:
    """Whether the meters can sign by a method."""
    return _method(text) in CURVES
