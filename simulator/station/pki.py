"""Certificates, keys and certificate requests (X.509, PKCS#10): reading, checking, making. Pure: no files, no station.

Imported where it is needed and not before: the library behind it takes a tenth of a second and 18 MB, and most fleets
never see a certificate. Times are POSIX seconds of the wall clock, as in every TLS library.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Sequence
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from simulator.ocpp.v16.enums import HashAlgorithm
from simulator.ocpp.v16.messages import CertificateHashData

Certificate = x509.Certificate

#: Bits of an RSA key that a station makes: more than the 2048 that the standard asks for, as NIST advises.
RSA_BITS = 3072

# The least that the standard allows (security white paper §5, "Certificate properties").
_LEAST_RSA_BITS = 2048
_LEAST_EC_BITS = 224

_HASHES: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    HashAlgorithm.SHA256: hashes.SHA256,
    HashAlgorithm.SHA384: hashes.SHA384,
    HashAlgorithm.SHA512: hashes.SHA512,
}
#: What reading a broken certificate raises.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    CryptographyDeprecationWarning,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_WEAK_HASHES = (hashes.MD5, hashes.SHA1)


class BadCertificate(Exception):
    """A certificate, a chain or a key cannot be used; the text says why in a few words."""


# -- reading -----------------------------------------------------------------------------------------------------------


def read_chain(pem: str) -> list[Certificate]:
    """The certificates of a PEM text in their order.

    :raises BadCertificate: there is none, or one cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CryptographyDeprecationWarning)  # such as a negative serial number
            found = x509.load_pem_x509_certificates(pem.encode())
            for each in found:  # parsed lazily: a broken field shows only when it is touched
                _ = each.version, each.serial_number, each.subject, each.issuer, each.extensions, each.public_key()
                _ = each.not_valid_before_utc, each.not_valid_after_utc, each.signature_hash_algorithm
    except _UNREADABLE as error:
        raise BadCertificate(f"not a PEM certificate ({str(error).partition(chr(10))[0][:80].rstrip(' .')})") from None
    return found


def read_one(pem: str) -> Certificate:
    """The only certificate of a PEM text.

    :raises BadCertificate: it holds another number of them.
    """
    found = read_chain(pem)
    if len(found) != 1:
        raise BadCertificate(f"{len(found)} certificates where one is expected")
    return found[0]


def pem_of(certificates: Iterable[Certificate]) -> str:
    """The PEM text of certificates, and nothing else that may have stood around them."""
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)


def der_of(certificate: Certificate) -> bytes:
    """The DER form."""
    return certificate.public_bytes(serialization.Encoding.DER)


def validity(certificate: Certificate) -> tuple[float, float]:
    """The instants before and after which a certificate is not valid."""
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def is_valid_at(certificate: Certificate, now: float) -> bool:
    """Whether an instant lies in a certificate's period of validity."""
    begin, end = validity(certificate)
    return begin <= now <= end


def subject(certificate: Certificate) -> str:
    """The subject in the form of RFC 4514, for people."""
    return certificate.subject.rfc4514_string()


# -- names by hash (RFC 6960 §4.1.1) -----------------------------------------------------------------------------------


def hash_data(
    certificate: Certificate, issuer: Certificate, algorithm: str = HashAlgorithm.SHA256
) -> CertificateHashData:
    """How OCPP names a certificate. ``issuer`` is the certificate itself where it is self-signed."""
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, _HASHES[algorithm]()).build()
    return CertificateHashData(
        hash_algorithm=HashAlgorithm(algorithm),
        issuer_name_hash=request.issuer_name_hash.hex(),
        issuer_key_hash=request.issuer_key_hash.hex(),
        serial_number=f"{certificate.serial_number:x}",
    )


def is_named(certificate: Certificate, issuer: Certificate, name: CertificateHashData) -> bool:
    """Whether that is the certificate of such a name; letter case and leading zeros do not count."""
    own = hash_data(certificate, issuer, name.hash_algorithm)
    return (
        own.issuer_name_hash == name.issuer_name_hash.strip().lower()
        and own.issuer_key_hash == name.issuer_key_hash.strip().lower()
        and own.serial_number == (name.serial_number.strip().lower().lstrip("0") or "0")
    )


