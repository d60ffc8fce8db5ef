"""TLS contexts of stations, made from ``wsOptions`` and shared.

A context costs tens of milliseconds and most of a megabyte, so stations with the same options use the same one.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import ssl
import tempfile
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trio

from simulator.config.ws_options import WebSocketOptions
from simulator.transport.connection import TlsFailed, TlsFault

_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
# Stations may each have a certificate of their own; past this many the context unused for longest is dropped.
_KEPT = 256

# The form of a certificate that the ssl module is asked for where it does not give bytes by itself.
_DER = 2

_Key = tuple[object, ...]


class TlsContexts:
    """Makes and keeps contexts. A changed certificate file makes a new one at the next connection."""

    def __init__(self) -> None:
        self._contexts: OrderedDict[_Key, ssl.SSLContext] = OrderedDict()

    def get(self, options: WebSocketOptions) -> ssl.SSLContext:
        """The context for these options.

        :raises TlsFailed: when they cannot be used; the message names the option and the mend.
        """
        key = _key(options)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = client_context(options)
            if len(self._contexts) > _KEPT:
                self._contexts.popitem(last=False)
        else:
            self._contexts.move_to_end(key)
        return context


def client_context(options: WebSocketOptions) -> ssl.SSLContext:
    """A new context; see :meth:`TlsContexts.get`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if options.min_version is not None:
        with warnings.catch_warnings():
            # TLS 1.0 and 1.1 are deprecated; whoever asks for them has such a central system.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = _VERSIONS[options.min_version]
    if options.ciphers:
        _set_ciphers(context, options.ciphers)
    if not options.reject_unauthorized:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif options.ca:
        # Who is named is trusted, also a root certificate that its predecessor has signed.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for entry in options.ca:
            _trust(context, entry)
    else:
        context.load_default_certs()
    if options.pfx:
        _load_pkcs12(context, options.pfx, options.passphrase)
    elif options.cert:
        _load_certificate(context, options.cert, options.key or options.cert, options.passphrase)
    elif options.key:
        raise TlsFailed("wsOptions.key: a key needs its certificate; set wsOptions.cert too")
    return context


# Reasons of OpenSSL, as the ssl module spells them, by what is at fault.
_REASONS = {
    TlsFault.VERSION: (
        "UNSUPPORTED_PROTOCOL",
        "NO_PROTOCOLS_AVAILABLE",
        "WRONG_SSL_VERSION",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "VERSION_TOO_LOW",
    ),
    TlsFault.CIPHER: (
        "NO_SHARED_CIPHER",
        "NO_CIPHERS_AVAILABLE",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
    ),
    TlsFault.OWN_CERTIFICATE: (
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    ),
}


def fault_of(error: BaseException | None) -> TlsFault:
    """What a broken TLS connection broke for, from the chain of its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ssl.CertificateError):
            return TlsFault.PEER_CERTIFICATE
        if isinstance(error, ssl.SSLError):
            reason = (error.reason or "").upper()
            # An alert that tells no more than "handshake failure" is what servers send without a cipher in common.
            if reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":
                return TlsFault.CIPHER
            return next((fault for fault, reasons in _REASONS.items() if reason in reasons), TlsFault.OTHER)
        error = error.__cause__ or error.__context__
    return TlsFault.OTHER


def trust_anchor(stream: trio.abc.Stream) -> bytes:
    """DER of the certificate at the end of the peer's verified chain; empty where there is none."""
    if not isinstance(stream, trio.SSLStream) or stream.context.verify_mode is ssl.CERT_NONE:
        return b""
    # Public from Python 3.13 on; before that the object underneath has it.
    found: Any = getattr(stream, "_ssl_object", None)
    if not hasattr(found, "get_verified_chain"):
        found = getattr(found, "_sslobj", None)
    chain: Any = getattr(found, "get_verified_chain", tuple)()
    if not chain:
        return b""
    last = chain[-1]
    return last if isinstance(last, bytes) else bytes(last.public_bytes(_DER))


