"""Metering as users of the program see it: sums that agree, values that are verified, sessions that are drawn."""

from __future__ import annotations

import base64
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from simulator.cli.main import cli
from simulator.cli.output import Failure
from simulator.energy.meter_keys import derived_key, oca_public_key_base64, public_key_pem
from simulator.energy.ocmf import OcmfMeter, OcmfReading, payload, sign, signed_meter_value, signed_value_text
from tests.process.program import central_system, finished, write_fleet

KEY = derived_key("one")
PUBLIC = KEY.public_key()
RECORD = sign(payload(OcmfMeter(meter_serial="M-1"), [OcmfReading(time=1e9, wh=12_345)], page=7), KEY)


@pytest.mark.skipif(sys.platform == "win32", reason="the ordered end of a run is by signal there")
async def test_the_energy_of_a_run_is_what_the_central_system_saw(tmp_path: Path) -> None:
    config = write_fleet(
        tmp_path,
        stations=4,
        currentOutType="DC",
        power=50,
        AutomaticTransactionGenerator={
            "enable": True,
            "stopAfterHours": 1000,
            "arrival": {"meanSeconds": 300},
            "energyWanted": {"meanWh": 8000},
        },
    )
    arguments = ("--speed", "600", "--duration", "6", "--seed", "7", "--json", "--data-dir", tmp_path / "data")
    async with central_system() as (central, url):
        run = await finished("run", config, "--csms", url, *arguments, within=40)
        totals = central.ledger.totals()
        assert central.violations == []
    summary = json.loads(run.out)
    assert summary["transactions"] == {name: totals[name] for name in ("started", "stopped")}
    assert summary["transactions"]["stopped"] >= 4
    assert summary["energyWh"] == totals["energyWh"] > 1000


def run(*arguments: str, text: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments, input=text, standalone_mode=False)
    if isinstance(result.exception, Failure | click.UsageError):
        return 1, str(result.exception)
    assert result.exception is None, result.exception
    return int(result.return_value or 0), result.output


MESSAGE = [2, "1", "MeterValues", {"meterValue": [{"sampledValue": [{"value": signed_value_text(RECORD, PUBLIC)}]}]}]
FORMS = {
    "record": RECORD,
    "base64": base64.b64encode(RECORD.encode()).decode(),
    "signed value": json.dumps(signed_meter_value(RECORD, PUBLIC)),
    "message": json.dumps(MESSAGE),
    "wire log": f'{{"time":"x","frame":{json.dumps(MESSAGE)}}}\n{{"time":"y","frame":[3,"1",{{}}]}}',
    "log": f"10:00 CS-1 sent {json.dumps(MESSAGE)}\n10:01 CS-1 sent [2,",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_signed_value_is_verified_in_every_form(form: str, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text(FORMS[form], encoding="utf-8")
    key = tmp_path / "key.pem"
    key.write_text(public_key_pem(PUBLIC), encoding="utf-8")
    for given in (str(key), oca_public_key_base64(PUBLIC)):
        code, output = run("verify-value", str(file), "--key", given)
        assert code == 0
        assert "1: good: meter M-1, page T7, for nobody: C 12.345 kWh at 2001-09-09" in output
    other = derived_key("another").public_key()
    code, output = run("verify-value", str(file), "--key", oca_public_key_base64(other))
    assert code == 1
    assert "1: BAD, the signature is not that of the key" in output


def test_what_was_altered_is_found_with_the_key_that_came_along() -> None:
    assert run("verify-value", text=FORMS["message"])[0] == 0
    altered = signed_value_text(RECORD.replace("12.345", "12.346"), PUBLIC)
    other = derived_key("another")
    theirs = sign(payload(OcmfMeter(meter_serial="M-2"), [OcmfReading(time=1e9, wh=1)], page=1), other)
    several = [signed_value_text(theirs), signed_value_text(RECORD, PUBLIC)]
    several += [signed_value_text(theirs, other.public_key()), signed_value_text(RECORD)]
    code, output = run("verify-value", text=json.dumps(several))
    assert (code, output.count(": good: ")) == (0, 4)
    code, output = run("verify-value", text=json.dumps([altered, signed_value_text(RECORD)]))
    assert code == 1
    assert output.splitlines()[0].startswith("1: BAD")
    assert output.splitlines()[1].startswith("2: good")
    assert "not who signed it" in output


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("", (), "standard input holds no signed value"),
        ('{"a": [1, "x"]}', (), "holds no signed value"),
        (RECORD, (), "no public key: name one with --key"),
        (RECORD, ("--key", "zzz"), "this is no public key"),
    ],
)
def test_what_cannot_be_verified_is_one_line(text: str, options: tuple[str, ...], complaint: str) -> None:
    code, output = run("verify-value", *options, text=text)
    assert (code, output.count("\n")) == (1, 0)
    assert complaint in output


