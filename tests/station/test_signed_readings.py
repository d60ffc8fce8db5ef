"""Signed readings of whole stations, verified as whoever has the public key verifies them."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from simulator.energy.meter_keys import METHODS, public_key_pem, read_public_key
from simulator.energy.ocmf import parse, verify
from tests.station.harness import World, station_world

ONE = {"numberOfConnectors": 1, "Connectors": {"0": {}, "1": {}}}
ALL = {
    "SampledDataSignReadings": "true",
    "SampledDataSignStartedReadings": "true",
    "SampledDataSignUpdatedReadings": "true",
    "StartTxnSampledData": "Energy.Active.Import.Register",
    "MeterValueSampleInterval": 60,
}


async def public_key(world: World, connector: int = 1) -> str:
    answer = await world.call("GetConfiguration", key=[f"MeterPublicKey{connector}"])
    (key,) = answer["configurationKey"]
    assert key["readonly"] is True
    return str(key["value"])


def signed(values: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Context, record and public key of each signed sample."""
    found = []
    for value in values:
        for sample in value["sampledValue"]:
            if sample.get("format") == "SignedData":
                content = json.loads(sample["value"])
                assert (content["encodingMethod"], content["signingMethod"]) == ("OCMF", "")
                record = base64.b64decode(content["signedMeterData"]).decode()
                found.append((sample.get("context", "Sample.Periodic"), record, content["publicKey"]))
    return found


def told(world: World) -> list[dict[str, Any]]:
    return [payload["meterValue"][0] for payload in world.sent("MeterValues")]


def wh(record: str) -> list[tuple[str | None, int]]:
    """Kind and register of each reading."""
    return [(reading.get("TX"), round(reading["RV"] * 1000)) for reading in parse(record).data["RD"]]


async def test_every_reading_of_a_transaction_is_signed_and_says_what_the_others_say() -> None:
    async with station_world(template={**ONE, "beginEndMeterValues": True}, keys=ALL) as world:
        await world.ready()
        key = read_public_key(await public_key(world))
        transaction = await world.charge()
        await world.sleep(150)
        await world.stop_charging(transaction)
        stop = world.sent("StopTransaction")[0]
        start, end = transaction.meter_start, transaction.meter_start + transaction.energy
        within, inside = signed(told(world)), signed(stop["transactionData"])
        assert [context for context, _, _ in within] == [
            "Transaction.Begin", "Sample.Periodic", "Sample.Periodic", "Transaction.End"
        ]  # fmt: skip
        assert [context for context, _, _ in inside] == ["Transaction.Begin", "Transaction.End"]
        assert wh(inside[0][1]) == [("B", start)]
        assert wh(inside[1][1]) == wh(within[-1][1]) == [("B", start), ("R", end)]
        for reading, (_, record, _) in zip(told(world), within, strict=True):
            plain = float(reading["sampledValue"][0]["value"])
            assert wh(record)[-1][1] == plain
        assert {public for _, _, public in (*within, *inside)} == {""}
        records = [record for _, record, _ in (*inside, *within)]
        assert all(verify(record, key) for record in records)
        pages = [parse(record).data["PG"] for record in records]
        assert sorted(pages) == [f"T{number}" for number in range(1, 7)]
        data = parse(records[0]).data
        assert (data["CI"], data["ID"], data["IT"]) == ("CS-1 1", "TAG", "LOCAL")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_openssl_agrees(tmp_path: Path) -> None:
    async with station_world(template=ONE, keys={"SampledDataSignReadings": "true"}) as world:
        await world.ready()
        key = read_public_key(await public_key(world))
        await world.stop_charging(await world.charge())
        (_, (_, record, _)) = signed(world.sent("StopTransaction")[0]["transactionData"])
    found = parse(record)
    for name, content in (
        ("key.pem", public_key_pem(key).encode()),
        ("payload", found.payload.encode()),
        ("signature", found.signature),
    ):
        (tmp_path / name).write_bytes(content)
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "payload"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: ASYNC221
    assert done.stdout.strip() == "Verified OK"


