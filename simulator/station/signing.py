"""Signed firmware: is the signing certificate to be trusted, and does the signature fit the file?

OCPP 1.6 security extension, L01. Imported where it is needed: the library behind it is slow to import. Certificates are
valid by the wall clock, as in every TLS library, whatever the speed of the simulation.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from simulator.station.pki import (
    BadCertificate,
    Certificate,
    check_period,
    check_strength,
    is_signed_by,
    is_valid_at,
    read_chain,
)

__all__ = ["BadCertificate", "BadSignature", "check_signature", "check_signer", "is_among", "read_chain"]

#: Intermediate authorities between a signing certificate and its root.
LONGEST_CHAIN = 5


class BadSignature(Exception):
    """A signature does not fit; the text says why in a few words."""


def check_signer(chain: Sequence[Certificate], roots: Sequence[str], now: float) -> None:
    """Whether a signing certificate, the first of the chain, is valid, may sign, and leads to one of the roots.

    :param roots: the manufacturer's, as PEM; without any the chain is not followed.
    :param now: POSIX seconds of the wall clock.
    :raises BadCertificate: with the reason.
    """
    leaf = chain[0]
    _check_by_itself(leaf, now)
    if not isinstance(leaf.public_key(), rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise BadCertificate("its key is neither RSA nor EC")
    usage = _find(leaf, x509.KeyUsage)
    if isinstance(usage, x509.KeyUsage) and not usage.digital_signature:
        raise BadCertificate("it may not sign files (keyUsage)")
    if not roots:
        return
    anchors = [anchor for anchor in _readable(roots) if is_valid_at(anchor, now)]
    current = leaf
    for _ in range(1 + LONGEST_CHAIN):
        if current in anchors or any(is_signed_by(current, anchor) for anchor in anchors):
            return
        issuers = (each for each in chain[1:] if each != current and _is_authority(each))
        issuer = next((each for each in issuers if is_signed_by(current, each)), None)
        if issuer is None:
            break
        _check_by_itself(issuer, now)
        current = issuer
    raise BadCertificate("it does not lead to a root certificate of the manufacturer")


def is_among(certificate: Certificate, serial_numbers: Iterable[str]) -> bool:
    """Whether a certificate has one of these serial numbers, written in hex in any usual way."""
    own = f"{certificate.serial_number:x}"
    return any(own == each.lower().removeprefix("0x").replace(":", "").lstrip("0") for each in serial_numbers)


def check_signature(certificate: Certificate, signature: str, sha256: bytes) -> None:
    """Whether the base64 signature is the certificate's over a file with that SHA-256 digest.

    RSA keys sign with PSS (RFC 8017 §8.1), elliptic curves with ECDSA.

    :raises BadSignature: with the reason.
    """
    try:
        raw = base64.b64decode("".join(signature.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature("the signature is not base64") from None
    key, digest = certificate.public_key(), Prehashed(hashes.SHA256())
    try:
        if isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
            key.verify(raw, sha256, pss, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, sha256, ec.ECDSA(digest))
        else:
            raise BadSignature("the key of the certificate is neither RSA nor EC")
    except (InvalidSignature, ValueError):
        raise BadSignature("the signature does not fit the file") from None


def _check_by_itself(certificate: Certificate, now: float) -> None:
    check_strength(certificate)
    check_period(certificate, now, may_begin_later=False)


def _is_authority(certificate: Certificate) -> bool:
    constraints = _find(certificate, x509.BasicConstraints)
    return isinstance(constraints, x509.BasicConstraints) and constraints.ca


def _readable(roots: Iterable[str]) -> list[Certificate]:
    found: list[Certificate] = []
    for pem in roots:
        try:
            found += read_chain(pem)
        except BadCertificate:
            continue  # a file that somebody else has put there
    return found


def _find(certificate: Certificate, kind: type[x509.ExtensionType]) -> x509.ExtensionType | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
