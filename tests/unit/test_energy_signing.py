"""Signed meter readings: a record that others verify, and public keys in the forms in which they travel."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from simulator.energy.meter_keys import (
    METHODS,
    MeterKeyError,
    derived_key,
    method_of,
    new_key,
    oca_public_key,
    oca_public_key_base64,
    private_key_pem,
    public_key_hex,
    public_key_pem,
    read_private_key,
    read_public_key,
)
from simulator.energy.ocmf import (
    OcmfError,
    OcmfMeter,
    OcmfReading,
    OcmfUser,
    ReadingKind,
    TimeStatus,
    parse,
    payload,
    sign,
    signed_meter_value,
    signed_value_text,
    verify,
)

METER = OcmfMeter(meter_serial="M-1", meter_vendor="Vendor|Co", direct_current=True, charge_box="CS-1 2")
BEGIN = OcmfReading(time=1_532_431_324.25, wh=2_935_600, kind=ReadingKind.BEGIN)
END = OcmfReading(time=1_532_434_924, wh=2_965_104, kind=ReadingKind.END_REMOTE, time_status=TimeStatus.INFORMATIVE)
USER = OcmfUser(id_tag="1F2D3A4F5506C7", level="TRUSTED", flags=("RFID_PLAIN", "OCPP_AUTH"))


def test_the_payload_holds_what_was_measured_for_whom_by_what() -> None:
    text = payload(METER, [BEGIN, END], page=17, user=USER, utc_offset_minutes=120)
    assert "|" not in text
    assert json.loads(text) == {
        "FV": "1.2",
        "PG": "T17",
        "MV": "Vendor|Co",
        "MS": "M-1",
        "IS": True,
        "IL": "TRUSTED",
        "IF": ["RFID_PLAIN", "OCPP_AUTH"],
        "IT": "ISO14443",
        "ID": "1F2D3A4F5506C7",
        "CT": "CBIDC",
        "CI": "CS-1 2",
        "RD": [
            {
                "TM": "2018-07-24T13:22:04,250+0200 S",
                "TX": "B",
                "RV": 2935.6,
                "RI": "1-b:1.8.0",
                "RU": "kWh",
                "RT": "DC",
                "EF": "",
                "ST": "G",
            },
            {
                "TM": "2018-07-24T14:22:04,000+0200 I",
                "TX": "R",
                "RV": 2965.104,
                "RI": "1-b:1.8.0",
                "RU": "kWh",
                "RT": "DC",
                "EF": "",
                "ST": "G",
            },
        ],
    }
    # All decimals are written: they say how exact the value is.
    assert '"RV":2935.600,' in text
    assert "+0000" in payload(METER, [BEGIN], page=1)
    assert "-0330" in payload(METER, [BEGIN], page=1, utc_offset_minutes=-210)


def test_readings_outside_of_transactions_name_no_user_and_count_apart() -> None:
    data = json.loads(payload(METER, [OcmfReading(time=0, wh=1, kind=None)], page=3))
    assert data["PG"] == "F3"
    assert "IS" not in data
    assert "TX" not in data["RD"][0]
    assert json.loads(payload(METER, [BEGIN], page=3))["IS"] is False
    with pytest.raises(ValueError, match="all of a transaction, or all of none"):
        payload(METER, [BEGIN, OcmfReading(time=0, wh=1, kind=None)], page=3)
    with pytest.raises(ValueError, match="all of"):
        payload(METER, [], page=3)


@pytest.mark.parametrize("method", METHODS)
def test_a_record_is_verified_with_the_public_key_and_no_other(method: str) -> None:
    key, other = derived_key("CS-1/1", method), derived_key("CS-1/2", method)
    record = sign(payload(METER, [BEGIN, END], page=1, user=USER), key)
    assert parse(record).method == method
    assert verify(record, key.public_key())
    assert not verify(record, other.public_key())
    assert not verify(record.replace("2965.104", "2965.105"), key.public_key())
    assert not verify(record.replace('"IS":true', '"IS": true'), key.public_key())
    unlike = "ECDSA-secp256k1-SHA256" if method != "ECDSA-secp256k1-SHA256" else "ECDSA-secp256r1-SHA256"
    assert not verify(record, new_key(unlike).public_key())


def test_a_record_in_base64_with_default_method_is_verified() -> None:
    key = new_key()
    head, text, section = sign(payload(METER, [BEGIN], page=1), key).split("|")
    der = bytes.fromhex(json.loads(section)["SD"])
    short = json.dumps({"SE": "base64", "SD": base64.b64encode(der).decode()})
    assert verify(f"{head}|{text}|{short}\n", key.public_key())


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("", "begins with"),
        ("XXXX|{}|{}", "begins with"),
        ("OCMF|{}", "3 sections"),
        ("OCMF|{|{}", "payload section is not JSON"),
        ("OCMF|{}|[]", "signature section is no JSON object"),
        ("OCMF|{}|{}", "no SD"),
        ('OCMF|{}|{"SD":"xyz"}', "not encoded"),
        ('OCMF|{}|{"SD":"00","SA":"RSA"}', "'RSA' is not known"),
    ],
)
def test_what_is_no_record_is_named(record: str, reason: str) -> None:
    with pytest.raises(OcmfError, match=reason):
        parse(record)


def test_a_broken_signature_is_wrong_and_no_crash() -> None:
    assert not verify('OCMF|{}|{"SD":"3003020101"}', new_key().public_key())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
@pytest.mark.parametrize("method", ["ECDSA-secp256r1-SHA256", "ECDSA-secp256k1-SHA256", "ECDSA-brainpool384r1-SHA256"])
def test_openssl_verifies_what_was_signed(method: str, tmp_path: Path) -> None:
    key = new_key(method)
    _, text, section = sign(payload(METER, [BEGIN, END], page=1, user=USER), key).split("|")
    (tmp_path / "key.pem").write_text(public_key_pem(key.public_key()))
    (tmp_path / "signature").write_bytes(bytes.fromhex(json.loads(section)["SD"]))

    def check(signed: str) -> bool:
        (tmp_path / "payload").write_bytes(signed.encode())
        command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "payload"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=20).returncode == 0

    assert check(text)
    assert not check(text.replace("2965.104", "2965.105"))


def test_signed_values_travel_as_the_oca_has_it() -> None:
    key = new_key()
    record = sign(payload(METER, [BEGIN], page=1), key)
    value = signed_meter_value(record, key.public_key())
    assert base64.b64decode(value["signedMeterData"]).decode() == record
    assert (value["signingMethod"], value["encodingMethod"]) == ("", "OCMF")
    assert base64.b64decode(value["publicKey"]).decode() == f"oca:base16:asn1:{public_key_hex(key.public_key())}"
    assert json.loads(signed_value_text(record)) == {**value, "publicKey": ""}
    assert max(map(len, value.values())) <= 2500
    assert len(oca_public_key_base64(new_key("ECDSA-brainpool384r1-SHA256").public_key())) <= 500  # a configuration key


@pytest.mark.parametrize("method", METHODS)
def test_public_keys_are_read_in_every_form(method: str) -> None:
    public = new_key(method).public_key()
    digits = public_key_hex(public)
    der = bytes.fromhex(digits)
    spaced = " ".join(digits[index : index + 4] for index in range(0, len(digits), 4)).upper()
    forms = [
        public_key_pem(public),
        digits,
        base64.b64encode(der).decode(),
        oca_public_key(public),
        f"oca:base64:asn1:{base64.b64encode(der).decode()}",
        f"oca:base16:asn1:0x{spaced}",
        oca_public_key_base64(public),
        base64.b64encode(digits.encode()).decode(),
    ]
    for form in forms:
        assert read_public_key(form) == public
    assert method_of(public) == method


def test_what_is_no_key_is_named() -> None:
    for text in ("", "nothing", "oca:base2:asn1:00", "oca:base16:asn1:0011", "-----BEGIN PUBLIC KEY-----", "AAAA"):
        with pytest.raises(MeterKeyError):
            read_public_key(text)
    with pytest.raises(MeterKeyError, match="use one of"):
        new_key("ECDSA-secp256r1")
    with pytest.raises(MeterKeyError, match="no signature method"):
        method_of(ec.generate_private_key(ec.SECP224R1()))
    with pytest.raises(MeterKeyError, match="no private key"):
        read_private_key("nothing")


def test_a_meter_keeps_its_key() -> None:
    key = derived_key("station/1")
    assert derived_key("station/1").private_numbers() == key.private_numbers()
    assert derived_key("station/2").private_numbers() != key.private_numbers()
    assert read_private_key(private_key_pem(key)).private_numbers() == key.private_numbers()
