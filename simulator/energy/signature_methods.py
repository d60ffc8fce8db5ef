"""The signature methods of OCMF, by name: for those who only ask whether a method is known.

What signs is in :mod:`simulator.energy.meter_keys`, and brings 7 MB of cryptography along.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_METHOD = "ECDSA-secp256r1-SHA256"

CURVES: Mapping[str, str] = MappingProxyType(
    {
        "ECDSA-secp192r1-SHA256": "SECP192R1",
        "ECDSA-secp256k1-SHA256": "SECP256K1",
        "ECDSA-secp256r1-SHA256": "SECP256R1",
        "ECDSA-secp384r1-SHA256": "SECP384R1",
        "ECDSA-brainpool256r1-SHA256": "BrainpoolP256R1",
        "ECDSA-brainpool384r1-SHA256": "BrainpoolP384R1",
    }
)
"""The signature methods of OCMF (table 22) with cryptography's names of their curves; secp192k1 is missing, no library
at hand has it."""
