"""Certificates by hash as OpenSSL has them, requests that OpenSSL reads, and the files that hold both."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulator.ocpp.v16.enums import HashAlgorithm
from simulator.station.pki import (
    BadCertificate,
    check_root,
    der_of,
    hash_data,
    new_key,
    read_one,
    signing_request,
)
from simulator.storage.certificates import CertificateFiles
from tests.fakes.authority import Authority, identity_of

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")


def openssl(*arguments: str, data: str | None = None) -> str:
    done = subprocess.run(("openssl", *arguments), input=data, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout + done.stderr


@needs_openssl
@pytest.mark.parametrize("algorithm", list(HashAlgorithm))
@pytest.mark.parametrize("own", [True, False])
def test_the_hashes_are_those_of_openssl(tmp_path: Path, algorithm: HashAlgorithm, own: bool) -> None:
    issuer = Authority("Issuer")
    subject = issuer if own else Authority("Below", signer=issuer, serial=0x00FE)
    for name, authority in (("issuer", issuer), ("subject", subject)):
        (tmp_path / name).write_text(authority.pem)
    text = openssl(
        "ocsp",
        f"-{algorithm.lower()}",
        "-issuer",
        str(tmp_path / "issuer"),
        "-cert",
        str(tmp_path / "subject"),
        "-req_text",
    ).replace("\\\n", "")  # long hashes are broken into lines
    found = hash_data(read_one(subject.pem), read_one(issuer.pem), algorithm)

    def said(label: str) -> str:
        match = re.search(rf"{label}: ([0-9A-Fa-f]+)", text)
        assert match is not None, text
        return match[1].lower()

    assert found.issuer_name_hash == said("Issuer Name Hash")
    assert found.issuer_key_hash == said("Issuer Key Hash")
    assert found.serial_number == said("Serial Number").lstrip("0")


@needs_openssl
@pytest.mark.parametrize(("kind", "words"), [("EC", "prime256v1"), ("RSA", "3072 bit")])
def test_openssl_reads_the_request(kind: str, words: str) -> None:
    csr = signing_request(new_key(kind), common_name="SN 1/2", organisation="Operator, Inc.")
    text = openssl("req", "-noout", "-text", "-verify", data=csr)
    assert words in text
    assert re.search(r'Subject: O ?= ?"?Operator, Inc\."?, CN ?= ?SN 1/2', text)
    assert "verify OK" in text


def test_a_damaged_certificate_is_refused_and_never_crashes_the_reader() -> None:
    rng = random.Random(7)
    whole = der_of(read_one(Authority().pem))
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] = rng.randrange(256)
        text = base64.encodebytes(bytes(damaged)).decode()
        pem = f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"
        with contextlib.suppress(BadCertificate):
            check_root(read_one(pem), time.time())


def test_the_files_of_a_station_can_be_read_by_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "certificates" / "hash"
    root, (chain, key) = Authority(), identity_of(Authority(), "CS-1")
    files = CertificateFiles(folder)
    assert files.load() == {}
    files.save("CentralSystemRootCertificate", [root.pem])
    files.save("ChargePointCertificate", [chain + key])
    assert CertificateFiles(folder).load() == {
        "CentralSystemRootCertificate": (root.pem,),
        "ChargePointCertificate": (chain + key,),
    }
    (file,) = (folder / "ChargePointCertificate").iterdir()
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    files.save("ChargePointCertificate", [])
    assert CertificateFiles(folder).load()["ChargePointCertificate"] == ()


def test_what_cannot_be_written_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = CertificateFiles(tmp_path)
    files.save("RequestedKey", ["one"])

    def fail(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        files.save("RequestedKey", ["two"])
    assert files.load() == {"RequestedKey": ("one",)}
    assert len(list((tmp_path / "RequestedKey").iterdir())) == 1
