"""Profiles 2 and 3 with real TLS, in memory: upgrades, what is checked, and the way back when something does not do."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import pytest

from simulator.csms.central import passwords
from simulator.station.certificates import Identity, Shelf
from tests.fakes.authority import Authority, common_name, identity_of, organisation
from tests.fakes.tls_lines import Upgrade
from tests.station.harness import World, station_world

KEY = "00112233445566778899aabbccddeeff00112233"
PROFILE_2: Mapping[str, Any] = {"SecurityProfile": 2, "AuthorizationKey": KEY, "CpoName": "Operator"}
PROFILE_3: Mapping[str, Any] = {**PROFILE_2, "SecurityProfile": 3}


def secure(world: World, context: ssl.SSLContext, *roots: Authority, plain: bool = False) -> None:
    """Let the central system speak TLS, and give the station its roots."""
    world.central.tls, world.central.plain = context, plain
    put(world, Shelf.CENTRAL_SYSTEM_ROOT, *(root.pem for root in roots))


def put(world: World, shelf: Shelf, *items: str) -> None:
    """Fill a shelf as a factory would."""
    world.station.security.certificates._put(shelf, items)


def upgrades(world: World) -> list[Upgrade]:
    return world.central.upgrades


async def sign(world: World, authority: Authority, **options: Any) -> str:
    """Trigger a request for a certificate and answer it; returns the status of CertificateSigned."""
    count = len(world.calls("SignCertificate"))
    trigger = await world.status_of("ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate")
    assert trigger == "Accepted"
    request = await world.wait_for("SignCertificate", count + 1)
    await world.settle()
    return await world.status_of("CertificateSigned", certificateChain=authority.sign(request["csr"], **options))


async def events(world: World) -> list[str]:
    await world.settle()
    return [payload["type"] for payload in world.sent("SecurityEventNotification")]


async def test_from_profile_0_to_3() -> None:
    root = Authority()

    def prepare(world: World) -> None:
        world.central.tls = root.server()

    async with station_world(keys={"CpoName": "Operator"}, change=prepare) as world:
        await world.ready()
        for value in (1, 2, 3):
            assert await world.key("SecurityProfile", value) == "Rejected"
        assert await world.key("AuthorizationKey", KEY) == "Accepted"
        await world.central.connected("CS-1", 2)
        world.central.authorize = passwords({"CS-1": bytes.fromhex(KEY)})
        assert await world.key("SecurityProfile", 1) == "Accepted"
        await world.central.connected("CS-1", 3)
        assert await world.key("SecurityProfile", 2) == "Rejected"
        installed = await world.status_of(
            "InstallCertificate", certificateType="CentralSystemRootCertificate", certificate=root.pem
        )
        assert installed == "Accepted"
        world.central.plain = False
        assert await world.key("SecurityProfile", 2) == "Accepted"
        await world.central.connected("CS-1", 4)
        assert await world.key("SecurityProfile", 3) == "Rejected"
        assert await sign(world, root) == "Accepted"
        world.central.tls, world.central.authorize = root.server(clients=root), None
        assert await world.key("SecurityProfile", 3) == "Accepted"
        await world.central.connected("CS-1", 5)
        await world.settle()
        assert [upgrade.secure for upgrade in upgrades(world)] == [False, False, False, True, True]
        assert [upgrade.authorization is not None for upgrade in upgrades(world)] == [False, True, True, True, False]
        assert [upgrade.common_name for upgrade in upgrades(world)] == [None, None, None, None, "CS-1"]
        csr = world.sent("SignCertificate")[0]["csr"]
        assert (common_name(csr), organisation(csr)) == ("CS-1", "Operator")
        assert len(world.sent("BootNotification")) == 1


async def test_an_upgrade_that_leads_nowhere_is_taken_back() -> None:
    root = Authority()
    async with station_world(
        keys={"SecurityProfile": 1, "AuthorizationKey": KEY},
        change=lambda world: put(world, Shelf.CENTRAL_SYSTEM_ROOT, root.pem),
    ) as world:
        await world.ready()
        assert await world.key("SecurityProfile", 2) == "Accepted"  # nobody speaks TLS there
        await world.central.connected("CS-1", 2, timeout=200)
        await world.settle()
        assert [upgrade.secure for upgrade in upgrades(world)] == [False, False]
        assert world.station.security.profile == 1


async def test_an_upgrade_without_an_answer_is_taken_back_after_three_attempts() -> None:
    root = Authority()
    async with station_world(
        keys={"SecurityProfile": 1, "AuthorizationKey": KEY},
        change=lambda world: put(world, Shelf.CENTRAL_SYSTEM_ROOT, root.pem),
    ) as world:
        await world.ready()
        attempts = world.central.network.attempts
        world.central.network.refuse()
        assert await world.key("SecurityProfile", 2) == "Accepted"
        await world.sleep(100)
        assert world.station.security.profile == 1
        assert world.central.network.attempts >= attempts + 4
        await world.come_back()
        assert not upgrades(world)[-1].secure


async def test_a_certificate_that_the_central_system_refuses_leads_back_to_the_profile_before() -> None:
    root, strangers = Authority(), Authority("Strangers")

    def prepare(world: World) -> None:
        secure(world, root.server(), root)
        put(world, Shelf.CHARGE_POINT, "".join(identity_of(root, "CS-1")))

    async with station_world(keys=PROFILE_2, change=prepare) as world:
        await world.ready()
        refusing = root.server(clients=strangers)
        refusing.verify_mode = ssl.CERT_OPTIONAL  # password or a certificate that it knows
        world.central.tls = refusing
        assert await world.key("SecurityProfile", 3) == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert world.station.security.profile == 2
        assert upgrades(world)[-1].authorization is not None
        assert "FailedToAuthenticateAtCentralSystem" in world.station.security.log_text()


async def test_an_unknown_root_is_told_once_the_station_is_back() -> None:
    root, impostor = Authority(), Authority("Impostor")
    async with station_world(keys=PROFILE_2, change=lambda world: secure(world, impostor.server(), root)) as world:
        await world.sleep(200)
        assert not upgrades(world)
        world.central.tls = root.server()
        await world.ready()
        told = await events(world)
        assert told == ["StartupOfTheDevice", "InvalidCentralSystemCertificate"]
        (event,) = [e for e in world.sent("SecurityEventNotification") if e["type"] == told[1]]
        assert "verify failed" in event["techInfo"]


async def test_a_central_system_of_another_name_is_refused() -> None:
    root = Authority()
    async with station_world(
        keys=PROFILE_2, change=lambda world: secure(world, root.server("other.test"), root)
    ) as world:
        await world.sleep(100)
        assert not upgrades(world)
        assert "InvalidCentralSystemCertificate" in world.station.security.log_text()


async def test_tls_that_is_too_old_is_an_event() -> None:
    root = Authority()

    def prepare(world: World) -> None:
        context = root.server()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        secure(world, context, root)

    async with station_world(
        keys=PROFILE_2, template={"wsOptions": {"minVersion": "TLSv1.3"}}, change=prepare
    ) as world:
        await world.sleep(100)
        assert world.station.security.log_text().count("InvalidTLSVersion") == 1
        assert not upgrades(world)


async def test_the_trust_of_the_template_holds_until_a_root_is_installed() -> None:
    root = Authority()
    chain, key = identity_of(root, "CS-1")
    options = {"wsOptions": {"ca": root.pem, "cert": chain, "key": key}}

    def prepare(world: World) -> None:
        secure(world, root.server(clients=root))

    async with station_world(keys=PROFILE_3, template=options, change=prepare) as world:
        await world.ready()
        assert upgrades(world)[0].common_name == "CS-1"
        assert upgrades(world)[0].authorization is None


async def test_a_certificate_is_renewed_while_a_vehicle_charges() -> None:
    root = Authority()

    def prepare(world: World) -> None:
        secure(world, root.server(clients=root), root)
        put(world, Shelf.CHARGE_POINT, "".join(identity_of(root, "CS-1")))

    async with station_world(keys={**PROFILE_3, "MeterValueSampleInterval": 10}, change=prepare) as world:
        await world.ready()
        transaction = await world.charge()
        before = upgrades(world)[0].certificate
        await world.sleep(25)
        assert await sign(world, root) == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.sleep(25)
        after = upgrades(world)[1].certificate
        assert before is not None
        assert after is not None
        assert before["serialNumber"] != after["serialNumber"]
        assert len(world.sent("MeterValues")) == 5
        await world.stop_charging(transaction)
        assert len(world.sent("BootNotification")) == 1
        assert len(world.sent("StartTransaction")) == 1


async def test_a_new_certificate_that_does_not_do_gives_way_to_the_old_one() -> None:
    root, others = Authority(), Authority("Others")

    def prepare(world: World) -> None:
        secure(world, root.server(clients=root), root)
        put(world, Shelf.CHARGE_POINT, "".join(identity_of(root, "CS-1")))

    async with station_world(keys=PROFILE_3, change=prepare) as world:
        await world.ready()
        assert await sign(world, others) == "Accepted"
        await world.central.connected("CS-1", 2)
        first, second = upgrades(world)
        assert first.certificate == second.certificate
        assert "InvalidChargePointCertificate" in await events(world)
        (left,) = world.station.security.certificates._shelf(Shelf.CHARGE_POINT)
        assert left == Identity.read(left).item


async def test_a_station_without_its_certificate_cannot_get_in() -> None:
    root = Authority()
    async with station_world(
        keys=PROFILE_3, change=lambda world: secure(world, root.server(clients=root), root)
    ) as world:
        await world.sleep(100)
        assert not upgrades(world)
        assert "FailedToAuthenticateAtCentralSystem" in world.station.security.log_text()


async def test_a_successor_of_the_root_takes_over_at_its_first_connection() -> None:
    old = Authority("Old Root")
    new = Authority("New Root", signer=old)
    keys = {**PROFILE_2, "AdditionalRootCertificateCheck": {"value": "true", "readonly": True}}
    async with station_world(keys=keys, change=lambda world: secure(world, old.server(), old)) as world:
        await world.ready()
        world.central.tls = new.server()
        status = await world.status_of(
            "InstallCertificate", certificateType="CentralSystemRootCertificate", certificate=new.pem
        )
        assert status == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        certificates = world.station.security.certificates
        assert certificates.trusted() == (new.pem,)
        assert not certificates.has_fallback_root


async def test_the_former_root_does_until_the_central_system_follows() -> None:
    old = Authority("Old Root")
    new = Authority("New Root", signer=old)
    keys = {**PROFILE_2, "AdditionalRootCertificateCheck": {"value": "true", "readonly": True}}
    async with station_world(keys=keys, change=lambda world: secure(world, old.server(), old)) as world:
        await world.ready()
        # Signed by the old one, so a chain to the new one would do; this central system shows one to the old.
        status = await world.status_of(
            "InstallCertificate", certificateType="CentralSystemRootCertificate", certificate=new.pem
        )
        assert status == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.settle()
        certificates = world.station.security.certificates
        assert certificates.has_fallback_root
        world.central.tls = new.server()
        world.central.network.cut()
        await world.central.connected("CS-1", 3, timeout=400)
        await world.settle()
        assert not certificates.has_fallback_root


async def test_a_certificate_near_its_end_is_renewed_by_the_station() -> None:
    root = Authority()

    def prepare(world: World) -> None:
        secure(world, root.server(clients=root), root)
        put(world, Shelf.CHARGE_POINT, "".join(identity_of(root, "CS-1")))

    day = 86_400
    keys = {**PROFILE_3, "HeartbeatInterval": 0}
    async with station_world(keys=keys, change=prepare, speed=1000) as world:
        await world.ready()
        world.station.keys.set("HeartbeatInterval", str(10 * day))
        await world.sleep(334 * day / 1000)
        assert world.sent("SignCertificate") == []
        world.central.on("SignCertificate", {"status": "Rejected"}, times=1)
        await world.sleep(2 * day / 1000)
        first, second = world.calls("SignCertificate")[:2]  # the first is refused; it asks again after a day
        assert second.time - first.time == pytest.approx(day / 1000)
        chain = root.sign(second.payload["csr"])
        assert await world.status_of("CertificateSigned", certificateChain=chain) == "Accepted"
        await world.central.connected("CS-1", 2)
        count = len(world.calls("SignCertificate"))
        await world.sleep(300 * day / 1000)
        assert len(world.calls("SignCertificate")) == count