def _key(options: WebSocketOptions) -> _Key:
    files = (*options.ca, options.cert, options.key, options.pfx)
    return (
        options.ca,
        options.cert,
        options.key,
        options.pfx,
        options.passphrase,
        options.reject_unauthorized,
        options.min_version,
        options.ciphers,
        *(_stamp(text) for text in files),
    )


def _is_pem(text: str) -> bool:
    return "-----BEGIN" in text


def _stamp(text: str | None) -> tuple[int, int] | None:
    """What changes when the file of that name does; nothing for text that is no path."""
    if text is None or _is_pem(text):
        return None
    try:
        found = os.stat(text)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _set_ciphers(context: ssl.SSLContext, ciphers: str) -> None:
    # The suites of TLS 1.3 cannot be chosen one by one and are always on; OpenSSL takes the older ones only.
    older = ":".join(name for name in ciphers.replace(",", ":").split(":") if not name.startswith("TLS_"))
    if not older:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    try:
        context.set_ciphers(older)
    except ssl.SSLError:
        raise TlsFailed(f"wsOptions.ciphers: OpenSSL knows no cipher suite in {ciphers!r}") from None


def _trust(context: ssl.SSLContext, entry: str) -> None:
    try:
        if _is_pem(entry):
            context.load_verify_locations(cadata=entry)
        else:
            context.load_verify_locations(cafile=entry)
    except ssl.SSLError as error:
        raise TlsFailed(f"wsOptions.ca: not a PEM certificate: {error.reason or error}") from None
    except (OSError, ValueError) as error:
        raise TlsFailed(f"wsOptions.ca: cannot read {entry}: {_why(error)}") from None


def _load_certificate(context: ssl.SSLContext, cert: str, key: str, passphrase: str | None) -> None:
    with _as_file(cert, "cert") as cert_file, _as_file(key, "key") as key_file:
        try:
            # An empty password instead of none: OpenSSL would ask for it on the terminal.
            context.load_cert_chain(cert_file, key_file, password=passphrase or "")
        except ssl.SSLError as error:
            raise TlsFailed(
                "wsOptions.cert, wsOptions.key: cannot be used: "
                f"{(error.reason or str(error)).replace('_', ' ').lower()}; "
                "check that they are PEM, belong together and that wsOptions.passphrase is right"
            ) from None


@contextlib.contextmanager
def _as_file(text: str, option: str) -> Iterator[str]:
    """The path of a file with this PEM text: the ssl module loads keys from files only."""
    if not _is_pem(text):
        if not Path(text).is_file():
            raise TlsFailed(f"wsOptions.{option}: no such file: {text}")
        yield text
        return
    # Made with mode 0600.
    handle, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        yield name
    finally:
        os.unlink(name)


def _load_pkcs12(context: ssl.SSLContext, pfx: str, passphrase: str | None) -> None:
    # Slow to import and seldom needed.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12

    data = _pkcs12_bytes(pfx)
    password = passphrase.encode() if passphrase else None
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(data, password)
    except ValueError as error:
        raise TlsFailed(f"wsOptions.pfx: cannot be used: {error}; check wsOptions.passphrase") from None
    if key is None or certificate is None:
        raise TlsFailed("wsOptions.pfx: holds no certificate with its key")
    plain = serialization.NoEncryption()
    key_text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    chain = "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in [certificate, *others])
    _load_certificate(context, chain, key_text, None)


def _pkcs12_bytes(pfx: str) -> bytes:
    try:
        if Path(pfx).is_file():
            return Path(pfx).read_bytes()
    except (OSError, ValueError) as error:
        # Base64 text can be too long for a file name.
        if isinstance(error, PermissionError):
            raise TlsFailed(f"wsOptions.pfx: cannot read {pfx}: {_why(error)}") from None
    try:
        return base64.b64decode(pfx, validate=True)
    except (binascii.Error, ValueError):
        raise TlsFailed(f"wsOptions.pfx: neither a file nor base64: {pfx[:60]}") from None


def _why(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