@pytest.mark.parametrize(("policy", "expected"), [("Never", 0), ("OncePerTransaction", 2), ("EveryMeterValue", 8)])
async def test_when_the_public_key_goes_along(policy: str, expected: int) -> None:
    keys = {**ALL, "PublicKeyWithSignedMeterValue": policy, "MeterValueSampleInterval": 100}
    async with station_world(template={**ONE, "beginEndMeterValues": False}, keys=keys) as world:
        await world.ready()
        own = await public_key(world)
        for _ in range(2):
            transaction = await world.charge()
            await world.sleep(101)
            await world.stop_charging(transaction)
        inside = [value for stop in world.sent("StopTransaction") for value in stop["transactionData"]]
        keys_told = [public for _, _, public in signed([*told(world), *inside]) if public]
        assert keys_told == [own] * expected
        first, *later = [bool(public) for _, _, public in signed(told(world))]
        assert first is (policy != "Never")  # that which is sent, not that which waits for StopTransaction
        assert later == [policy == "EveryMeterValue", first, policy == "EveryMeterValue"]


@pytest.mark.parametrize("keys", [{}, {"SigningMethod": "ECDSA-secp256r1-SHA256"}], ids=["no key", "all switches off"])
async def test_nothing_is_signed_that_nobody_asked_for(keys: dict[str, str]) -> None:
    template = {**ONE, "beginEndMeterValues": True, "transactionDataMeterValues": True}
    async with station_world(template=template, keys={**keys, "MeterValueSampleInterval": 10}) as world:
        await world.ready()
        transaction = await world.charge()
        await world.sleep(25)
        await world.stop_charging(transaction)
        assert signed([*told(world), *world.sent("StopTransaction")[0]["transactionData"]]) == []
        answer = await world.call("GetConfiguration", key=["MeterPublicKey1", "SampledDataSignReadings"])
        assert len(answer["configurationKey"]) == (2 if keys else 0)


async def test_clock_aligned_readings_are_signed_in_and_outside_of_transactions() -> None:
    keys = {
        "AlignedDataSignReadings": "true",
        "AlignedDataSignUpdatedReadings": "true",
        "ClockAlignedDataInterval": 60,
        "StopTxnAlignedData": "Energy.Active.Import.Register",
        "MeterValueSampleInterval": 0,
    }
    async with station_world(template=ONE, keys=keys) as world:
        await world.ready()
        key = read_public_key(await public_key(world))
        await world.sleep(61)
        transaction = await world.charge()
        await world.sleep(120)
        await world.stop_charging(transaction)
        idle, *running = [record for _, record, _ in signed(told(world))]
        assert (parse(idle).data["PG"], wh(idle)) == ("F1", [(None, 0)])
        inside = [record for _, record, _ in signed(world.sent("StopTransaction")[0]["transactionData"])]
        assert [wh(record)[0][0] for record in (*running, *inside)] == ["C"] * 4
        assert all(verify(record, key) for record in (idle, *running, *inside))


@pytest.mark.parametrize("method", METHODS)
async def test_each_signing_method(method: str) -> None:
    keys = {"SigningMethod": method.replace("-", "_"), "SampledDataSignReadings": "true"}
    async with station_world(template=ONE, keys=keys) as world:
        await world.ready()
        key = read_public_key(await public_key(world))
        await world.stop_charging(await world.charge())
        records = [record for _, record, _ in signed(world.sent("StopTransaction")[0]["transactionData"])]
        assert [parse(record).method for record in records] == [method] * 2
        assert all(verify(record, key) for record in records)


async def test_what_the_central_system_may_change() -> None:
    async with station_world(template=ONE, keys={"SigningMethod": "ECDSA-secp256r1-SHA256"}) as world:
        await world.ready()
        before = await public_key(world)
        assert await world.key("PublicKeyWithSignedMeterValue", "Sometimes") == "Rejected"
        assert await world.key("PublicKeyWithSignedMeterValue", "EveryMeterValue") == "Accepted"
        assert await world.key("SigningMethod", "MD5") == "Rejected"
        assert await world.key("SigningMethod", "ECDSA-secp384r1-SHA256") == "Accepted"
        assert await public_key(world) != before
        assert await world.key("MeterPublicKey1", "x") == "Rejected"
        assert await world.key("SampledDataSignReadings", "TRUE") == "Accepted"
