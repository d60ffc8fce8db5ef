"""Signed firmware updates: whose signature, over what, and what is said of it (OCPP 1.6 security extension, L01)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from simulator.timestamps import format_timestamp
from tests.fakes.transfers import FakeTransfers
from tests.station.harness import START, World, station_world

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

IMAGE = b"the new firmware" * 1000
FLOW = ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"]


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    key: Key, *, begins: timedelta = timedelta(-1), ends: timedelta = timedelta(1), sign: bool = True
) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Firmware signer")])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(sign, False, True, False, False, False, False, False, False)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def signature(key: Key, image: bytes = IMAGE, *, salt: int = 32) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        raw = key.sign(image, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
    else:
        raw = key.sign(image, ec.ECDSA(hashes.SHA256()))
    return base64.b64encode(raw).decode()


def world_with(transfers: FakeTransfers | None = None, **options: Any) -> Any:
    template = {"firmwareVersion": "1.0.0", **options.pop("template", {})}
    return station_world(template=template, services={"transfers": transfers or FakeTransfers(IMAGE)}, **options)


def request(pem: str, signed: str, request_id: int = 5, **firmware: Any) -> dict[str, Any]:
    return {
        "requestId": request_id,
        "firmware": {
            "location": "http://files/fw.bin",
            "retrieveDateTime": format_timestamp(START),
            "signingCertificate": pem,
            "signature": signed,
            **firmware,
        },
    }


def steps(world: World) -> list[tuple[str, int | None]]:
    return [(told["status"], told.get("requestId")) for told in world.sent("SignedFirmwareStatusNotification")]


def of(request_id: int, *statuses: str) -> list[tuple[str, int | None]]:
    return [(status, request_id) for status in statuses]


def events(world: World) -> list[str]:
    """The security events that were told and are about firmware."""
    return [event["type"] for event in world.sent("SecurityEventNotification") if "Firmware" in event["type"]]


async def told(world: World, status: str, **options: Any) -> None:
    await world.wait_for(
        "SignedFirmwareStatusNotification", where=lambda told: told["status"] == status, timeout=600, **options
    )
    await world.settle()


@pytest.mark.parametrize(
    ("key", "salt"),
    [(rsa_key, 32), (rsa_key, padding.PSS.MAX_LENGTH), (ec_key, 0)],
    ids=["RSA-PSS", "RSA-PSS with the longest salt", "ECDSA"],
)
async def test_a_good_signature_is_verified_and_installed(key: Any, salt: Any) -> None:
    async with world_with() as world:
        await world.ready()
        asked = request(certificate(key()), signature(key(), salt=salt))
        assert await world.status_of("SignedUpdateFirmware", **asked) == "Accepted"
        await told(world, "Installed")
        assert steps(world) == of(5, *FLOW)
        assert world.sent("FirmwareStatusNotification") == []
        assert [boot["firmwareVersion"] for boot in world.sent("BootNotification")] == ["1.0.0", "1.0.1"]
        assert events(world) == ["FirmwareUpdated"]


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(lambda: signature(rsa_key(), b"another file"), id="of another file"),
        pytest.param(lambda: signature(ec_key()), id="by another key"),
        pytest.param(lambda: "no base64 at all", id="not base64"),
        pytest.param(
            lambda: base64.b64encode(rsa_key().sign(IMAGE, padding.PKCS1v15(), hashes.SHA256())).decode(), id="PKCS#1"
        ),
    ],
)
async def test_a_signature_that_does_not_fit_ends_the_update(signed: Any) -> None:
    async with world_with() as world:
        await world.ready()
        asked = request(certificate(rsa_key()), signed())
        assert await world.status_of("SignedUpdateFirmware", **asked) == "Accepted"
        await told(world, "InvalidSignature")
        await world.sleep(300)
        assert steps(world) == of(5, "Downloading", "Downloaded", "InvalidSignature")
        assert events(world) == ["InvalidFirmwareSignature"]
        assert world.statuses(1) == ["Available"]


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(lambda: "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----", id="unreadable"),
        pytest.param(lambda: "no certificate", id="no PEM"),
        pytest.param(lambda: certificate(rsa_key(), begins=timedelta(-9), ends=timedelta(-1)), id="expired"),
        pytest.param(lambda: certificate(rsa_key(), begins=timedelta(1), ends=timedelta(2)), id="not yet valid"),
        pytest.param(lambda: certificate(rsa_key(1024)), id="weak"),
        pytest.param(lambda: certificate(rsa_key(), sign=False), id="not for signing"),
    ],
)
async def test_a_bad_signing_certificate_is_refused_before_anything_else(pem: Any) -> None:
    transfers = FakeTransfers(IMAGE)
    async with world_with(transfers) as world:
        await world.ready()
        asked = request(pem(), signature(rsa_key()))
        assert await world.status_of("SignedUpdateFirmware", **asked) == "InvalidCertificate"
        await world.sleep(100)
        assert steps(world) == []
        assert transfers.attempts == []
        assert events(world) == ["InvalidFirmwareSigningCertificate"]


async def test_the_signing_certificate_must_lead_to_a_root_of_the_manufacturer() -> None:
    root, stranger = trustme.CA(), trustme.CA()
    between = root.create_child_ca()
    signer = between.issue_cert("signer.example")
    chain = "".join(each.bytes().decode() for each in signer.cert_chain_pems)
    leaf = signer.cert_chain_pems[0].bytes().decode()
    key = serialization.load_pem_private_key(signer.private_key_pem.bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    signed = signature(key)

    def pem(ca: trustme.CA) -> str:
        return ca.cert_pem.bytes().decode()

    for roots, shown, answer in (
        ([stranger, root], chain, "Accepted"),
        ([between], leaf, "Accepted"),
        ([root], leaf, "InvalidCertificate"),
        ([stranger], chain, "InvalidCertificate"),
        ([], leaf, "Accepted"),
    ):
        async with world_with() as world:
            await world.ready()
            for each in roots:
                installed = {"certificateType": "ManufacturerRootCertificate", "certificate": pem(each)}
                assert await world.status_of("InstallCertificate", **installed) == "Accepted"
            assert await world.status_of("SignedUpdateFirmware", **request(shown, signed)) == answer
            if answer == "Accepted":
                await told(world, "Installed")


async def test_a_revoked_signer_is_refused() -> None:
    pem = certificate(ec_key())
    serial = x509.load_pem_x509_certificate(pem.encode()).serial_number
    async with world_with(template={"revokedFirmwareSigners": [f"{serial:X}"]}) as world:
        await world.ready()
        asked = request(pem, signature(ec_key()))
        assert await world.status_of("SignedUpdateFirmware", **asked) == "RevokedCertificate"
        other = request(certificate(ec_key()), signature(ec_key()))
        assert await world.status_of("SignedUpdateFirmware", **other) == "Accepted"


async def test_dates_in_the_future_are_scheduled() -> None:
    async with world_with() as world:
        await world.ready()
        dates: dict[str, Any] = {
            "retrieveDateTime": format_timestamp(START + 600),
            "installDateTime": format_timestamp(START + 1800),
        }
        asked = request(certificate(ec_key()), signature(ec_key()), **dates)
        assert await world.status_of("SignedUpdateFirmware", **asked) == "Accepted"
        await world.sleep(700)
        scheduled = of(5, "DownloadScheduled", *FLOW[:3], "InstallScheduled")
        assert steps(world) == scheduled
        assert world.statuses(1) == ["Available"]
        await world.sleep(1000)
        assert steps(world) == scheduled
        await told(world, "Installed")
        assert steps(world) == [*scheduled, *of(5, "Installing", "Installed")]


async def test_a_second_update_cancels_the_first_unless_it_is_being_installed() -> None:
    transfers = FakeTransfers(IMAGE, takes=60)
    async with world_with(transfers) as world:
        await world.ready()
        pem, signed = certificate(ec_key()), signature(ec_key())
        assert await world.status_of("SignedUpdateFirmware", **request(pem, signed, 1)) == "Accepted"
        await world.sleep(10)
        assert await world.status_of("SignedUpdateFirmware", **request("bad", signed, 2)) == "InvalidCertificate"
        assert await world.status_of("SignedUpdateFirmware", **request(pem, signed, 3)) == "AcceptedCanceled"
        await told(world, "Installing")
        assert await world.status_of("SignedUpdateFirmware", **request(pem, signed, 4)) == "Rejected"
        await told(world, "Installed")
        assert steps(world) == of(1, "Downloading") + of(3, *FLOW)
        assert transfers.cancelled == 1


async def test_a_failed_download_of_a_signed_update() -> None:
    transfers = FakeTransfers(IMAGE)
    transfers.failing = -1
    async with world_with(transfers) as world:
        await world.ready()
        asked = request(certificate(ec_key()), signature(ec_key())) | {"retries": 1, "retryInterval": 3}
        assert await world.status_of("SignedUpdateFirmware", **asked) == "Accepted"
        await told(world, "DownloadFailed")
        assert steps(world) == of(5, "Downloading", "DownloadFailed")
        assert transfers.pauses == [3]


async def test_a_station_for_signed_firmware_only_takes_signed_firmware() -> None:
    async with world_with(template={"signedFirmwareOnly": True}) as world:
        await world.ready()
        asked = request(certificate(ec_key()), signature(ec_key()))
        assert await world.status_of("SignedUpdateFirmware", **asked) == "Accepted"
        await told(world, "Installed")


async def test_a_trigger_gets_the_last_signed_status() -> None:
    async with world_with() as world:
        await world.ready()
        trigger = {"requestedMessage": "FirmwareStatusNotification"}
        assert await world.status_of("ExtendedTriggerMessage", **trigger) == "Accepted"
        asked = request(certificate(ec_key()), signature(ec_key(), b"another file"))
        assert await world.status_of("SignedUpdateFirmware", **asked) == "Accepted"
        await told(world, "InvalidSignature")
        assert await world.status_of("ExtendedTriggerMessage", **trigger) == "Accepted"
        assert await world.status_of("TriggerMessage", **trigger) == "Accepted"
        await world.settle()
        assert steps(world)[0] == ("Idle", None)
        assert steps(world)[-2:] == of(5, "InvalidSignature") * 2
        assert world.sent("FirmwareStatusNotification") == [{"status": "Idle"}]
