"""TLS: what is trusted, what is shown, and what is said when it fails."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import load_pem_x509_certificate

from simulator.config.ws_options import WebSocketOptions
from simulator.transport.connection import OpenFailed, TlsFailed
from simulator.transport.server import serve_websockets
from simulator.transport.tap import ENDED, describe
from simulator.transport.tls import TlsContexts
from simulator.transport.websocket import Dialer
from tests.transport.peers import OCPP, echo, open_connection, within

pytestmark = pytest.mark.timeout(60)


@dataclass
class Material:
    """Certificates as a user has them."""

    ca: str
    ca_file: str
    cert: str
    cert_file: str
    key: str
    key_file: str
    locked_key: str
    pfx: bytes
    authority: trustme.CA


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    client = authority.issue_cert(common_name="CP-0001")
    cert, key = client.cert_chain_pems[0].bytes().decode(), client.private_key_pem.bytes().decode()
    private = serialization.load_pem_private_key(key.encode(), None)
    lock = serialization.BestAvailableEncryption(b"open sesame")
    locked = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()
    pfx = pkcs12.serialize_key_and_certificates(
        b"station",
        private,  # type: ignore[arg-type]
        load_pem_x509_certificate(cert.encode()),
        None,
        lock,
    )
    ca = authority.cert_pem.bytes().decode()
    files = {"ca.pem": ca, "cert.pem": cert, "key.pem": key}
    for name, text in files.items():
        (folder / name).write_text(text)
    return Material(
        ca, str(folder / "ca.pem"), cert, str(folder / "cert.pem"), key, str(folder / "key.pem"), locked, pfx, authority
    )


@asynccontextmanager
async def tls_server(
    authority: trustme.CA,
    *,
    names: tuple[str, ...] = ("127.0.0.1",),
    client_ca: trustme.CA | None = None,
    **setting: Any,
) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    if client_ca is not None:
        client_ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    for name, value in setting.items():
        setattr(context, name, value)
    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(
            partial(serve_websockets, echo, host="127.0.0.1", port=0, subprotocols=OCPP, ssl_context=context)
        )
        yield f"wss://127.0.0.1:{addresses[0][1]}/CS-1"
        nursery.cancel_scope.cancel()


async def works(url: str, options: WebSocketOptions) -> None:
    async with open_connection(url, options=options) as connection:
        connection.post("x" * 100_000)
        assert await connection.receive() == "x" * 100_000
        assert await connection.ping(5) < 5


async def failure(url: str, options: WebSocketOptions) -> OpenFailed:
    begun = trio.current_time()
    with pytest.raises(TlsFailed) as caught:
        async with open_connection(url, options=options):
            raise AssertionError("opened")
    assert trio.current_time() - begun < 5
    assert caught.value.stage == "tls"
    assert "\n" not in str(caught.value)
    return caught.value


@within(20)
async def test_a_trusted_central_system(material: Material) -> None:
    async with tls_server(material.authority) as url:
        for ca in (material.ca, material.ca_file):
            await works(url, WebSocketOptions(ca=(trustme.CA().cert_pem.bytes().decode(), ca)))


@within(20)
async def test_an_untrusted_certificate_is_told_at_once(material: Material) -> None:
    async with tls_server(material.authority) as url:
        for options in (WebSocketOptions(), WebSocketOptions(ca=(trustme.CA().cert_pem.bytes().decode(),))):
            error = await failure(url, options)
            assert "TLS handshake failed: certificate verify failed: unable to get local issuer certificate" in str(
                error
            )


@within(20)
async def test_verification_can_be_switched_off(material: Material) -> None:
    async with tls_server(material.authority, names=("other.example",)) as url:
        await works(url, WebSocketOptions(reject_unauthorized=False))


@within(20)
async def test_the_name_is_checked_and_can_be_given(material: Material) -> None:
    async with tls_server(material.authority, names=("csms.example",)) as url:
        error = await failure(url, WebSocketOptions(ca=(material.ca,)))
        assert "certificate verify failed" in str(error)
        assert "127.0.0.1" in str(error).rpartition("verify failed")[2]
        await works(url, WebSocketOptions(ca=(material.ca,), servername="csms.example"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@within(20)
async def test_a_client_certificate_is_shown(material: Material, version: ssl.TLSVersion, tmp_path: Path) -> None:
    pfx_file = tmp_path / "station.pfx"
    pfx_file.write_bytes(material.pfx)
    ca = (material.ca,)
    async with tls_server(material.authority, client_ca=material.authority, maximum_version=version) as url:
        for options in (
            WebSocketOptions(ca=ca, cert=material.cert, key=material.key),
            WebSocketOptions(ca=ca, cert=material.cert_file, key=material.key_file),
            WebSocketOptions(ca=ca, cert=material.key + material.cert),
            WebSocketOptions(ca=ca, cert=material.cert, key=material.locked_key, passphrase="open sesame"),
            WebSocketOptions(ca=ca, pfx=str(pfx_file), passphrase="open sesame"),
            WebSocketOptions(ca=ca, pfx=base64.b64encode(material.pfx).decode(), passphrase="open sesame"),
        ):
            await works(url, options)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@within(20)
async def test_a_missing_client_certificate_is_told_at_once(material: Material, version: ssl.TLSVersion) -> None:
    async with tls_server(material.authority, client_ca=material.authority, maximum_version=version) as url:
        error = await failure(url, WebSocketOptions(ca=(material.ca,)))
    expected = "certificate required" if version is ssl.TLSVersion.TLSv1_3 else "handshake failure"
    assert expected in str(error)


@within(20)
async def test_a_client_certificate_of_another_authority_is_told_at_once(material: Material) -> None:
    async with tls_server(material.authority, client_ca=trustme.CA()) as url:
        error = await failure(url, WebSocketOptions(ca=(material.ca,), cert=material.cert, key=material.key))
    assert "unknown ca" in str(error)


@within(20)
async def test_an_old_version_is_refused(material: Material) -> None:
    async with tls_server(material.authority, maximum_version=ssl.TLSVersion.TLSv1_2) as url:
        error = await failure(url, WebSocketOptions(ca=(material.ca,), min_version="TLSv1.3"))
        assert "version" in str(error)
        await works(url, WebSocketOptions(ca=(material.ca,), min_version="TLSv1.2", ciphers="ECDHE+AESGCM"))
        await works(url, WebSocketOptions(ca=(material.ca,), min_version="TLSv1.1"))


@within(20)
async def test_plain_text_in_place_of_tls_is_told(material: Material) -> None:
    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(partial(serve_websockets, echo, host="127.0.0.1", port=0))
        error = await failure(f"wss://127.0.0.1:{addresses[0][1]}/", WebSocketOptions())
        assert "TLS handshake failed" in str(error)
        nursery.cancel_scope.cancel()


@within(20)
async def test_a_certificate_renewed_on_disk_is_used_at_the_next_connection(material: Material, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(trustme.CA().cert_pem.bytes().decode())
    options = WebSocketOptions(ca=(str(file),))
    dialer = Dialer()
    async with tls_server(material.authority) as url:
        with pytest.raises(TlsFailed):
            async with open_connection(url, dialer, options=options):
                pass
        file.write_text(material.ca + "\n")
        async with open_connection(url, dialer, options=options) as connection:
            assert connection.subprotocol == "ocpp1.6"


def test_equal_options_share_a_context(material: Material) -> None:
    contexts = TlsContexts()
    one = contexts.get(WebSocketOptions(ca=(material.ca,), cert=material.cert, key=material.key))
    # What is no matter of TLS does not count.
    other = WebSocketOptions(ca=(material.ca,), cert=material.cert, key=material.key, origin="x", servername="y")
    assert contexts.get(other) is one
    assert contexts.get(WebSocketOptions(ca=(material.ca,))) is not one


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"ca": ("/nowhere/ca.pem",)}, "wsOptions.ca: cannot read /nowhere/ca.pem: no such file or directory"),
        (
            {"ca": ("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----",)},
            "wsOptions.ca: not a PEM certificate",
        ),
        ({"cert": "/nowhere/cert.pem"}, "wsOptions.cert: no such file: /nowhere/cert.pem"),
        ({"cert": "CERT", "key": "/nowhere/key.pem"}, "wsOptions.key: no such file: /nowhere/key.pem"),
        ({"key": "KEY"}, "set wsOptions.cert too"),
        ({"cert": "CERT", "key": "LOCKED"}, "wsOptions.passphrase"),
        ({"cert": "CERT", "key": "LOCKED", "passphrase": "wrong"}, "wsOptions.passphrase"),
        ({"pfx": "/nowhere/station.pfx"}, "wsOptions.pfx: neither a file nor base64"),
        ({"pfx": "AAAA"}, "wsOptions.pfx: cannot be used"),
        ({"ciphers": "NO-SUCH-CIPHER"}, "wsOptions.ciphers: OpenSSL knows no cipher suite in 'NO-SUCH-CIPHER'"),
    ],
)
def test_options_that_cannot_be_used_are_named(material: Material, options: dict[str, Any], part: str) -> None:
    texts = {"CERT": material.cert, "KEY": material.key, "LOCKED": material.locked_key}
    options = {name: texts.get(value, value) if isinstance(value, str) else value for name, value in options.items()}
    with pytest.raises(TlsFailed) as caught:
        TlsContexts().get(WebSocketOptions(**options))
    assert part in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


def test_no_key_is_left_on_disk(material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    TlsContexts().get(WebSocketOptions(cert=material.cert, key=material.key))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed (EOF) (_ssl.c:992)"), ENDED),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol (_ssl.c:992)"), ENDED),
    ],
)
def test_a_peer_that_hangs_up_is_told_in_words(error: ssl.SSLError, words: str) -> None:
    broken = trio.BrokenResourceError()
    broken.__cause__ = error
    assert describe(broken) == words
