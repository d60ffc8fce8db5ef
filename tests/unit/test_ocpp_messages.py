"""The typed messages against the schemas: nothing is lost, renamed or invented between struct and wire."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any

import jsonschema.validators
import msgspec
import pytest

from simulator.ocpp.v16 import enums
from simulator.ocpp.v16.messages import (
    CENTRAL_SYSTEM_ACTIONS,
    CHARGE_POINT_ACTIONS,
    FEATURE_PROFILES,
    REQUESTS,
    RESPONSES,
    BootNotificationRequest,
    BootNotificationResponse,
    Data,
    GetLogRequest,
    action_of,
    from_payload,
    profile_of,
    read_request,
    read_response,
    response_type,
    to_payload,
)
from tests.unit.ocpp_payloads import SCHEMA_NAMES, load_schema, valid_payload


def struct_of(name: str) -> type[Data]:
    return RESPONSES[name.removesuffix("Response")] if name.endswith("Response") else REQUESTS[name]


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_what_the_schema_allows_survives_the_way_into_a_struct_and_back(name: str) -> None:
    rng = Random(name)
    for _ in range(30):
        payload = valid_payload(name, rng)
        data = from_payload(struct_of(name), payload)
        assert json.loads(msgspec.json.encode(data)) == payload
        assert from_payload(struct_of(name), to_payload(data)) == data


def build(kind: Any, rng: Random, share: float) -> Any:
    """A value of a type of msgspec's: in structs, each optional member is there with that probability."""
    match kind:
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            members = {
                field.name: build(field.type, rng, share) for field in fields if field.required or rng.random() < share
            }
            return cls(**members)
        case msgspec.inspect.UnionType(types=types):
            return build(next(part for part in types if not isinstance(part, msgspec.inspect.NoneType)), rng, share)
        case msgspec.inspect.VarTupleType(item_type=item):
            return tuple(build(item, rng, share) for _ in range(rng.randint(1, 2)))
        case msgspec.inspect.EnumType(cls=cls):
            # What no standard knows is never sent.
            return rng.choice([member for member in cls if member is not enums.UnitOfMeasure.HERTZ])
        case msgspec.inspect.StrType():
            return rng.choice(["", "2026-11-22T13:45:00Z"])
        case msgspec.inspect.IntType():
            return rng.randint(-1, 2**40)
        case msgspec.inspect.FloatType():
            return rng.randint(0, 10**4) / 10
        case msgspec.inspect.BoolType():
            return rng.random() < 0.5
    raise AssertionError(f"a struct has a type that is unknown here: {kind}")


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_what_a_struct_can_say_is_allowed_by_the_schema(name: str) -> None:
    rng = Random(name)
    schema = load_schema(name, parse_float=Decimal)
    oracle = jsonschema.validators.validator_for(schema)(schema)
    kind = msgspec.inspect.type_info(struct_of(name))
    for share in (0, 1, 0.5, 0.5, 0.5):
        for _ in range(5):
            oracle.validate(json.loads(msgspec.json.encode(build(kind, rng, share)), parse_float=Decimal))


def enum_values(schema: Any) -> set[tuple[str, ...]]:
    """Every enumeration in a schema, its values sorted."""
    if isinstance(schema, list):
        return set().union(*map(enum_values, schema))
    if not isinstance(schema, dict):
        return set()
    own = {tuple(sorted(schema["enum"]))} if isinstance(schema.get("enum"), list) else set()
    return own.union(*map(enum_values, schema.values()))


def test_every_enumeration_of_the_schemas_is_known_in_full_and_no_other() -> None:
    in_schemas = set().union(*(enum_values(load_schema(name)) for name in SCHEMA_NAMES))
    ours = {
        tuple(sorted(kind))
        for kind in vars(enums).values()
        if isinstance(kind, type) and issubclass(kind, StrEnum) and kind is not StrEnum
    }
    # One schema has the unit Hertz, and one has not.
    units = tuple(sorted(enums.UnitOfMeasure))
    assert ours == in_schemas - {tuple(unit for unit in units if unit != "Hertz")}


def test_integers_written_as_floats_are_read_where_the_schema_allows_them() -> None:
    payload = {"log": {"remoteLocation": "x"}, "logType": "SecurityLog", "requestId": 7.0, "retries": 1}
    request = read_request("GetLog", payload)
    assert isinstance(request, GetLogRequest)
    assert request.request_id == 7
    assert isinstance(request.request_id, int)


def test_what_does_not_fit_says_where() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.meterValue\[0\]\.timestamp"):
        read_request("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": 5, "sampledValue": []}]})
    with pytest.raises(msgspec.ValidationError, match="Perhaps"):
        read_response("BootNotification", {"status": "Perhaps", "currentTime": "", "interval": 1})


def test_a_request_knows_its_action_and_its_answer() -> None:
    request = BootNotificationRequest(charge_point_vendor="Vendor", charge_point_model="Model")
    assert action_of(request) == "BootNotification"
    assert response_type(request) is BootNotificationResponse
    for action, kind in REQUESTS.items():
        assert kind.__name__ == f"{action}Request"
        assert RESPONSES[action].__name__ == f"{action}Response"


def test_messages_are_values() -> None:
    request = BootNotificationRequest(charge_point_vendor="Vendor", charge_point_model="Model")
    assert {request} == {BootNotificationRequest(charge_point_model="Model", charge_point_vendor="Vendor")}
    with pytest.raises(AttributeError):
        request.charge_point_vendor = "other"  # type: ignore[misc]


def test_actions_by_direction_and_profile() -> None:
    assert {"DataTransfer"} == CHARGE_POINT_ACTIONS & CENTRAL_SYSTEM_ACTIONS
    assert CHARGE_POINT_ACTIONS | CENTRAL_SYSTEM_ACTIONS == REQUESTS.keys() == RESPONSES.keys()
    assert (len(CHARGE_POINT_ACTIONS), len(CENTRAL_SYSTEM_ACTIONS)) == (14, 26)
    # No action is in two profiles.
    assert (
        sum(map(len, FEATURE_PROFILES.values())) == len(REQUESTS) == len(frozenset().union(*FEATURE_PROFILES.values()))
    )
    assert [len(actions) for actions in FEATURE_PROFILES.values()] == [16, 4, 2, 2, 3, 1, 11]
    assert profile_of("SendLocalList") == "LocalAuthListManagement"
    assert profile_of("GetLog") == "Security"
    assert profile_of("Foo") is None