# -- checking ----------------------------------------------------------------------------------------------------------


def is_signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's name and key stand behind the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def check_root(certificate: Certificate, now: float) -> None:
    """Whether a certificate may serve as root.

    :raises BadCertificate: it is not valid now, is no authority, is too weak, or its own signature is wrong.
    """
    check_strength(certificate)
    check_period(certificate, now, may_begin_later=False)
    if certificate.issuer == certificate.subject and not is_signed_by(certificate, certificate):
        raise BadCertificate("its signature is wrong")
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise BadCertificate("it is no certificate authority (basicConstraints)")
    except x509.ExtensionNotFound:
        if certificate.version is not x509.Version.v1:  # which had no extensions
            raise BadCertificate("it is no certificate authority (no basicConstraints)") from None
    with contextlib.suppress(x509.ExtensionNotFound):
        if not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
            raise BadCertificate("it may not sign certificates (keyUsage)")


def check_signed(
    chain: Sequence[Certificate],
    key: str,
    now: float,
    *,
    organisation: str,
    names: Iterable[str],
) -> None:
    """Whether a chain, leaf first, is what a request for a station's certificate was to bring.

    :param key: PEM of the private key behind the request.
    :param organisation: what the subject's O must be; empty: anything.
    :param names: what the subject's CN may be.
    :raises BadCertificate: it is not.
    """
    leaf = chain[0]
    for each in chain:
        check_strength(each)
        check_period(each, now, may_begin_later=each is leaf)
    for lower, upper in pairwise(chain):
        if not is_signed_by(lower, upper):
            raise BadCertificate(f"{subject(lower)} is not signed by {subject(upper)}")
    if _public_bytes(leaf.public_key()) != _public_bytes(_private_key(key).public_key()):
        raise BadCertificate("it is not for the key of the request")
    allowed = set(names)
    common = _attribute(leaf, NameOID.COMMON_NAME)
    if common not in allowed:
        raise BadCertificate(f"its common name is {common!r}, expected {' or '.join(map(repr, sorted(allowed)))}")
    if organisation and _attribute(leaf, NameOID.ORGANIZATION_NAME) != organisation:
        raise BadCertificate(f"its organization is not the CpoName {organisation!r}")
    _check_use(leaf)


def check_strength(certificate: Certificate) -> None:
    """Whether a certificate's key and hash are as strong as the standard asks. :raises BadCertificate: they are not."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        weak = key.key_size < _LEAST_RSA_BITS
    else:
        weak = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < _LEAST_EC_BITS
    if weak:
        raise BadCertificate("its key is too short")
    if isinstance(certificate.signature_hash_algorithm, _WEAK_HASHES):
        raise BadCertificate(f"it is signed with {certificate.signature_hash_algorithm.name}")


def check_period(certificate: Certificate, now: float, *, may_begin_later: bool) -> None:
    """Whether a certificate is valid at an instant, or later if it may be. :raises BadCertificate: it is not."""
    begin, end = validity(certificate)
    if now > end:
        raise BadCertificate(f"{subject(certificate)} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if now < begin and not may_begin_later:
        raise BadCertificate(f"{subject(certificate)} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}")


def _check_use(leaf: Certificate) -> None:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(uses):
        raise BadCertificate("it is not for clients (extendedKeyUsage)")


def _attribute(certificate: Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def _public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


# -- making ------------------------------------------------------------------------------------------------------------


def new_key(kind: str) -> str:
    """A new private key as PEM: ``EC`` on the curve P-256, at once, or ``RSA``, which takes up to seconds."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if kind == "RSA":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def signing_request(key: str, *, common_name: str, organisation: str) -> str:
    """A certificate request (PKCS#10, PEM) for a key; an empty ``organisation`` is left out.

    :raises BadCertificate: the name or the key cannot stand in a request.
    """
    try:
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organisation:
            attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    except ValueError as error:
        raise BadCertificate(f"no certificate request can be made: {error}") from None
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    request = builder.sign(_private_key(key), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _private_key(pem: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadCertificate("the private key cannot be read") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise BadCertificate("the private key is neither RSA nor EC")
    return key