@pytest.mark.parametrize("options", [(), ("--dc", "--limit", "20", "--from", "5", "--until", "10"), ("--phases", "1")])
def test_a_session_is_drawn(options: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "session.svg"
    code, _ = run("plot", str(file), *options)
    assert code == 0
    drawing = ET.parse(file).getroot()
    assert drawing.tag.endswith("svg")
    lines = [line for line in drawing.iter() if line.get("class") == "line power"]
    assert len(lines) == 1
    code, output = run("plot", "-", *options)
    assert (code, output.startswith("<svg")) == (0, True)
    assert file.read_text(encoding="utf-8").strip() in output


BEGIN, END = {"timestamp": "2026-11-22T10:00:00Z"}, {"timestamp": "2026-11-22T10:30:00Z"}
SESSIONS = [
    message
    for number in (1, 2)
    for message in (
        [2, f"s{number}", "StartTransaction", {"connectorId": 1, "meterStart": 0, **BEGIN}],
        [3, f"s{number}", {"transactionId": number}],
        [2, f"e{number}", "StopTransaction", {"transactionId": number, "meterStop": 700 * number, **END}],
    )
]


def test_a_recorded_session_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "session.svg"
    code, output = run("plot", str(file), "--messages", "-", "--transaction", "2", text=json.dumps(SESSIONS))
    assert code == 0
    assert "connector 1, transaction 2: 1.40 kWh in 30 min" in output
    drawing = file.read_text(encoding="utf-8")
    assert "<title>connector 1, transaction 2</title>" in drawing
    assert "1.40 kWh in 0:30 h, at most 2.80 kW" in drawing
    assert ">Mine<" in run("plot", "-", "--messages", "-", "--title", "Mine", text=json.dumps(SESSIONS[:3]))[1]


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("", (), "standard input holds no session: give messages with MeterValues"),
        (json.dumps(SESSIONS), (), "several sessions: choose one with --transaction and --station of connector 1, tr"),
        (json.dumps(SESSIONS), ("--transaction", "3"), "holds no such session: choose one"),
        (json.dumps(SESSIONS), ("--station", "CS-1"), "holds no such session: choose one"),
        (json.dumps(SESSIONS), ("--soc", "20"), "--soc is about a vehicle, but --messages draws what was recorded"),
    ],
)
def test_which_recorded_session_is_one_line(text: str, options: tuple[str, ...], complaint: str) -> None:
    code, output = run("plot", "-", "--messages", "-", *options, text=text)
    assert (code, output.count("\n")) == (1, 0)
    assert complaint in output


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path) -> None:
    assert "give one with --messages" in run("plot", "-", "--transaction", "1")[1]
    assert "--until is not after --from" in run("plot", "-", "--from", "5", "--until", "5")[1]
    assert "cannot be read (No such file" in run("plot", "-", "--messages", str(tmp_path / "none"))[1]
    assert "there is no vehicle tank that charges there; there are city-37" in run("plot", "-", "--vehicle", "tank")[1]
    assert "plug-in-hybrid-11 that charges there" in run("plot", "-", "--dc", "--vehicle", "plug-in-hybrid-11")[1]
    assert "cannot be written" in run("plot", str(tmp_path / "no" / "x.svg"))[1]
    (tmp_path / "cars.json").write_text("{}")
    assert "profiles: is missing" in run("plot", "-", "--vehicles", str(tmp_path / "cars.json"))[1]
