"""What a payload is refused for, and in which words."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from simulator.ocpp.errors import CallRefused, ErrorCode
from simulator.ocpp.v16.enums import RegistrationStatus
from simulator.ocpp.v16.messages import REQUESTS, BootNotificationResponse, MeterValue, MeterValuesRequest, SampledValue
from simulator.ocpp.validation import PayloadValidator

validator = PayloadValidator("1.6")

NOW = "2026-11-22T13:45:00Z"
BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model"}
SAMPLE = {"value": "1", "measurand": "SoC", "unit": "Percent"}


def profile(**changes: Any) -> dict[str, Any]:
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 21.4}],
                **changes,
            },
        },
    }


@pytest.mark.parametrize(
    ("action", "payload", "code", "path", "description"),
    [
        (
            "BootNotification",
            {"chargePointVendor": "Vendor"},
            ErrorCode.PROTOCOL_ERROR,
            "chargePointModel",
            "chargePointModel: missing, but required",
        ),
        (
            "MeterValues",
            {"connectorId": 1, "meterValue": [{"timestamp": NOW, "sampledValue": [SAMPLE, {}]}]},
            ErrorCode.PROTOCOL_ERROR,
            "meterValue[0].sampledValue[1].value",
            "meterValue[0].sampledValue[1].value: missing, but required",
        ),
        (
            "BootNotification",
            {**BOOT, "colour": "red", "serial": "1"},
            ErrorCode.FORMATION_VIOLATION,
            "colour",
            "colour: unknown member, one of 2",
        ),
        (
            "Heartbeat",
            {"no\nname": 1},
            ErrorCode.FORMATION_VIOLATION,
            '"no\\nname"',
            '"no\\nname": unknown member',
        ),
        (
            "Heartbeat",
            [],
            ErrorCode.FORMATION_VIOLATION,
            "",
            "the payload must be an object, not an array",
        ),
        (
            "RemoteStopTransaction",
            {"transactionId": "1"},
            ErrorCode.TYPE_CONSTRAINT_VIOLATION,
            "transactionId",
            "transactionId: must be an integer, not a string",
        ),
        (
            "RemoteStopTransaction",
            {"transactionId": 1.0},
            ErrorCode.TYPE_CONSTRAINT_VIOLATION,
            "transactionId",
            "transactionId: must be an integer, not a floating-point number",
        ),
        (
            "RemoteStopTransaction",
            {"transactionId": True},
            ErrorCode.TYPE_CONSTRAINT_VIOLATION,
            "transactionId",
            "transactionId: must be an integer, not a boolean",
        ),
        (
            "Authorize",
            {"idTag": None},
            ErrorCode.TYPE_CONSTRAINT_VIOLATION,
            "idTag",
            "idTag: must be a string, not null",
        ),
        (
            "Reset",
            {"type": "hard"},
            ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
            "type",
            'type: "hard" is none of Hard, Soft',
        ),
        (
            "Authorize",
            {"idTag": "🔋" * 21},
            ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
            "idTag",
            "idTag: 21 characters long, at most 20 are allowed",
        ),
        (
            "SetChargingProfile",
            profile(minChargingRate=6.05),
            ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
            "csChargingProfiles.chargingSchedule.minChargingRate",
            "csChargingProfiles.chargingSchedule.minChargingRate: 6.05 is not a multiple of 0.1",
        ),
        (
            "MeterValues",
            {"connectorId": 1, "meterValue": []},
            ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
            "meterValue",
            "meterValue: has 0 elements, at least 1 needed",
        ),
        (
            "SetChargingProfile",
            profile(startSchedule="tomorrow"),
            ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
            "csChargingProfiles.chargingSchedule.startSchedule",
            'csChargingProfiles.chargingSchedule.startSchedule: "tomorrow" is not a date and time, '
            "for example 2026-01-31T12:00:00Z",
        ),
    ],
)
def test_refusals(action: str, payload: Any, code: ErrorCode, path: str, description: str) -> None:
    violation = validator.request(action, payload)
    assert violation is not None
    assert (violation.code, violation.details["path"], violation.description) == (code, path, description)


def test_of_several_faults_missing_goes_before_extra_before_type_before_value() -> None:
    payload: dict[str, Any] = {"chargePointModel": 5, "chargePointSerialNumber": "x" * 26, "extra": 1}

    def keyword() -> object:
        violation = validator.request("BootNotification", payload)
        return violation and violation.details["keyword"]

    assert keyword() == "required"
    payload["chargePointVendor"] = "Vendor"
    assert keyword() == "additionalProperties"
    del payload["extra"]
    assert keyword() == "type"
    payload["chargePointModel"] = "Model"
    assert keyword() == "maxLength"
    payload["chargePointSerialNumber"] = "x" * 25
    assert keyword() is None


def test_unknown_actions_are_not_implemented() -> None:
    assert validator.knows("GetLog")
    assert not validator.knows("getLog")
    assert not validator.knows("../v201/Heartbeat")
    violation = validator.request("getLog", {})
    assert violation is not None
    assert violation.code is ErrorCode.NOT_IMPLEMENTED
    assert violation.description == 'unknown action "getLog"'


@pytest.mark.parametrize("action", REQUESTS)
def test_every_action_has_its_schemas(action: str) -> None:
    assert validator.knows(action)
    for check in (validator.request, validator.response):
        violation = check(action, {"no such member": 1})
        assert violation is not None
        assert violation.code in (ErrorCode.FORMATION_VIOLATION, ErrorCode.PROTOCOL_ERROR)


def test_messages_can_be_checked_as_structs() -> None:
    values = (MeterValue(timestamp=NOW, sampled_value=(SampledValue(value="1"),)),)
    assert validator.request("MeterValues", MeterValuesRequest(connector_id=1, meter_value=values)) is None
    response = BootNotificationResponse(status=RegistrationStatus.ACCEPTED, current_time="never", interval=1)
    violation = validator.response("BootNotification", response)
    assert violation is not None
    assert violation.details == {"path": "currentTime", "keyword": "format"}


def test_a_violation_answers_the_call() -> None:
    violation = validator.request("Reset", {"type": "hard"})
    assert violation is not None
    refusal = violation.as_refusal()
    assert isinstance(refusal, CallRefused)
    assert refusal.code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION
    assert refusal.details == {"path": "type", "keyword": "enum"}


# -- dates -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "date",
    ["2026-11-22T13:45:00Z", "2026-11-22t13:45:00.123456z", "2026-11-22T13:45+01:00", "20261122T134500-0500"],
)
@pytest.mark.parametrize("strict", [False, True])
def test_dates_of_any_iso_form_pass(date: str, strict: bool) -> None:
    warnings: list[str] = []
    assert validator.response("Heartbeat", {"currentTime": date}, strict=strict, warn=warnings.append) is None
    assert warnings == []


def test_a_date_without_zone_is_taken_as_utc_with_a_warning_or_refused_if_strict() -> None:
    entry = {"idTag": "1", "idTagInfo": {"status": "Accepted", "expiryDate": "2026-11-22T13:45:00"}}
    payload = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [{"idTag": "0"}, entry]}
    said = 'localAuthorizationList[1].idTagInfo.expiryDate: "2026-11-22T13:45:00" names no time zone'

    warnings: list[str] = []
    assert validator.request("SendLocalList", payload, warn=warnings.append) is None
    assert warnings == [f"{said}, taken as UTC"]
    assert validator.request("SendLocalList", payload) is None

    violation = validator.request("SendLocalList", payload, strict=True)
    assert violation is not None
    assert violation.code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION
    assert violation.description == f"{said}, add Z for UTC"


@pytest.mark.parametrize("date", ["", "now", "13:45:00Z", "2026-02-30T00:00:00Z", "1763819100", "2026-11-22T25:00:00Z"])
def test_what_is_no_date_is_refused(date: str) -> None:
    violation = validator.response("BootNotification", {"status": "Accepted", "currentTime": date, "interval": 1})
    assert violation is not None
    assert violation.details == {"path": "currentTime", "keyword": "format"}


def test_dates_behind_references_of_a_schema_are_found() -> None:
    firmware = {
        "location": "x",
        "retrieveDateTime": NOW,
        "installDateTime": "?",
        "signingCertificate": "",
        "signature": "",
    }
    violation = validator.request("SignedUpdateFirmware", {"requestId": 1, "firmware": firmware})
    assert violation is not None
    assert violation.details["path"] == "firmware.installDateTime"


# -- what a peer may try -----------------------------------------------------------------------------------------------


def test_values_that_may_be_secrets_are_not_quoted() -> None:
    for value in ("s3cret" * 100, 5353532, ["s3cret"]):
        violation = validator.request("ChangeConfiguration", {"key": "AuthorizationKey", "value": value})
        assert violation is not None
        assert "s3cret" not in str(violation)
        assert "5353532" not in str(violation)


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "x\n" * 1000},
        {"type": "Hard", "x" * 10_000: 1},
        {"type": "Hard", **{f"member {number}": 1 for number in range(10_000)}},
        {"type": 10 ** (sys.get_int_max_str_digits() - 1)},
        {"type": float("nan")},
    ],
)
def test_descriptions_stay_one_short_line(payload: dict[str, Any]) -> None:
    violation = validator.request("Reset", payload)
    assert violation is not None
    assert len(violation.description) <= 255
    assert violation.description.isprintable()


@pytest.mark.parametrize("depth", [100, 300, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    violation = validator.request("DataTransfer", {"vendorId": "v", "data": value})
    assert violation is not None
    assert violation.code in (ErrorCode.TYPE_CONSTRAINT_VIOLATION, ErrorCode.FORMATION_VIOLATION)


@pytest.mark.parametrize("payload", [{1: 2}, {"vendorId": object()}, {"\ud800": 1}])
def test_what_is_not_json_is_refused(payload: dict[Any, Any]) -> None:
    violation = validator.request("DataTransfer", payload)
    assert violation is not None
    assert violation.code is ErrorCode.FORMATION_VIOLATION


def test_a_huge_list_full_of_faults_reports_one_and_does_not_collect_all() -> None:
    payload = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [5] * 50_000}
    begin = time.process_time()
    violation = validator.request("SendLocalList", payload)
    # Milliseconds; collecting all fifty thousand takes more than a second, in which every station stands still.
    assert time.process_time() - begin < 0.5
    assert violation is not None
    assert violation.description == "localAuthorizationList[0]: must be an object, not an integer"


def test_only_known_versions_have_schemas() -> None:
    with pytest.raises(ValueError, match=r"OCPP 1\.5"):
        PayloadValidator("1.5")
