"""Certificates: install, list, delete, sign, and what is refused (security white paper, A02, M03 to M05)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.station.certificates import Shelf
from tests.fakes.authority import Authority, common_name, identity_of, organisation
from tests.station.harness import World, station_world

CENTRAL, MANUFACTURER = "CentralSystemRootCertificate", "ManufacturerRootCertificate"
TYPES = (CENTRAL, MANUFACTURER)
KEY = "00112233445566778899aabbccddeeff00112233"


async def install(world: World, certificate: str, use: str = CENTRAL) -> str:
    return await world.status_of("InstallCertificate", certificateType=use, certificate=certificate)


async def installed(world: World, use: str = CENTRAL) -> list[dict[str, Any]]:
    answer = await world.call("GetInstalledCertificateIds", certificateType=use)
    assert (answer["status"] == "Accepted") == ("certificateHashData" in answer)
    return list(answer.get("certificateHashData", []))


async def delete(world: World, name: dict[str, Any]) -> str:
    return await world.status_of("DeleteCertificate", certificateHashData=name)


async def told(world: World) -> list[str]:
    await world.settle()
    return [payload["type"] for payload in world.sent("SecurityEventNotification")]


async def request(world: World) -> str:
    """Trigger a request; returns it."""
    count = len(world.calls("SignCertificate"))
    trigger = await world.status_of("ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate")
    assert trigger == "Accepted"
    payload = await world.wait_for("SignCertificate", count + 1)
    await world.settle()
    return str(payload["csr"])


# -- roots -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", TYPES)
async def test_a_root_is_installed_listed_and_deleted(use: str) -> None:
    root, other = Authority(serial=0x0ABC), Authority("Other")
    async with station_world() as world:
        await world.ready()
        assert await installed(world, use) == []
        assert await install(world, root.pem, use) == "Accepted"
        assert await install(world, other.pem, use) == "Accepted"
        assert await install(world, root.pem, use) == "Accepted"  # there already
        first, second = await installed(world, use)
        assert first["serialNumber"] == "abc"
        assert first["hashAlgorithm"] == "SHA256"
        shouted = {**first, "serialNumber": "0ABC", "issuerNameHash": first["issuerNameHash"].upper()}
        assert await delete(world, shouted) == "Accepted"
        assert await installed(world, use) == [second]
        assert await delete(world, first) == "NotFound"
        assert await delete(world, {**second, "hashAlgorithm": "SHA512"}) == "NotFound"
        assert await installed(world, CENTRAL if use == MANUFACTURER else MANUFACTURER) == []


def _garbage() -> str:
    return "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def _tampered() -> str:
    lines = Authority().pem.splitlines()
    lines[-2] = lines[-2][:6] + ("AAAA" if lines[-2][6:10] != "AAAA" else "BBBB") + lines[-2][10:]
    return "\n".join(lines)


BAD_ROOTS: dict[str, Callable[[], str]] = {
    "nonsense": lambda: "nonsense",
    "empty": lambda: "",
    "garbage": _garbage,
    "tampered": _tampered,
    "two": lambda: Authority("A").pem + Authority("B").pem,
    "expired": lambda: Authority(days=-1).pem,
    "no authority": lambda: identity_of(Authority(), "CS-1")[0],
}


@pytest.mark.parametrize("kind", BAD_ROOTS)
async def test_what_is_no_root_is_rejected_and_told(kind: str) -> None:
    async with station_world() as world:
        await world.ready()
        assert await install(world, BAD_ROOTS[kind]()) == "Rejected"
        assert await installed(world) == []
        assert await told(world) == ["InvalidCentralSystemCertificate"]


async def test_there_is_room_for_so_many_roots() -> None:
    async with station_world(keys={"CertificateStoreMaxLength": {"value": "2", "readonly": True}}) as world:
        await world.ready()
        first = Authority("1")
        assert await install(world, first.pem) == "Accepted"
        assert await install(world, Authority("2").pem, MANUFACTURER) == "Accepted"
        assert await install(world, Authority("3").pem) == "Rejected"
        assert await install(world, first.pem) == "Accepted"
        assert await told(world) == []


async def test_a_root_that_cannot_be_stored_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async with station_world() as world:
        await world.ready()

        def full(shelf: str, items: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(world.station.security.certificates._store, "save", full)
        assert await install(world, Authority().pem) == "Failed"
        assert await installed(world) == []


async def test_the_root_in_use_and_the_own_certificate_stay() -> None:
    root, spare = Authority(), Authority("Spare")

    def prepare(world: World) -> None:
        world.central.tls, world.central.plain = root.server(clients=root), False
        certificates = world.station.security.certificates
        certificates._put(Shelf.CENTRAL_SYSTEM_ROOT, [root.pem])
        certificates._put(Shelf.CHARGE_POINT, ["".join(identity_of(root, "CS-1"))])

    async with station_world(keys={"SecurityProfile": 3}, change=prepare) as world:
        await world.ready()
        (used,) = await installed(world)
        assert await delete(world, used) == "Failed"
        assert await install(world, spare.pem) == "Accepted"
        assert await delete(world, used) == "Failed"
        other = next(name for name in await installed(world) if name != used)
        assert await delete(world, other) == "Accepted"
        chain = world.station.security.certificates.identities(0x7FFFFFFF - 1) or None
        assert chain is None  # by then it has expired
        certificate = world.central.upgrades[0].certificate
        assert certificate is not None
        own = {**used, "serialNumber": certificate["serialNumber"]}
        assert await delete(world, own) == "Failed"


async def test_a_successor_must_be_signed_by_the_present_root() -> None:
    old, stranger = Authority("Old"), Authority("Stranger")
    keys = {"AdditionalRootCertificateCheck": {"value": "true", "readonly": True}}
    async with station_world(keys=keys) as world:
        await world.ready()
        assert await install(world, old.pem) == "Accepted"
        assert await install(world, stranger.pem) == "Rejected"
        assert await told(world) == ["InvalidCentralSystemCertificate"]
        new = Authority("New", signer=old)
        assert await install(world, new.pem) == "Accepted"
        assert len(await installed(world)) == 1
        assert world.station.security.certificates.has_fallback_root
        assert await install(world, stranger.pem, MANUFACTURER) == "Accepted"


# -- the station's own -------------------------------------------------------------------------------------------------


async def test_each_request_has_a_key_of_its_own_and_only_the_last_counts() -> None:
    root = Authority()
    async with station_world(keys={"CpoName": "Operator"}) as world:
        await world.ready()
        first, second = await request(world), await request(world)
        assert first != second
        assert (common_name(second), organisation(second)) == ("CS-1", "Operator")
        signed = [root.sign(first), root.sign(second)]
        statuses = [await world.status_of("CertificateSigned", certificateChain=chain) for chain in signed]
        assert statuses == ["Rejected", "Accepted"]
        assert await told(world) == ["InvalidChargePointCertificate"]
        # Used up: the same again was not asked for.
        assert await world.status_of("CertificateSigned", certificateChain=signed[1]) == "Rejected"
        await world.sleep(10)
        assert world.known().connections == 1  # under profile 0 nobody is shown it


async def test_a_chain_up_to_the_root_is_taken_in_its_order_only() -> None:
    root = Authority()
    below = Authority("Below", signer=root)
    async with station_world() as world:
        await world.ready()
        leaf = below.sign(await request(world))
        wrong = leaf + root.pem + below.pem
        assert await world.status_of("CertificateSigned", certificateChain=wrong) == "Rejected"
        right = leaf + below.pem + root.pem
        assert await world.status_of("CertificateSigned", certificateChain=right) == "Accepted"


BAD_ANSWERS: dict[str, Any] = {
    "nonsense": lambda root, csr: "nonsense",
    "expired": lambda root, csr: root.sign(csr, days=-1),
    "another name": lambda root, csr: root.sign(csr, common_name="CS-2"),
    "another operator": lambda root, csr: root.sign(csr, common_name="CS-1"),
    "another key": lambda root, csr: identity_of(root, "CS-1")[0],
    "too long": lambda root, csr: root.sign(csr) + "\n" * 9_990,
    "expired issuer": lambda root, csr: root.sign(csr) + Authority(days=-1).pem,
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
async def test_a_certificate_that_does_not_fit_is_rejected_and_told(kind: str) -> None:
    root = Authority()
    async with station_world(keys={"CpoName": "Operator"}) as world:
        await world.ready()
        csr = await request(world)
        chain = BAD_ANSWERS[kind](root, csr)[:10_000]
        if kind == "too long":
            world.station.keys.set("CertificateSignedMaxChainSize", "5000")
        assert await world.status_of("CertificateSigned", certificateChain=chain) == "Rejected"
        assert await told(world) == ["InvalidChargePointCertificate"]
        # The key still waits for the right one.
        world.station.keys.set("CertificateSignedMaxChainSize", "10000")
        assert await world.status_of("CertificateSigned", certificateChain=root.sign(csr)) == "Accepted"


async def test_a_certificate_nobody_asked_for_is_rejected() -> None:
    async with station_world() as world:
        await world.ready()
        chain = identity_of(Authority(), "CS-1")[0]
        assert await world.status_of("CertificateSigned", certificateChain=chain) == "Rejected"


async def test_after_a_refused_request_nothing_is_taken() -> None:
    root = Authority()
    async with station_world() as world:
        world.central.on("SignCertificate", {"status": "Rejected"})
        await world.ready()
        chain = root.sign(await request(world))
        assert await world.status_of("CertificateSigned", certificateChain=chain) == "Rejected"


async def test_the_serial_number_is_the_common_name() -> None:
    template = {"chargePointSerialNumberPrefix": "SN"}
    root = Authority()
    async with station_world(template=template) as world:
        await world.ready()
        serial = world.sent("BootNotification")[0]["chargePointSerialNumber"]
        csr = await request(world)
        assert common_name(csr) == serial
        # Some authorities put the identity in its place.
        chain = root.sign(csr, common_name="CS-1")
        assert await world.status_of("CertificateSigned", certificateChain=chain) == "Accepted"


async def test_a_certificate_that_begins_later_is_kept_for_then() -> None:
    root = Authority()

    def prepare(world: World) -> None:
        world.central.tls, world.central.plain = root.server(clients=root), False
        certificates = world.station.security.certificates
        certificates._put(Shelf.CENTRAL_SYSTEM_ROOT, [root.pem])
        certificates._put(Shelf.CHARGE_POINT, ["".join(identity_of(root, "CS-1"))])

    async with station_world(keys={"SecurityProfile": 3}, change=prepare) as world:
        await world.ready()
        chain = root.sign(await request(world), starts=10)
        assert await world.status_of("CertificateSigned", certificateChain=chain) == "Accepted"
        await world.sleep(60)
        assert world.known().connections == 1
        assert len(world.station.security.certificates._shelf(Shelf.CHARGE_POINT)) == 2


# -- triggers ----------------------------------------------------------------------------------------------------------


async def test_everything_that_can_be_triggered() -> None:
    async with station_world() as world:
        await world.ready()

        async def trigger(message: str, **payload: Any) -> str:
            return await world.status_of("ExtendedTriggerMessage", requestedMessage=message, **payload)

        assert await trigger("BootNotification") == "Rejected"  # accepted already
        assert await trigger("Heartbeat") == "Accepted"
        await world.wait_for("Heartbeat")
        assert await trigger("MeterValues", connectorId=2) == "Accepted"
        assert (await world.wait_for("MeterValues"))["connectorId"] == 2
        assert await trigger("MeterValues", connectorId=3) == "Rejected"
        assert await trigger("StatusNotification", connectorId=0) == "Accepted"
        assert (await world.wait_for("StatusNotification", 4))["connectorId"] == 0
        assert await trigger("SignChargePointCertificate") == "Accepted"
        await world.wait_for("SignCertificate")


async def test_a_trigger_that_the_template_takes_away_is_not_implemented() -> None:
    template = {"messageTriggerSupport": {"SignChargePointCertificate": False}}
    async with station_world(template=template) as world:
        await world.ready()
        answer = await world.status_of("ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate")
        assert answer == "NotImplemented"
