"""The key pairs with which meters sign their readings, and the forms in which their public keys travel.

Open Charge Alliance, *Signed Meter Values in OCPP* (§3.2.2): a public key is ``oca:base16:asn1:`` and the hexadecimal
digits of its DER structure, as printed on the meter; messages carry the Base64 form of that text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from simulator.energy.signature_methods import CURVES, DEFAULT_METHOD

METHODS: dict[str, ec.EllipticCurve] = {method: getattr(ec, name)() for method, name in CURVES.items()}
"""The signature methods of OCMF with their curves."""

_MARK, _BASE16, _BASE64, _ASN1 = "oca", "base16", "base64", "asn1"


class MeterKeyError(ValueError):
    """A key that cannot be used; the text says why."""


def new_key(method: str = DEFAULT_METHOD) -> ec.EllipticCurvePrivateKey:
    """A new private key for a signature method.

    :raises MeterKeyError: for a method that is not one of :data:`METHODS`.
    """
    return ec.generate_private_key(_curve(method))


def derived_key(secret: str, method: str = DEFAULT_METHOD) -> ec.EllipticCurvePrivateKey:
    """The private key that belongs to a text: the same in every run, so that a simulated meter keeps its own.

    Whoever knows the text knows the key: that is for simulated meters only.

    :raises MeterKeyError: for a method that is not one of :data:`METHODS`.
    """
    curve = _curve(method)
    digest = hashlib.shake_256(f"{method}\n{secret}".encode()).digest(curve.key_size // 8)
    # One bit less than the curve has: that is below the order of each of them.
    number = int.from_bytes(digest, "big") >> 1
    return ec.derive_private_key(number or 1, curve)


def method_of(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> str:
    """The signature method that goes with a key.

    :raises MeterKeyError: for a curve that OCMF does not know.
    """
    for method, curve in METHODS.items():
        if curve.name == key.curve.name:
            return method
    raise MeterKeyError(f"there is no signature method for the curve {key.curve.name}")


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key as PEM text (PKCS #8, not encrypted)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def read_private_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """A private key from PEM text.

    :raises MeterKeyError: if it is not one on an elliptic curve.
    """
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MeterKeyError(f"this is no private key in PEM form: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise MeterKeyError("this is no key on an elliptic curve")
    return key


def public_key_hex(key: ec.EllipticCurvePublicKey) -> str:
    """A public key as it is printed on a meter: the hexadecimal digits of its DER structure (RFC 5480)."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()


def public_key_pem(key: ec.EllipticCurvePublicKey) -> str:
    """A public key as PEM text."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def oca_public_key(key: ec.EllipticCurvePublicKey) -> str:
    """A public key as ``oca:base16:asn1:...``."""
    return f"{_MARK}:{_BASE16}:{_ASN1}:{public_key_hex(key)}"


def oca_public_key_base64(key: ec.EllipticCurvePublicKey) -> str:
    """The Base64 form of :func:`oca_public_key`: what ``publicKey`` and ``MeterPublicKey<connector>`` hold."""
    return base64.b64encode(oca_public_key(key).encode()).decode()


def read_public_key(text: str) -> ec.EllipticCurvePublicKey:
    """A public key in any form in which it travels.

    That is PEM, the form of the OCA, hexadecimal digits or Base64 of the DER structure, and Base64 of any of them but
    PEM.

    :raises MeterKeyError: if it is none of those.
    """
    text = text.strip()
    if text.startswith("-----"):
        return _checked(load_pem_public_key, text.encode())
    der = _der(text)
    if der is None and (inner := _base64(text)) is not None:
        try:
            der = _der(inner.decode("ascii"))
        except UnicodeDecodeError:
            der = None
        der = inner if der is None else der
    if der is None:
        raise MeterKeyError(
            "this is no public key: give PEM, oca:base16:asn1:..., or the DER structure in hex or Base64"
        )
    return _checked(load_der_public_key, der)


def _curve(method: str) -> ec.EllipticCurve:
    if method not in METHODS:
        raise MeterKeyError(f"{method!r} is no signature method, use one of {', '.join(METHODS)}")
    return METHODS[method]


def _der(text: str) -> bytes | None:
    """The DER structure behind the form of the OCA or behind hexadecimal digits."""
    parts = text.split(":", 3)
    if len(parts) == 4 and parts[0] == _MARK and parts[2] == _ASN1:
        if parts[1] == _BASE16:
            # As printed: whatever is no digit, and a prefix, counts for nothing.
            digits = parts[3].lower().replace("0x", "")
            return bytes.fromhex("".join(digit for digit in digits if digit in "0123456789abcdef"))
        return _base64(parts[3]) if parts[1] == _BASE64 else None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _checked(load: Callable[[bytes], object], data: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MeterKeyError(f"this is no public key: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise MeterKeyError("this is no key on an elliptic curve")
    return key
