"""What the central system answers, without connections."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.csms import BootPolicy, TagEntry, TagTable
from simulator.csms.backoffice import BackOffice
from simulator.ocpp.errors import CallRefused
from simulator.ocpp.frames import Call
from simulator.ocpp.v16.messages import CHARGE_POINT_ACTIONS
from simulator.ocpp.validation import PayloadValidator
from tests.csms.mini_station import BOOT, TIME, sample, start, status, stop

NOON = 1_795_348_800.0  # 2026-11-22T12:00:00Z

EXAMPLES: dict[str, dict[str, Any]] = {
    "Authorize": {"idTag": "TAG"},
    "BootNotification": BOOT,
    "DataTransfer": {"vendorId": "Acme"},
    "DiagnosticsStatusNotification": {"status": "Uploading"},
    "FirmwareStatusNotification": {"status": "Installed"},
    "Heartbeat": {},
    "LogStatusNotification": {"status": "Uploaded", "requestId": 1},
    "MeterValues": sample(10),
    "SecurityEventNotification": {"type": "StartupOfTheDevice", "timestamp": TIME},
    "SignCertificate": {"csr": "-----BEGIN CERTIFICATE REQUEST-----"},
    "SignedFirmwareStatusNotification": {"status": "Installed", "requestId": 1},
    "StartTransaction": start(),
    "StatusNotification": status("Available"),
    "StopTransaction": stop(1, idTag="TAG"),
}


def office(**options: Any) -> BackOffice:
    made = BackOffice(now=lambda: NOON, **options)
    made.answer(made.station("CS-1"), Call("boot", "BootNotification", BOOT))
    return made


def ask(central: BackOffice, action: str, payload: Any) -> dict[str, Any]:
    return central.answer(central.station("CS-1"), Call("x", action, payload))


def refusal(central: BackOffice, action: str, payload: Any) -> str:
    with pytest.raises(CallRefused) as caught:
        ask(central, action, payload)
    return str(caught.value.code)


def test_there_is_an_example_of_every_action_of_a_charge_point() -> None:
    assert set(EXAMPLES) == CHARGE_POINT_ACTIONS


@pytest.mark.parametrize("action", sorted(EXAMPLES))
def test_every_action_of_a_charge_point_gets_an_answer_that_its_schema_accepts(action: str) -> None:
    central = office()
    ask(central, "StartTransaction", start())
    answer = ask(central, action, EXAMPLES[action])
    assert PayloadValidator("1.6").response(action, answer) is None


def test_boot_is_answered_by_policy_and_by_station() -> None:
    central = office(boot=BootPolicy("Accepted", 60))
    central.boots["CS-1"] = BootPolicy("Pending", 5)
    assert ask(central, "BootNotification", BOOT) == {
        "status": "Pending",
        "currentTime": "2026-11-22T12:00:00.000Z",
        "interval": 5,
    }
    other = central.answer(central.station("CS-2"), Call("x", "BootNotification", BOOT))
    assert other["status"] == "Accepted"
    assert other["interval"] == 60


def test_tags_are_compared_without_case_and_expire() -> None:
    tags = TagTable(
        {
            "Card-1": TagEntry(parent_id_tag="FAMILY", expiry_date="2026-11-22T12:00:01Z"),
            "OLD": TagEntry(expiry_date="2026-11-22T12:00:00Z"),
            "BAD": TagEntry("Blocked", expiry_date="2020-01-01T00:00:00Z"),
        },
        others=TagEntry("Invalid"),
    )
    central = office(tags=tags)
    assert ask(central, "Authorize", {"idTag": "CARD-1"})["idTagInfo"] == {
        "status": "Accepted",
        "parentIdTag": "FAMILY",
        "expiryDate": "2026-11-22T12:00:01Z",
    }
    statuses = [ask(central, "Authorize", {"idTag": tag})["idTagInfo"]["status"] for tag in ("old", "Bad", "?")]
    assert statuses == ["Expired", "Blocked", "Invalid"]


def test_a_refused_tag_still_gets_a_transaction() -> None:
    central = office(tags=TagTable(others=TagEntry("Invalid")))
    answer = ask(central, "StartTransaction", start())
    assert answer == {"transactionId": 1, "idTagInfo": {"status": "Invalid"}}
    assert central.ledger.open[1].id_tag_status == "Invalid"


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Foo", {}, "NotImplemented"),
        ("heartbeat", {}, "NotImplemented"),
        ("Reset", {"type": "Soft"}, "NotSupported"),
        ("Heartbeat", [], "FormationViolation"),
        ("Heartbeat", "", "FormationViolation"),
        ("Authorize", {}, "ProtocolError"),
        ("StartTransaction", {"connectorId": 1}, "ProtocolError"),
        ("StatusNotification", {"connectorId": 1, "status": "Available"}, "ProtocolError"),
        ("Authorize", {"idTag": 7}, "TypeConstraintViolation"),
        ("StopTransaction", stop(1) | {"transactionId": [1]}, "TypeConstraintViolation"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_right_code(
    action: str, payload: Any, code: str, validate: bool
) -> None:
    central = office(validate=validate)
    assert refusal(central, action, payload) == code
    assert len(central.violations) == 1


def test_a_payload_that_its_schema_refuses_changes_nothing() -> None:
    central = office()
    assert refusal(central, "StartTransaction", {**start(), "idTag": "x" * 21}) == "PropertyConstraintViolation"
    assert refusal(central, "StartTransaction", {**start(), "colour": "red"}) == "FormationViolation"
    assert central.ledger.totals()["started"] == 0


def test_a_crash_of_an_answer_is_an_internal_error_and_no_fault_of_the_station() -> None:
    central = office()

    def crash(station: object, payload: object) -> dict[str, Any]:
        raise RuntimeError("oops")

    central.answers["Heartbeat"] = crash
    assert refusal(central, "Heartbeat", {}) == "InternalError"
    assert central.violations == []
