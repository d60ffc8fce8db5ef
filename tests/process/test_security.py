"""Security profiles over real sockets: from a password to a certificate that outlives the process."""

from __future__ import annotations

import signal
import ssl
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from simulator.csms.central import passwords
from tests.fakes.authority import Authority
from tests.process.program import Central, program, write_fleet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")

KEY = "00112233445566778899aabbccddeeff00112233"
STATION = "CS-00001"


def keys(profile: int) -> dict[str, Any]:
    values = {"SecurityProfile": str(profile), "AuthorizationKey": KEY, "CpoName": "Operator"}
    return {"configurationKey": [{"key": name, "value": value} for name, value in values.items()]}


async def test_a_certificate_asked_for_under_profile_2_serves_profile_3_and_the_next_run(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    root = Authority()
    context = root.server("127.0.0.1", clients=root)
    context.verify_mode = ssl.CERT_OPTIONAL
    central = Central(nursery)
    known = passwords({STATION: bytes.fromhex(KEY)})
    url = await nursery.start(
        partial(central.serve, "127.0.0.1", 0, ssl_context=context, authorize=lambda request: known(request))
    )
    plain = url.replace("wss://", "ws://")
    (tmp_path / "root.pem").write_text(root.pem)
    options = {"ca": str(tmp_path / "root.pem")}
    ours = partial(write_fleet, tmp_path, stations=1, wsOptions=options, certificateKeyType="RSA")
    arguments = ("run", tmp_path / "config.json", "--csms", plain, "--json", "--data-dir", tmp_path / "data")

    ours(Configuration=keys(2))
    async with program(*arguments) as run:
        station = await central.connected(STATION, timeout=20)
        await central.wait_for(STATION, "SecurityEventNotification", timeout=20)
        assert await station.call(
            "InstallCertificate", {"certificateType": "CentralSystemRootCertificate", "certificate": root.pem}
        ) == {"status": "Accepted"}
        trigger = {"requestedMessage": "SignChargePointCertificate"}
        assert await station.call("ExtendedTriggerMessage", trigger) == {"status": "Accepted"}
        request = await central.wait_for(STATION, "SignCertificate", timeout=30)
        chain = {"certificateChain": root.sign(request.payload["csr"])}
        assert await station.call("CertificateSigned", chain) == {"status": "Accepted"}
        known = lambda request: None  # noqa: E731 - from here on the certificate counts
        change = {"key": "SecurityProfile", "value": "3"}
        assert await station.call("ChangeConfiguration", change) == {"status": "Accepted"}
        await central.connected(STATION, 2, timeout=20)
        run.signal(signal.SIGTERM)
        assert await run.ended(within=10) == 0

    ours(Configuration=keys(3))
    async with program(*arguments) as run:
        await central.connected(STATION, 3, timeout=20)
        run.signal(signal.SIGTERM)
        assert await run.ended(within=10) == 0
    assert [upgrade.secure for upgrade in central.upgrades] == [True, True, True]
    assert [upgrade.authorization is not None for upgrade in central.upgrades] == [True, False, False]
    assert [upgrade.common_name for upgrade in central.upgrades] == [None, STATION, STATION]
    private = [path for path in (tmp_path / "data").rglob("*.pem") if "PRIVATE KEY" in path.read_text()]
    assert [path.stat().st_mode & 0o777 for path in private] == [0o600]
    assert "PRIVATE KEY" not in run.err
