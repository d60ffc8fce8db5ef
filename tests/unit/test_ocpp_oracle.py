"""The fast validation is held against the reference implementation of JSON Schema, for every schema of OCPP 1.6."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import jsonschema
import jsonschema.validators
import pytest

from simulator.ocpp.errors import ErrorCode
from simulator.ocpp.validation import PayloadValidator, Violation
from tests.unit.ocpp_payloads import SCHEMA_NAMES, faulty_payload, load_schema, valid_payload

validator = PayloadValidator("1.6")

# The order of OCPP errors and their codes, said once more and independently of the code under test.
RANKS = {"required": 0, "additionalProperties": 1, "type": 2}
CODES = {
    "required": ErrorCode.PROTOCOL_ERROR,
    "additionalProperties": ErrorCode.FORMATION_VIOLATION,
    "type": ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    "minItems": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "enum": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "maxLength": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "multipleOf": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
}


@cache
def oracle(name: str) -> Any:
    # With binary floats the reference finds that 21.4 is no multiple of 0.1; with decimals it forgets that for draft-06
    # (the security extension) 1.0 is an integer.
    schema = load_schema(name, parse_float=Decimal)
    kind = jsonschema.validators.validator_for(schema)
    if kind is jsonschema.Draft6Validator:
        extend: Any = jsonschema.validators.extend  # its arguments have no types
        kind = extend(kind, type_checker=kind.TYPE_CHECKER.redefine("integer", is_integer))
    return kind(schema)


def is_integer(_: object, value: object) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, Decimal) and value % 1 == 0)


def check(name: str, payload: Any) -> Violation | None:
    if name.endswith("Response"):
        return validator.response(name.removesuffix("Response"), payload)
    return validator.request(name, payload)


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_what_the_schema_allows_passes(name: str) -> None:
    rng = Random(name)
    for _ in range(30):
        payload = valid_payload(name, rng)
        assert oracle(name).is_valid(json.loads(json.dumps(payload), parse_float=Decimal)), payload
        assert check(name, payload) is None, payload


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_faults_are_found_and_classified_as_by_the_reference(name: str) -> None:
    rng = Random(name)
    for _ in range(100):
        payload = faulty_payload(name, rng)
        errors = list(oracle(name).iter_errors(json.loads(json.dumps(payload), parse_float=Decimal)))
        found = check(name, payload)
        if not errors:
            # Dates are judged apart from the schema.
            assert found is None or found.details["keyword"] == "format", payload
            continue
        assert found is not None, payload
        assert found.code in expected_codes(errors), payload
        assert len(found.description) <= 255
        assert found.description.isprintable()


def test_every_multiple_of_a_tenth_is_allowed() -> None:
    period = {"startPeriod": 0, "limit": 0.0}
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    payload = {"status": "Accepted", "connectorId": 1, "chargingSchedule": schedule}
    for tenths in range(100_001):
        period["limit"] = tenths / 10
        assert validator.response("GetCompositeSchedule", payload) is None, period


def expected_codes(errors: list[jsonschema.ValidationError]) -> set[ErrorCode]:
    if any(not error.path and error.validator == "type" for error in errors):
        return {ErrorCode.FORMATION_VIOLATION}
    lowest = min(RANKS.get(str(error.validator), 3) for error in errors)
    # Of several wrong values any may be named.
    return {CODES[str(error.validator)] for error in errors if RANKS.get(str(error.validator), 3) == lowest}
