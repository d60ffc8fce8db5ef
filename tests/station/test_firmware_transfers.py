"""Firmware and diagnostics between whole stations and real file servers, in real time with a fast clock."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio
import trustme
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from trio.testing import MockClock

from simulator.timestamps import format_timestamp
from tests.fakes.file_servers import PASSWORD, USER, ftp_files, http_files
from tests.fakes.transfers import unpacked
from tests.station.harness import START, World, station_world

IMAGE = bytes(range(256)) * 4096
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"
FLOW = ["Downloading", "Downloaded", "Installing", "Installed"]


@pytest.fixture
def real_time() -> trio.abc.Clock:
    """Servers in threads know nothing of virtual time."""
    return MockClock(rate=1.0)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def fast_world(authority: trustme.CA, **template: Any) -> Any:
    """A simulated minute takes 0.15 s."""
    trusting = {"ca": authority.cert_pem.bytes().decode()}
    return station_world(
        speed=400, template={"firmwareVersion": "1.0.0", "wsOptions": trusting, "resetTime": 20, **template}
    )


async def update_from(world: World, url: str) -> list[str]:
    await world.call("UpdateFirmware", location=url, retrieveDate=format_timestamp(START), retries=0)
    last = {"Installed", "DownloadFailed"}
    await world.wait_for("FirmwareStatusNotification", where=lambda told: told["status"] in last, timeout=20)
    return [told["status"] for told in world.sent("FirmwareStatusNotification")]


async def upload_to(world: World, url: str) -> tuple[str, list[str]]:
    answer = await world.call("GetDiagnostics", location=url, retries=0)
    await world.wait_for("DiagnosticsStatusNotification", 2, timeout=20)
    return answer["fileName"], [told["status"] for told in world.sent("DiagnosticsStatusNotification")]


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_http_good_and_bad(secure: bool, authority: trustme.CA, real_time: trio.abc.Clock) -> None:
    with http_files(authority if secure else None) as server:
        server.files["/fw.bin"] = IMAGE
        async with fast_world(authority) as world:
            await world.ready()
            name, statuses = await upload_to(world, server.url("/logs/"))
            assert statuses == ["Uploading", "Uploaded"]
            assert "station.json" in unpacked(server.files[f"/logs/{name}"])
            assert await update_from(world, server.url("/fw.bin")) == FLOW
            assert world.sent("BootNotification")[-1]["firmwareVersion"] == "1.0.1"
        async with fast_world(authority) as world:
            await world.ready()
            assert await update_from(world, server.url("/none.bin")) == ["Downloading", "DownloadFailed"]


@pytest.mark.parametrize("secure", [False, True], ids=["ftp", "ftps"])
async def test_ftp_good_and_bad(secure: bool, authority: trustme.CA, real_time: trio.abc.Clock, tmp_path: Path) -> None:
    folder = tmp_path / "served"
    (folder / "logs").mkdir(parents=True)
    (folder / "fw.bin").write_bytes(IMAGE)
    scheme = "ftps" if secure else "ftp"
    with ftp_files(folder, authority if secure else None) as address:
        async with fast_world(authority) as world:
            await world.ready()
            name, statuses = await upload_to(world, f"{scheme}://{LOGIN}@{address}/logs")
            assert statuses == ["Uploading", "Uploaded"]
            assert "station.json" in unpacked((folder / "logs" / name).read_bytes())
            assert await update_from(world, f"{scheme}://{LOGIN}@{address}/fw.bin") == FLOW
        async with fast_world(authority) as world:
            await world.ready()
            _, statuses = await upload_to(world, f"{scheme}://{USER}:wrong@{address}/logs")
            assert statuses == ["Uploading", "UploadFailed"]


async def test_signed_firmware_from_a_server(authority: trustme.CA, real_time: trio.abc.Clock) -> None:
    signer = authority.issue_cert("signer.example")
    key = serialization.load_pem_private_key(signer.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    firmware = {
        "retrieveDateTime": format_timestamp(START),
        "signingCertificate": signer.cert_chain_pems[0].bytes().decode(),
        "signature": base64.b64encode(key.sign(IMAGE, ec.ECDSA(hashes.SHA256()))).decode(),
    }
    with http_files() as server:
        server.files["/fw.bin"] = IMAGE
        server.files["/forged.bin"] = IMAGE[:-1] + b"?"
        async with fast_world(authority) as world:
            await world.ready()
            for number, (path, last) in enumerate([("/forged.bin", "InvalidSignature"), ("/fw.bin", "Installed")]):
                asked = {"requestId": number, "firmware": {**firmware, "location": server.url(path)}}
                assert await world.status_of("SignedUpdateFirmware", **asked) == "Accepted"
                reports = await world.wait_for(
                    "SignedFirmwareStatusNotification", where=lambda told, last=last: told["status"] == last, timeout=20
                )
                assert reports == {"status": last, "requestId": number}


async def test_a_reset_breaks_a_transfer_off(authority: trustme.CA, real_time: trio.abc.Clock) -> None:
    with http_files() as server:
        server.files["/fw.bin"] = IMAGE
        server.hang.add("/fw.bin")
        async with fast_world(authority) as world:
            await world.ready()
            await world.call("UpdateFirmware", location=server.url("/fw.bin"), retrieveDate=format_timestamp(START))
            await trio.to_thread.run_sync(server.hanging.wait)
            server.hang.clear()
            assert await world.status_of("Reset", type="Soft") == "Accepted"
            assert await trio.to_thread.run_sync(server.broken.wait, 5)
            installed = await world.wait_for(
                "FirmwareStatusNotification", where=lambda told: told["status"] == "Installed", timeout=20
            )
            assert installed == {"status": "Installed"}
