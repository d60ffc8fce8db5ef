"""A certificate authority for tests: roots, certificates of central systems, and those that stations ask for."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """A root with its key.

    :param signer: who signs the root; itself by default.
    :param days: from now to the root's end; negative: it has expired.
    """

    def __init__(
        self, name: str = "Test Root", *, signer: Authority | None = None, days: float = 3650, serial: int | None = None
    ) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        builder = _builder(self._name, self._key.public_key(), days=days, serial=serial)
        builder = builder.issuer_name(self._name if signer is None else signer._name)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(self._key if signer is None else signer._key, hashes.SHA256())

    @property
    def pem(self) -> str:
        """The root as PEM."""
        return pem(self.certificate)

    def issue(
        self,
        subject: x509.Name,
        key: CertificatePublicKeyTypes,
        *,
        hosts: tuple[str, ...] = (),
        days: float = 365,
        starts: float = -1,
        client: bool = False,
    ) -> x509.Certificate:
        """A certificate under this root. ``starts`` and ``days``: begin and end of its validity from now."""
        builder = _builder(subject, key, days=days, starts=starts).issuer_name(self._name)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(list(map(_general_name, hosts))), critical=False
            )
        if client:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
            builder = builder.add_extension(usage, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def sign(self, csr: str, *, common_name: str | None = None, days: float = 365, starts: float = -1) -> str:
        """The certificate for a request, PEM; ``common_name`` in place of the one asked for."""
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        subject = request.subject
        if common_name is not None:
            subject = _name(common_name)
        return pem(self.issue(subject, request.public_key(), days=days, starts=starts, client=True))

    def server(
        self, host: str = "central.test", *, clients: Authority | None = None, days: float = 365
    ) -> ssl.SSLContext:
        """TLS of a central system; with ``clients`` it asks for certificates under that root."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.issue(_name(host), key.public_key(), hosts=(host,), days=days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "server.pem"
            path.write_text(pem(certificate) + private_pem(key))
            context.load_cert_chain(path)
        if clients is not None:
            context.load_verify_locations(cadata=clients.pem)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def identity_of(authority: Authority, common_name: str) -> tuple[str, str]:
    """A certificate of a station and its key, as a factory would put them in."""
    key = ec.generate_private_key(ec.SECP256R1())
    return pem(authority.issue(_name(common_name), key.public_key(), client=True)), private_pem(key)


def pem(certificate: x509.Certificate) -> str:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key as PEM."""
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def common_name(csr: str) -> str:
    """The CN of a request."""
    found = x509.load_pem_x509_csr(csr.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value)


def organisation(csr: str) -> str | None:
    """The O of a request."""
    found = x509.load_pem_x509_csr(csr.encode()).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(found[0].value) if found else None


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, key: CertificatePublicKeyTypes, *, days: float, starts: float = -1, serial: int | None = None
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    end = now + days * DAY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(min(now + starts * DAY, end - DAY / 24))
        .not_valid_after(end)
    )
