"""The TLS context of the UI server, made from ``uiServer.tls``."""

from __future__ import annotations

import ssl

from simulator.ui_server.listeners import CannotListen
from simulator.ui_server.settings import TlsFiles


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """What the server speaks TLS 1.2 and newer with; HTTP/1.1 is all that it offers.

    :raises CannotListen: a file cannot be read, or they do not fit together; the text names the configuration's key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    named = {"certFile": files.cert_file, "keyFile": files.key_file, "caFile": files.ca_file}
    for name, path in named.items():
        if path is not None:
            _must_be_pem(name, path)
    try:
        # The password is asked for nowhere else: OpenSSL would ask on the terminal.
        context.load_cert_chain(files.cert_file, files.key_file, lambda: files.key_password or "")
    except (OSError, ValueError) as error:
        raise CannotListen(_why(files, error)) from None
    if files.ca_file is not None:
        try:
            context.load_verify_locations(files.ca_file)
        except OSError as error:
            raise CannotListen(f"uiServer.tls.caFile: {files.ca_file}: no certificate in it ({error})") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _must_be_pem(name: str, path: str) -> None:
    """OpenSSL says of none of its files which one it means."""
    try:
        with open(path, "rb") as file:
            text = file.read(1 << 20)
    except OSError as error:
        raise CannotListen(f"uiServer.tls.{name}: {path}: {error.strerror or error}; name a PEM file") from None
    wanted = b"PRIVATE KEY-----" if name == "keyFile" else b"-----BEGIN CERTIFICATE-----"
    if wanted not in text:
        kind = "private key" if name == "keyFile" else "certificate"
        raise CannotListen(f"uiServer.tls.{name}: {path}: no {kind} in it; name a PEM file")


def _why(files: TlsFiles, error: Exception) -> str:
    reason = getattr(error, "reason", None) or ""
    if reason == "KEY_VALUES_MISMATCH":
        return (
            f"uiServer.tls.keyFile: {files.key_file}: not the key of {files.cert_file}; name the key that belongs to it"
        )
    with open(files.key_file, "rb") as file:
        locked = b"ENCRYPTED" in file.read(1 << 20)
    if locked:
        advice = "give its password as keyPassword" if files.key_password is None else "keyPassword does not open it"
        return f"uiServer.tls.keyFile: {files.key_file}: the key is encrypted; {advice}"
    return f"uiServer.tls: {files.cert_file} and {files.key_file} cannot be used ({reason or error})"
